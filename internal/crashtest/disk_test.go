package crashtest

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/internal/faultfs"
)

// verifyKeys opens what a crash at this moment leaves and looks for the keys that were acknowledged.
func verifyKeys(t *testing.T, fs *faultfs.FS, size map[string]int) {
	t.Helper()
	dir := scratchDir(t)
	if err := fs.Image(faultfs.Loss{}).WriteTo(dir, "."); err != nil {
		t.Fatal(err)
	}
	e, err := engine.Open(filepath.Join(dir, "store"), smallOptions())
	if err != nil {
		t.Fatalf("open after a crash: %v", err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	sh, err := e.Shard(1001)
	if err != nil {
		t.Fatal(err)
	}
	for key, n := range size {
		v, err := sh.Get(nil, []byte(key), nil)
		switch {
		case n < 0 && !errors.Is(err, engine.ErrNotFound):
			t.Errorf("%s: %v, want not found", key, err)
		case n >= 0 && (err != nil || len(v) != n):
			t.Errorf("%s: %d bytes, %v; want %d", key, len(v), err, n)
		}
	}
}

// eventually repeats a command until its answer begins like this, and returns how many answers there
// were that begin with other.
func eventually(t *testing.T, s *shell, begin, other, format string, args ...any) (others int) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		got := s.do(format, args...)
		if strings.HasPrefix(got, begin) {
			return others
		}
		if !strings.HasPrefix(got, other) {
			t.Fatalf("%q, want %q or %q", got, begin, other)
		}
		others++
	}
	t.Fatalf("no answer %q within %v", begin, patience)
	return 0
}

// TestDiskFills: writes are refused with ErrDiskFull while there is still room for compactions, reads
// and writes that free space go on, and service resumes by itself when space returns.
func TestDiskFills(t *testing.T) {
	s, fs, _ := openShell(t, 24<<20)
	kept := map[string]int{}
	refused := ""
	for n := 0; refused == "" && n < 2000; n++ {
		key := fmt.Sprintf("key-%04d", n)
		if got := s.do("put %s 30000", key); got == "ok" {
			kept[key] = 30000
		} else {
			refused = got
			kept[key] = -1
		}
	}
	if !strings.HasPrefix(refused, "err diskfull:") {
		t.Fatalf("after %d puts on a disk of 24 MiB: %q, want diskfull", len(kept), refused)
	}
	if used, capacity := fs.Used(); capacity-used < 1<<20 {
		t.Errorf("refused only when %d of %d bytes were used", used, capacity)
	}
	if !strings.Contains(refused, "DiskFullPercent") || !strings.Contains(refused, "resume") {
		t.Errorf("the error does not say the way out: %s", refused)
	}
	s.want("ok 30000", "get key-0000")
	s.want("ok", "reclaim key-0001")
	kept["key-0001"] = -1
	s.want("ok", "err")
	fs.SetCapacity(256 << 20)
	others := eventually(t, s, "ok", "err diskfull:", "put after 1000")
	kept["after"] = 1000
	t.Logf("%d puts before the disk was full, %d refused after space had returned", len(kept), others)
	verifyKeys(t, fs, kept)
	s.want("ok", "close")
}

// TestDiskFullAtOnce: others fill the disk so quickly that a write of the log meets ENOSPC. Its caller
// gets ErrUnknownOutcome, later ones ErrNotWritten, both matching ErrDiskFull; the engine stops and
// goes on after a reopening, for which the reserve makes room even while the disk is full.
func TestDiskFullAtOnce(t *testing.T) {
	s, fs, dir := openShell(t, 256<<20)
	kept := map[string]int{}
	put := func(n int) string {
		key := fmt.Sprintf("key-%04d", n)
		got := s.do("put %s 30000", key)
		kept[key] = 30000
		return got
	}
	for n := range 50 {
		if got := put(n); got != "ok" {
			t.Fatal(got)
		}
	}
	s.want("ok", "flush") // else a flush in the background might meet it first
	s.want("ok", "compact")
	full := fs.Inject(faultfs.Rule{Ops: faultfs.OpWrite | faultfs.OpAllocate, Err: syscall.ENOSPC})
	if got := put(50); !strings.HasPrefix(got, "err diskfull,unknown:") {
		t.Fatalf("a write that met a full disk: %q", got)
	}
	delete(kept, "key-0050") // it may be there or not
	s.want("err diskfull,notwritten:", "put key-0051 10")
	kept["key-0051"] = -1
	s.want("err diskfull", "err")
	s.want("ok 30000", "get key-0000")
	s.kill()
	verifyKeys(t, fs, kept)
	full.Lift()

	used, _ := fs.Used()
	fs.SetCapacity(used) // not a byte free, but for the reserve
	s = startShell(t, dir)
	s.event("open")
	used, _ = fs.Used() // the reserve and recovery have made some room
	fs.SetCapacity(used + shellFreeFull - 1<<20)
	refused(t, s, "put more-%d 10")
	s.want("ok 30000", "get key-0049")
	s.want("ok", "reclaim key-0049")
	kept["key-0049"] = -1

	s.want("ok", "flush") // no work in the background that could meet the full disk
	s.want("ok", "compact")
	used, _ = fs.Used()
	fs.SetCapacity(used + 512<<10) // nearly all of that was taken as well
	refused(t, s, "reclaim key-%04d")
	s.want("ok", "err") // refusing has not stopped it
	fs.SetCapacity(256 << 20)
	eventually(t, s, "ok", "err diskfull:", "put after 10")
	kept["after"] = 10
	for n := range 50 {
		delete(kept, fmt.Sprintf("key-%04d", n)) // deleted or not until the engine had looked
	}
	verifyKeys(t, fs, kept)
	s.want("ok", "close")
}

// refused repeats a command until the disk counts as full for it: the engine believes the last answer
// about free space for a tenth of a second.
func refused(t *testing.T, s *shell, format string) {
	t.Helper()
	for n := range 10_000 {
		got := s.do(format, n)
		if strings.HasPrefix(got, "err diskfull:") {
			return
		}
		if got != "ok" {
			t.Fatalf("%s on a full disk: %q", fmt.Sprintf(format, n), got)
		}
	}
	t.Fatalf("%s was never refused", format)
}

// TestDiskFullInBackground: a flush meets ENOSPC. The engine stops writing, says that the disk is full,
// and has everything after a reopening.
func TestDiskFullInBackground(t *testing.T) {
	s, fs, dir := openShell(t, 256<<20)
	s.want("ok", "put first 1000")
	full := fs.Inject(faultfs.Rule{Ops: faultfs.OpWrite | faultfs.OpAllocate, Path: "*.sst", Err: syscall.ENOSPC})
	s.want("err diskfull", "flush")
	s.want("err diskfull,notwritten:", "put second 1000")
	s.want("ok 1000", "get first")
	s.kill()
	full.Lift()
	s = startShell(t, dir)
	s.event("open")
	s.want("ok", "put third 1000")
	s.want("ok", "flush")
	verifyKeys(t, fs, map[string]int{"first": 1000, "second": -1, "third": 1000})
}

// TestDiskStalls: a hanging sync is noticed and over again when it completes; one that hangs on makes
// Watch return, and no other process's write is blamed.
func TestDiskStalls(t *testing.T) {
	s, fs, _ := openShell(t, 256<<20)
	s.want("ok", "put before 10")
	watch := s.begin("watch")
	hang := faultfs.Rule{Ops: faultfs.OpAnySync, Path: "*.log"}

	stall := fs.Inject(hang)
	put := s.begin("put during 10")
	<-stall.Hit()
	s.event("stall")
	s.want("ok 10", "get before")
	stall.Lift()
	if got := s.wait(put, "put"); got != "ok" {
		t.Fatalf("a put that waited for a stalled disk: %q", got)
	}
	s.event("recover")

	stall = fs.Inject(hang)
	put = s.begin("put never 10")
	s.event("stall")
	if got := s.wait(watch, "watch"); !strings.HasPrefix(got, "err stalled,overloaded:") {
		t.Fatalf("watch on a disk that hangs returned %q", got)
	}
	select {
	case got := <-put:
		t.Fatalf("a put on a disk that hangs returned %q", got)
	default:
	}
	// The process ends, as the owner of a Watch must make it, although a system call of its hangs.
	s.kill()
	stall.Lift()
	verifyKeys(t, fs, map[string]int{"before": 10, "during": 10})
}

// TestDiskErrors: an I/O error is never taken for success or for a missing key.
func TestDiskErrors(t *testing.T) {
	faultfs.Require(t)
	for _, rule := range []faultfs.Rule{
		{Ops: faultfs.OpAnySync, Path: "*.log", Err: syscall.EIO},
		{Ops: faultfs.OpAnySync, Path: "*.log", Err: syscall.EIO, Times: 1},
		{Ops: faultfs.OpWrite, Path: "*.log", Err: syscall.EIO, Times: 1},
	} {
		t.Run(strings.ReplaceAll(rule.String(), " ", "_"), func(t *testing.T) {
			s, fs, dir := openShell(t, 256<<20)
			s.want("ok", "put before 10")
			fault := fs.Inject(rule)
			s.want("err unknown:", "put during 10")
			s.want("err notwritten:", "put later 10")
			s.want("err notwritten:", "put later 10")
			s.want("ok 10", "get before")
			s.kill()
			fault.Lift()
			verifyKeys(t, fs, map[string]int{"before": 10, "later": -1})
			s = startShell(t, dir)
			s.event("open")
			s.want("ok", "put after 10")
			s.want("ok 10", "get before")
		})
	}
	for _, rule := range []faultfs.Rule{
		{Ops: faultfs.OpWrite, Path: "*.sst", Err: syscall.EIO, Times: 1},
		{Ops: faultfs.OpAnySync, Path: "*.sst", Err: syscall.EIO, Times: 1},
		{Ops: faultfs.OpAnySync, Path: "MANIFEST-*", Err: syscall.EIO, Times: 1},
		{Ops: faultfs.OpDirSync, Err: syscall.EIO, Times: 1},
	} {
		t.Run("flush/"+strings.ReplaceAll(rule.String(), " ", "_"), func(t *testing.T) {
			s, fs, dir := openShell(t, 256<<20)
			s.want("ok", "put before 10")
			fs.Inject(rule)
			s.want("err", "flush")
			s.want("err notwritten:", "put later 10")
			s.want("ok 10", "get before")
			verifyKeys(t, fs, map[string]int{"before": 10, "later": -1})
			s.kill()
			s = startShell(t, dir)
			s.event("open")
			s.want("ok", "put after 10")
			s.want("ok 10", "get before")
		})
	}
}

// TestUnreadableTable: a table that cannot be read is an error for every read of it, never a miss.
func TestUnreadableTable(t *testing.T) {
	s, fs, dir := openShell(t, 256<<20)
	for n := range 100 {
		s.want("ok", "put key-%03d 30000", n)
	}
	s.want("ok", "flush")
	s.want("ok", "compact")
	s.kill()
	s = startShell(t, dir)
	s.event("open")
	fault := fs.Inject(faultfs.Rule{Ops: faultfs.OpRead | faultfs.OpOpen, Path: "*.sst", Err: syscall.EIO})
	got := s.do("get key-000")
	if !strings.HasPrefix(got, "err") || strings.HasPrefix(got, "err notfound") {
		t.Fatalf("a read of a table that can't be read: %q (the rule fired %d times)", got, fault.Fired())
	}
	if fault.Fired() == 0 {
		t.Fatal("the rule never fired")
	}
}

// TestUnsyncedOrder: a power failure takes unsynced writes from the end only, also where the log was
// changed between two of them and the disk has not synced the first one yet.
func TestUnsyncedOrder(t *testing.T) {
	s, fs, _ := openShell(t, 256<<20)
	s.want("ok", "put synced 10")
	s.want("ok", "unsynced first")
	stall := fs.Inject(faultfs.Rule{Ops: faultfs.OpAnySync, Path: "*.log"})
	flush := s.begin("flush") // goes on to the next log
	<-stall.Hit()
	second := s.begin("unsynced second")
	waiting := []<-chan string{flush, second}
	select {
	case got := <-second:
		t.Errorf("a write to the next log was acknowledged (%s) before the last one was synced", got)
		waiting = waiting[:1]
	case <-time.After(200 * time.Millisecond):
	}
	inOrder(t, fs)
	stall.Lift()
	for _, ch := range waiting {
		if got := s.wait(ch, "what had stalled"); got != "ok" {
			t.Fatal(got)
		}
	}
	inOrder(t, fs)
}

// inOrder takes many images of this moment: the second unsynced write must not be there without the
// first.
func inOrder(t *testing.T, fs *faultfs.FS) {
	t.Helper()
	var states []*State
	for seed := range uint64(40) {
		data := []faultfs.DataLoss{faultfs.DataPrefix, faultfs.DataScattered}[seed%2]
		loss := faultfs.Loss{Data: data, Dirs: faultfs.DirsKept, Seed: seed}
		states = append(states, &State{Number: int(seed), Image: fs.Image(loss)})
	}
	Verify(t, states, func(dir string, s *State) (err error) {
		e, err := engine.Open(filepath.Join(dir, "store"), smallOptions())
		if err != nil && zeroedManifest(s, err) {
			return ErrRefused
		}
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, e.Close()) }()
		sh, err := e.Shard(1001)
		if err != nil {
			return err
		}
		has := func(key string) bool {
			_, err := sh.Get(nil, []byte(key), nil)
			return err == nil
		}
		if !has("synced") || has("second") && !has("first") {
			return fmt.Errorf("synced %t, first %t, second %t", has("synced"), has("first"), has("second"))
		}
		return nil
	})
}
