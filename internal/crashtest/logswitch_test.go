package crashtest

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/internal/faultfs"
)

// TestLogSwitchFails: RocksDB goes on to a new log when memtables are full, and the disk refuses: the new
// log can't be made, or the old one can't be synced. RocksDB 7.8 loses count of its families there when
// several are full at once, and builds with assertions abort in Close (engine/DESIGN.md, "A full disk").
func TestLogSwitchFails(t *testing.T) {
	faultfs.Require(t)
	for _, c := range []struct {
		rule faultfs.Rule
		by   []string // what goes on to the new log
	}{
		{faultfs.Rule{Ops: faultfs.OpCreate, Path: "*.log", Err: syscall.EIO}, []string{"put", "flush"}},
		{faultfs.Rule{Ops: faultfs.OpCreate, Path: "*.log", Err: syscall.EIO, Times: 1}, []string{"put"}},
		{faultfs.Rule{Ops: faultfs.OpCreate, Path: "*.log", Err: syscall.ENOSPC, Times: 1}, []string{"put"}},
		{faultfs.Rule{Ops: faultfs.OpDataSync, Path: "*.log", Err: syscall.EIO, Times: 1}, []string{"put", "flush"}},
		{faultfs.Rule{Ops: faultfs.OpDataSync, Path: "*.log", Err: syscall.ENOSPC}, []string{"put"}},
		{faultfs.Rule{Ops: faultfs.OpDirSync, Err: syscall.EIO, Times: 1}, []string{"put"}},
	} {
		for _, by := range c.by {
			t.Run(by+"/"+strings.ReplaceAll(c.rule.String(), " ", "_"), func(t *testing.T) {
				t.Parallel() // RocksDB sleeps for a second after a flush that failed
				logSwitchFails(t, c.rule, by)
			})
		}
	}
}

// TestClosedLogIsSyncedOnce: a log is synced when the next one begins. RocksDB's flushes would sync it
// again; if that failed beside a synced write, builds with assertions would abort.
func TestClosedLogIsSyncedOnce(t *testing.T) {
	s, fs, _ := openShell(t, 256<<20)
	s.want("ok", "spread first 10") // several families: with one alone, a flush syncs no log
	fault := fs.Inject(faultfs.Rule{Ops: faultfs.OpDataSync | faultfs.OpSync, Path: "*.log", After: 1, Err: syscall.EIO})
	s.want("ok", "flush")
	if n := fault.Fired(); n != 0 {
		t.Errorf("a flush has synced logs %d times, want once", n+1)
	}
	s.want("err unknown:", "put during 10") // the rule does work
	s.want("ok 10", "get first")
}

// TestFlushesAfterALogFailed: flushes on a store whose log has failed are refused. Builds with assertions
// would abort in the second one, if the first fails after it has looked at the memtable's range deletes.
func TestFlushesAfterALogFailed(t *testing.T) {
	s, fs, _ := openShell(t, 256<<20)
	s.want("ok", "put before 10")
	s.want("ok", "ranges")
	fs.Inject(faultfs.Rule{Ops: faultfs.OpWrite, Path: "*.log", Err: syscall.EIO, Times: 1})
	s.want("err unknown:", "put during 10")
	s.want("err", "flush")
	s.want("err", "flush")
	s.want("err", "compact")
	s.want("ok 10", "get before")
	if got := s.do("close"); got != "ok" && !strings.HasPrefix(got, "err") {
		t.Fatal(got)
	}
	s.want("err", "get before") // the process lives
	verifyKeys(t, fs, map[string]int{"before": 10})
}

// TestManifestFails: what a manifest that could not be synced names stays, because the manifest may be
// there after a crash.
func TestManifestFails(t *testing.T) {
	faultfs.Require(t)
	for after := range 3 {
		for _, times := range []int{1, 0} {
			t.Run(fmt.Sprintf("after=%d/times=%d", after, times), func(t *testing.T) {
				s, fs, dir := openShell(t, 256<<20)
				s.want("ok", "put before 10")
				s.want("ok", "flush")
				fault := fs.Inject(faultfs.Rule{Ops: faultfs.OpAnySync, Path: "MANIFEST-*", Err: syscall.EIO, After: after, Times: times})
				if got := s.do("clone"); fault.Fired() > 0 && !strings.HasPrefix(got, "err") {
					t.Errorf("a clone whose manifest could not be synced: %q", got)
				}
				verifySwitch(t, fs)
				fault.Lift()
				s.do("clone") // succeeds where RocksDB goes on with another manifest
				verifySwitch(t, fs)
				s.kill()
				verifySwitch(t, fs)
				s = startShell(t, dir)
				s.event("open")
				s.want("ok 10", "get before")
				s.want("ok", "clone")
				s.want("ok", "close")
			})
		}
	}
}

func logSwitchFails(t *testing.T, rule faultfs.Rule, by string) {
	s, fs, dir := openShell(t, 256<<20)
	s.want("ok", "put before 10")
	s.want("ok", "spread first 10") // makes the other shards
	full := ""
	if rule.Err == syscall.ENOSPC {
		full = "diskfull,"
	}
	s.want("ok", "spread filler 150000") // four memtables are full now; the next write goes on to a new log
	fault := fs.Inject(rule)
	if by == "flush" {
		s.want("err", "flush")
		s.want("err "+full+"notwritten:", "put during 10")
	} else {
		s.want("err "+full+"unknown:", "put during 10")
	}
	if fault.Fired() == 0 {
		t.Fatal("the rule never fired")
	}
	s.want("err "+full+"notwritten:", "put later 10")
	s.want("err", "flush")
	s.want("err", "err")
	s.want("ok 150000", "get filler")
	fault.Lift() // what the disk can do again must not let anything be written behind the gap
	s.want("err "+full+"notwritten:", "put later 10")
	s.want("err", "flush")
	verifySwitch(t, fs)
	if got := s.do("close"); got != "ok" && !strings.HasPrefix(got, "err") {
		t.Fatal(got)
	}
	s.want("err", "get before") // the process lives
	verifySwitch(t, fs)
	s.kill()
	verifySwitch(t, fs)

	s = startShell(t, dir)
	s.event("open")
	s.want("ok 10", "get before")
	s.want("ok 150000", "get filler")
	s.want("ok", "put after 10")
	s.want("ok", "flush")
	s.want("ok", "close")
}

// verifySwitch looks at what the machine's death and the process's would leave now: all that was
// acknowledged, and of the unsynced batch over four shards all or nothing.
func verifySwitch(t *testing.T, fs *faultfs.FS) {
	t.Helper()
	states := []*State{{Number: 0, Image: fs.Image(faultfs.KillLoss)}}
	for seed := range uint64(8) {
		data := []faultfs.DataLoss{faultfs.DataDropped, faultfs.DataPrefix, faultfs.DataScattered}[seed%3]
		loss := faultfs.Loss{Data: data, Dirs: faultfs.DirsKept, Seed: seed}
		states = append(states, &State{Number: 1 + int(seed), Image: fs.Image(loss)})
	}
	Verify(t, states, func(dir string, st *State) (err error) {
		e, err := engine.Open(filepath.Join(dir, "store"), smallOptions())
		if err != nil && zeroedManifest(st, err) {
			return ErrRefused
		}
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, e.Close()) }()
		have, shards := map[string]int{}, 0
		for id := engine.ShardID(1001); id <= 1004; id++ {
			sh, err := e.Shard(id)
			if errors.Is(err, engine.ErrShardNotFound) && id > 1001 {
				continue
			}
			shards++
			if err != nil {
				return err
			}
			for _, key := range []string{"before", "first", "filler", "later"} {
				switch _, err := sh.Get(nil, []byte(key), nil); {
				case err == nil:
					have[key]++
				case !errors.Is(err, engine.ErrNotFound):
					return fmt.Errorf("%s: %w", key, err)
				}
			}
		}
		killed := st.Number == 0
		switch {
		case have["before"] != 1 || have["first"] != 4 && killed && shards == 4:
			return fmt.Errorf("acknowledged writes are missing: %v", have)
		case have["filler"] != 4 && (killed && shards == 4 || have["filler"] != 0):
			return fmt.Errorf("half of a batch: %v", have)
		case have["filler"] > 0 && have["first"] == 0:
			return fmt.Errorf("an unsynced write without the one before: %v", have)
		case have["later"] != 0:
			return fmt.Errorf("a write that was refused: %v", have)
		}
		return nil
	})
}
