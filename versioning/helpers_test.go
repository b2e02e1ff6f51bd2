package versioning_test

import (
	"context"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/versioning"
)

// TestMain runs the child of a crash test when the environment names a directory, and else the tests.
func TestMain(m *testing.M) {
	if dir := os.Getenv(crashEnv); dir != "" {
		crashChild(dir)
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// start is where the manual clock of every test begins.
var start = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// rig is one engine with one store on one shard, which can be closed and opened again.
type rig struct {
	tb    testing.TB
	dir   string
	wall  *hlc.Manual
	opts  *versioning.Options
	eng   *engine.Engine
	clock *hlc.Clock
	store *versioning.Store
}

// smallEngine keeps test engines small.
func smallEngine() *engine.Options {
	return &engine.Options{BlockCacheBytes: 8 << 20, MemtableBytes: 16 << 20, BackgroundJobs: 2, ReserveBytes: -1}
}

// newRig opens a store in a fresh directory. When the test ends, everything is checked and closed;
// a leaked handle fails the test.
func newRig(tb testing.TB, opts *versioning.Options) *rig {
	tb.Helper()
	r := &rig{tb: tb, dir: tb.TempDir(), wall: hlc.NewManual(start), opts: opts}
	r.open()
	tb.Cleanup(func() {
		if r.eng == nil {
			return
		}
		if !tb.Failed() {
			r.check()
		}
		r.close()
	})
	return r
}

func (r *rig) open() {
	r.tb.Helper()
	var err error
	if r.eng, err = engine.Open(r.dir, smallEngine()); err != nil {
		r.tb.Fatal(err)
	}
	shard, err := r.eng.EnsureShard(context.Background(), engine.FirstUserShard)
	if err != nil {
		r.tb.Fatal(err)
	}
	if r.clock, err = versioning.NewClock(r.eng, r.wall.Options()); err != nil {
		r.tb.Fatal(err)
	}
	if r.store, err = versioning.Open(shard, r.clock, r.opts); err != nil {
		r.tb.Fatal(err)
	}
}

func (r *rig) close() {
	r.tb.Helper()
	r.store.Close()
	if err := r.clock.Close(); err != nil {
		r.tb.Error(err)
	}
	if err := r.eng.Close(); err != nil {
		r.tb.Error(err)
	}
	r.eng = nil
}

func (r *rig) reopen() {
	r.tb.Helper()
	r.close()
	r.open()
}

// check verifies every invariant of the shard.
func (r *rig) check() {
	r.tb.Helper()
	report, err := versioning.Check(context.Background(), r.store.Shard(), nil)
	if err != nil {
		r.tb.Fatal(err)
	}
	for _, f := range report.Findings {
		r.tb.Errorf("check: %v", f)
	}
}

func (r *rig) bucket(id keys.BucketID) *versioning.Bucket {
	r.tb.Helper()
	b, err := r.store.Bucket(id)
	if err != nil {
		r.tb.Fatal(err)
	}
	return b
}

// records returns how many records the engine has committed.
func (r *rig) records() uint64 {
	r.tb.Helper()
	m, err := r.eng.Metrics()
	if err != nil {
		r.tb.Fatal(err)
	}
	return m.Commits.Records
}
