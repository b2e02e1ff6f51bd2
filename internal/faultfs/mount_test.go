package faultfs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantErr(t testing.TB, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
}

func syncPath(t testing.TB, path string) {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
}

func wantNames(t testing.TB, img *Image, dir string, want ...string) {
	t.Helper()
	if got := img.Names(dir); !slices.Equal(got, want) {
		t.Fatalf("%v: %s holds %q, want %q", img, dir, got, want)
	}
}

func wantFile(t testing.TB, img *Image, name, want string) {
	t.Helper()
	got, err := img.ReadFile(name)
	must(t, err)
	if string(got) != want {
		t.Fatalf("%v: %s holds %q, want %q", img, name, got, want)
	}
}

// TestFilesThroughTheKernel does with a mounted file system what programs do, and compares with what
// they expect of any.
func TestFilesThroughTheKernel(t *testing.T) {
	_, dir := MountTest(t, nil)
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "sub", "b")
	must(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755))
	big := bytes.Repeat([]byte("0123456789abcdef"), 100_000)
	must(t, os.WriteFile(a, big, 0o640))
	got, err := os.ReadFile(a)
	must(t, err)
	if !bytes.Equal(got, big) {
		t.Fatal("a file of 1.6 MB does not read as it was written")
	}
	st, err := os.Stat(a)
	must(t, err)
	if st.Mode() != 0o640 || st.Size() != int64(len(big)) {
		t.Fatalf("stat says %v and %d bytes", st.Mode(), st.Size())
	}
	must(t, os.Link(a, b))
	must(t, os.Rename(a, filepath.Join(dir, "c")))
	must(t, os.Truncate(b, 5))
	got, err = os.ReadFile(filepath.Join(dir, "c"))
	must(t, err)
	if string(got) != "01234" {
		t.Fatalf("the other name of a truncated file reads %q", got)
	}
	f, err := os.OpenFile(b, os.O_RDWR|os.O_APPEND, 0)
	must(t, err)
	must(t, unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, 1<<20))
	if _, err := f.WriteString("!"); err != nil {
		t.Fatal(err)
	}
	must(t, unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB))
	other, err := os.Open(b)
	must(t, err)
	wantErr(t, unix.Flock(int(other.Fd()), unix.LOCK_EX|unix.LOCK_NB), unix.EWOULDBLOCK)
	must(t, other.Close())
	must(t, os.Remove(b))
	wantErr(t, os.Remove(filepath.Join(dir, "c", "x")), syscall.ENOTDIR)
	buf := make([]byte, 10)
	if n, _ := f.ReadAt(buf, 0); string(buf[:n]) != "01234!" {
		t.Fatalf("an open file without that name reads %q", buf[:n])
	}
	must(t, f.Close())
	for n := range 300 {
		must(t, os.WriteFile(filepath.Join(dir, "sub", fmt.Sprintf("file-with-a-long-name-%03d", n)), nil, 0o644))
	}
	list, err := os.ReadDir(filepath.Join(dir, "sub"))
	must(t, err)
	if len(list) != 300 {
		t.Fatalf("a directory of 300 lists %d", len(list))
	}
	wantErr(t, os.Remove(filepath.Join(dir, "sub")), syscall.ENOTEMPTY)
	must(t, os.RemoveAll(filepath.Join(dir, "sub")))
	_, err = os.Stat(filepath.Join(dir, "sub"))
	wantErr(t, err, os.ErrNotExist)
}

// TestCrashDropsWhatWasNotSynced writes, syncs some of it, and looks at what a crash leaves.
func TestCrashDropsWhatWasNotSynced(t *testing.T) {
	fs, dir := MountTest(t, nil)
	name := filepath.Join(dir, "f")
	f, err := os.Create(name)
	must(t, err)
	write := func(s string) {
		t.Helper()
		if _, err := f.WriteString(s); err != nil {
			t.Fatal(err)
		}
	}
	write("synced")
	must(t, f.Sync())
	wantNames(t, fs.Image(Loss{}), ".") // the directory was not
	syncPath(t, dir)
	write(", not")
	wantFile(t, fs.Image(Loss{}), "f", "synced")
	wantFile(t, fs.Image(KillLoss), "f", "synced, not")
	torn := 0
	for seed := range uint64(50) {
		got, err := fs.Image(Loss{Data: DataTorn, Seed: seed}).ReadFile("f")
		must(t, err)
		trimmed := bytes.TrimRight(got, "\x00")
		if !bytes.HasPrefix([]byte("synced, not"), trimmed) || len(trimmed) < len("synced") {
			t.Fatalf("a torn write left %q", got)
		}
		if len(trimmed) > len("synced") && len(trimmed) < len("synced, not") {
			torn++
		}
	}
	if torn == 0 {
		t.Fatal("50 seeds tore no write")
	}
	must(t, unix.Fdatasync(int(f.Fd())))
	wantFile(t, fs.Image(Loss{}), "f", "synced, not")
	must(t, os.Rename(name, filepath.Join(dir, "g")))
	wantNames(t, fs.Image(Loss{}), ".", "f")
	wantNames(t, fs.Image(Loss{Dirs: DirsKept}), ".", "g")
	syncPath(t, dir)
	wantNames(t, fs.Image(Loss{}), ".", "g")
	if c := fs.Counts(); c.Syncs != 1 || c.DataSyncs != 1 || c.DirSyncs != 2 || c.SyncPoints() != 4 {
		t.Fatalf("counted %+v", c)
	}
	must(t, f.Close())
}

// TestCrashAtSync: the file system is dead from the chosen sync on, and the image outlives it.
func TestCrashAtSync(t *testing.T) {
	fs, dir := MountTest(t, nil)
	f, err := os.Create(filepath.Join(dir, "f"))
	must(t, err)
	syncPath(t, dir)
	fs.CrashAtSync(3)
	for n := 1; ; n++ {
		_, err := fmt.Fprint(f, n)
		if err == nil {
			err = f.Sync()
		}
		if err != nil {
			wantErr(t, err, syscall.EIO)
			if n != 2 {
				t.Fatalf("crashed at write %d, want 2", n)
			}
			break
		}
	}
	<-fs.Crashed()
	_, err = f.WriteString("more")
	wantErr(t, err, syscall.EIO)
	wantErr(t, os.Remove(filepath.Join(dir, "f")), syscall.EIO)
	_ = f.Close() // may fail, as everything does now
	img := fs.Image(Loss{})
	wantFile(t, img, "f", "1")

	out := filepath.Join(t.TempDir(), "left")
	must(t, img.WriteTo(out, "."))
	got, err := os.ReadFile(filepath.Join(out, "f"))
	must(t, err)
	if string(got) != "1" {
		t.Fatalf("the image wrote %q", got)
	}
	again, dir2 := MountTest(t, &Options{Image: img})
	got, err = os.ReadFile(filepath.Join(dir2, "f"))
	must(t, err)
	if string(got) != "1" {
		t.Fatalf("a file system made from the image holds %q", got)
	}
	if lost, names := again.Image(Loss{}).Lost(); lost != 0 || names != 0 {
		t.Fatal("a fresh file system has something to lose")
	}
}

// TestRules: chosen operations fail with the chosen error, as often as they shall, and others don't.
func TestRules(t *testing.T) {
	fs, dir := MountTest(t, nil)
	fault := fs.Inject(Rule{Ops: OpAnySync, Path: "*.log", After: 1, Times: 2, Err: syscall.EIO})
	for _, name := range []string{"x.log", "x.sst"} {
		f, err := os.Create(filepath.Join(dir, name))
		must(t, err)
		failed := 0
		for range 5 {
			if err := f.Sync(); err != nil {
				wantErr(t, err, syscall.EIO)
				failed++
			}
		}
		if want := map[string]int{"x.log": 2, "x.sst": 0}[name]; failed != want {
			t.Fatalf("%d syncs of %s failed under %q, want %d", failed, name, fault, want)
		}
		must(t, f.Close())
	}
	if fault.Fired() != 2 || fault.String() != "fsync|fdatasync|dirsync of *.log: input/output error, after 1, 2 times" {
		t.Fatalf("%q fired %d times", fault, fault.Fired())
	}
	fault.Lift()
	deny := fs.Inject(Rule{Ops: OpCreate, Err: syscall.EACCES})
	wantErr(t, os.WriteFile(filepath.Join(dir, "y"), nil, 0o644), os.ErrPermission)
	deny.Lift()
	must(t, os.WriteFile(filepath.Join(dir, "y"), nil, 0o644))
}

// TestStall: a sync waits until the rule is lifted, others go on meanwhile.
func TestStall(t *testing.T) {
	fs, dir := MountTest(t, nil)
	f, err := os.Create(filepath.Join(dir, "slow"))
	must(t, err)
	stall := fs.Inject(Rule{Ops: OpSync, Path: "slow"})
	done := make(chan error, 1)
	go func() { done <- f.Sync() }()
	<-stall.Hit()
	must(t, os.WriteFile(filepath.Join(dir, "quick"), []byte("x"), 0o644))
	select {
	case err := <-done:
		t.Fatalf("a stalled sync returned %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	stall.Lift()
	must(t, <-done)
	must(t, f.Close())
}

// TestFullDisk: writes and reservations beyond the capacity fail, removing files makes room.
func TestFullDisk(t *testing.T) {
	fs, dir := MountTest(t, &Options{Capacity: 1 << 20})
	ballast := filepath.Join(dir, "ballast")
	must(t, os.WriteFile(ballast, make([]byte, 512<<10), 0o644))
	err := os.WriteFile(filepath.Join(dir, "more"), make([]byte, 600<<10), 0o644)
	wantErr(t, err, syscall.ENOSPC)
	if st, err := os.Stat(filepath.Join(dir, "more")); err != nil || st.Size() != 512<<10 {
		t.Fatalf("the part that fitted: %v, %v", st, err)
	}
	var space unix.Statfs_t
	must(t, unix.Statfs(dir, &space))
	if space.Bavail != 0 || space.Blocks != 256 {
		t.Fatalf("statfs says %d of %d blocks free", space.Bavail, space.Blocks)
	}
	f, err := os.Create(filepath.Join(dir, "reserve"))
	must(t, err)
	wantErr(t, unix.Fallocate(int(f.Fd()), 0, 0, 8192), syscall.ENOSPC)
	must(t, os.Remove(ballast))
	must(t, unix.Fallocate(int(f.Fd()), 0, 0, 8192))
	must(t, f.Close())
	fs.SetCapacity(0)
	wantErr(t, os.WriteFile(ballast, []byte("x"), 0o644), syscall.ENOSPC)
	fs.SetCapacity(1 << 20)
	must(t, os.WriteFile(ballast, []byte("x"), 0o644))
	if used, _ := fs.Used(); used != 512<<10+8192+4096 {
		t.Fatalf("%d bytes used", used)
	}
}
