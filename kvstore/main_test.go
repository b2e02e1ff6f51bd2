package kvstore_test

import (
	"context"
	"testing"
	"time"

	"go.uber.org/goleak"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/kvstore"
	"github.com/shieldmaidens/pleiades/versioning"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// begin is where the manual clock of every test begins.
var begin = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// smallEngine keeps test engines small.
func smallEngine() *engine.Options {
	return &engine.Options{BlockCacheBytes: 8 << 20, MemtableBytes: 16 << 20, BackgroundJobs: 2, ReserveBytes: -1}
}

// rig is one store on an engine of its own, which can be closed and opened again.
type rig struct {
	tb    testing.TB
	dir   string
	wall  *hlc.Manual
	opts  *kvstore.Options
	full  bool // the disk is, from the next opening on
	eng   *engine.Engine
	clock *hlc.Clock
	store *kvstore.Store
}

func newRig(tb testing.TB, opts *kvstore.Options) *rig {
	tb.Helper()
	r := &rig{tb: tb, dir: tb.TempDir(), wall: hlc.NewManual(begin), opts: opts}
	r.open()
	tb.Cleanup(r.close)
	return r
}

func (r *rig) openEngine() {
	r.tb.Helper()
	var err error
	opts := smallEngine()
	if r.full {
		opts.DiskFullPercent, opts.DiskFullFreeBytes = 1, 1<<60
	}
	if r.eng, err = engine.Open(r.dir, opts); err != nil {
		r.tb.Fatal(err)
	}
	if r.clock, err = versioning.NewClock(r.eng, r.wall.Options()); err != nil {
		r.tb.Fatal(err)
	}
}

func (r *rig) open() {
	r.tb.Helper()
	r.openEngine()
	var err error
	if r.store, err = kvstore.Open(r.eng, r.clock, r.opts); err != nil {
		r.tb.Fatal(err)
	}
}

func (r *rig) close() {
	r.tb.Helper()
	if r.eng == nil {
		return
	}
	if r.store != nil {
		if err := r.store.Close(); err != nil {
			r.tb.Error(err)
		}
	}
	if err := r.clock.Close(); err != nil {
		r.tb.Error(err)
	}
	if err := r.eng.Close(); err != nil {
		r.tb.Error(err)
	}
	r.eng, r.store = nil, nil
}

func (r *rig) reopen() {
	r.tb.Helper()
	r.close()
	r.open()
}

// get returns a key's value, and the error.
func (r *rig) get(bucket uint64, key string) (value string, err error) {
	r.tb.Helper()
	err = r.store.Get(context.Background(), &kvstorev1.GetRequest{BucketId: bucket, Key: []byte(key)}, func(g *kvstorev1.GetResponse) error {
		value = string(g.Value)
		return nil
	})
	return value, err
}

// put writes a value and fails the test when that fails.
func (r *rig) put(bucket uint64, key, value string) *kvstorev1.WriteResponse {
	r.tb.Helper()
	w, err := r.store.Put(context.Background(), kvstore.Caller{}, &kvstorev1.PutRequest{BucketId: bucket, Key: []byte(key), Value: []byte(value)})
	if err != nil {
		r.tb.Fatal(err)
	}
	return w
}

// bucket makes a bucket in the default account and returns its id.
func (r *rig) bucket(name string, settings *kvstorev1.BucketSettings) uint64 {
	r.tb.Helper()
	b, err := r.store.CreateBucket(context.Background(), kvstore.Caller{}, &kvstorev1.CreateBucketRequest{Name: name, Settings: settings})
	if err != nil {
		r.tb.Fatal(err)
	}
	return b.Id
}
