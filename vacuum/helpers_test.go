package vacuum_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/versioning"
)

func TestMain(m *testing.M) {
	if crashChild() {
		return
	}
	goleak.VerifyTestMain(m)
}

// epoch is where the manual clock of every test begins.
var epoch = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// rig is one engine with one store, on a manual clock.
type rig struct {
	tb    testing.TB
	dir   string
	wall  *hlc.Manual
	eng   *engine.Engine
	clock *hlc.Clock
	store *versioning.Store
}

func newRig(tb testing.TB) *rig {
	tb.Helper()
	r := &rig{tb: tb, dir: tb.TempDir(), wall: hlc.NewManual(epoch)}
	r.open()
	tb.Cleanup(func() {
		if r.eng != nil {
			r.check()
			r.close()
		}
	})
	return r
}

func (r *rig) must(err error) {
	r.tb.Helper()
	if err != nil {
		r.tb.Fatal(err)
	}
}

func (r *rig) open() {
	r.tb.Helper()
	var err error
	r.eng, r.clock, r.store, err = openStore(r.dir, r.wall.Options())
	r.must(err)
}

// openStore opens an engine with one store on its first shard.
func openStore(dir string, opts *hlc.Options) (*engine.Engine, *hlc.Clock, *versioning.Store, error) {
	eng, err := engine.Open(dir, &engine.Options{
		BlockCacheBytes: 8 << 20, MemtableBytes: 16 << 20, BackgroundJobs: 2, ReserveBytes: -1,
	})
	if err != nil {
		return nil, nil, nil, err
	}
	shard, err := eng.EnsureShard(context.Background(), engine.FirstUserShard)
	if err != nil {
		return nil, nil, nil, err
	}
	clock, err := versioning.NewClock(eng, opts)
	if err != nil {
		return nil, nil, nil, err
	}
	store, err := versioning.Open(shard, clock, nil)
	return eng, clock, store, err
}

func (r *rig) close() {
	r.tb.Helper()
	r.store.Close()
	r.must(r.clock.Close())
	r.must(r.eng.Close())
	r.eng = nil
}

// check verifies every invariant of the store.
func (r *rig) check() {
	r.tb.Helper()
	report, err := versioning.Check(context.Background(), r.store.Shard(), nil)
	r.must(err)
	for _, f := range report.Findings {
		r.tb.Errorf("check: %v", f)
	}
}

func (r *rig) bucket(id keys.BucketID) *versioning.Bucket {
	r.tb.Helper()
	b, err := r.store.Bucket(id)
	r.must(err)
	return b
}

// put writes versions first..last of a key, one a second, with contents that name them.
func (r *rig) put(b *versioning.Bucket, key string, first, last int, opts versioning.PutOptions) {
	r.tb.Helper()
	opts.NoSync = true
	for n := first; n <= last; n++ {
		_, err := b.Put(context.Background(), []byte(key), fmt.Appendf(nil, "%s value %d", key, n), &opts)
		r.must(err)
		r.wall.Advance(time.Second)
	}
}

// keyState is one key as read back through the store's own API.
type keyState struct {
	desc     versioning.Descriptor
	versions []versioning.Value // oldest first, with data
}

// state reads a whole bucket.
func (r *rig) state(b *versioning.Bucket) map[string]keyState {
	r.tb.Helper()
	ctx := context.Background()
	all := map[string]keyState{}
	for e, err := range b.Scan(ctx, &versioning.ScanOptions{Deleted: true}) {
		r.must(err)
		st := keyState{desc: e.Descriptor}
		for v, err := range b.History(ctx, e.Key, &versioning.HistoryOptions{OldestFirst: true, Values: true}) {
			r.must(err)
			st.versions = append(st.versions, v)
		}
		all[string(e.Key)] = st
	}
	return all
}

// stored counts the version records of a bucket, and their bytes, straight from the engine.
func (r *rig) stored(b *versioning.Bucket) (versions, size int64) {
	r.tb.Helper()
	bounds := keys.BucketBounds(b.ID())
	it, err := r.store.Shard().NewIterator(&engine.IterOptions{Lower: bounds.Lower, Upper: bounds.Upper})
	r.must(err)
	for ok := it.First(); ok; ok = it.Next() {
		rec, err := keys.Parse(nil, it.Key())
		r.must(err)
		if rec.Kind == keys.KindLatest || rec.Kind == keys.KindVersion {
			versions++
			size += int64(len(it.Key()) + len(it.Value()))
		}
	}
	r.must(it.Close())
	return versions, size
}

func ptr[T any](v T) *T { return &v }
