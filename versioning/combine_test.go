package versioning

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
)

// openInternal opens a store for tests that look inside.
func openInternal(t *testing.T) (*Store, *Bucket) {
	t.Helper()
	store, b := openInternalAt(t, t.TempDir(), engine.Options{})
	t.Cleanup(func() {
		if err := store.eng.Close(); err != nil {
			t.Error(err)
		}
	})
	return store, b
}

// openInternalAt opens the store in dir; its engine is the caller's to close.
func openInternalAt(t *testing.T, dir string, o engine.Options) (*Store, *Bucket) {
	t.Helper()
	o.BlockCacheBytes, o.ReserveBytes = 8<<20, -1
	eng, err := engine.Open(dir, &o)
	if err != nil {
		t.Fatal(err)
	}
	shard, err := eng.EnsureShard(t.Context(), engine.FirstUserShard)
	if err != nil {
		t.Fatal(err)
	}
	clock, err := NewClock(eng, hlc.NewManual(time.Unix(1e9, 0)).Options())
	if err != nil {
		t.Fatal(err)
	}
	store, err := Open(shard, clock, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := store.Bucket(1)
	if err != nil {
		t.Fatal(err)
	}
	return store, b
}

// TestPurgeOnAFullDiskAmongPuts: what frees space gets through even if it was combined with puts.
func TestPurgeOnAFullDiskAmongPuts(t *testing.T) {
	dir := t.TempDir()
	key := []byte("k")
	store, b := openInternalAt(t, dir, engine.Options{})
	if _, err := b.Put(t.Context(), key, []byte("v"), nil); err != nil {
		t.Fatal(err)
	}
	if err := store.eng.Close(); err != nil {
		t.Fatal(err)
	}
	store, b = openInternalAt(t, dir, engine.Options{DiskFullPercent: 1, DiskFullFreeBytes: 1 << 60}) // always full
	defer store.eng.Close()
	errs := queue(t, store, &Op{Bucket: 1, Key: key}, []func() error{
		func() error { _, err := b.Put(context.Background(), key, []byte("w"), nil); return err },
		func() error { _, err := b.Purge(context.Background(), key, nil); return err },
	})
	if !errors.Is(errs[0], engine.ErrDiskFull) || errs[1] != nil {
		t.Fatalf("put: %v; purge: %v", errs[0], errs[1])
	}
	if _, err := b.Describe(t.Context(), key); !errors.Is(err, ErrNotFound) {
		t.Fatalf("behind the purge: %v", err)
	}
}

// TestPrefetchIsBounded: a batch does not read ahead more than the engine could take in one batch.
func TestPrefetchIsBounded(t *testing.T) {
	store, b := openInternal(t)
	const size, n = 1<<20 - 64, prefetchTotal>>20 + 16
	value := make([]byte, size)
	batch := store.NewBatch()
	for i := range n {
		key := fmt.Appendf(nil, "%d", i)
		if _, err := b.Put(t.Context(), key, value, &PutOptions{NoSync: true}); err != nil {
			t.Fatal(err)
		}
		if err := batch.Put(b, key, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	into := store.eng.NewBatch()
	defer into.Close()
	a := store.NewApplier(into)
	if err := a.prefetch(batch.ops); err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, st := range a.overlay.states {
		read += len(st.latest)
	}
	if read < prefetchTotal/2 || read > prefetchTotal {
		t.Fatalf("%d bytes were prefetched, the bound is %d", read, prefetchTotal)
	}
	if _, err := batch.Commit(t.Context(), nil); !errors.Is(err, engine.ErrBatchTooLarge) {
		t.Fatalf("the batch: %v", err)
	}
}

// queue holds the lock of a key, lets the writes queue up behind it in order, and releases it.
func queue(t *testing.T, s *Store, op *Op, writes []func() error) []error {
	t.Helper()
	hash := s.opHash(op)
	if _, err := s.locks.lock(t.Context(), hash, nil); err != nil {
		t.Fatal(err)
	}
	results := make([]chan error, len(writes))
	for i, write := range writes {
		results[i] = make(chan error, 1)
		go func() { results[i] <- write() }()
		for s.waiters(hash) != i+1 {
			runtime.Gosched() // it is on its way into the queue
		}
	}
	s.locks.unlock(hash)
	errs := make([]error, len(writes))
	for i := range writes {
		errs[i] = <-results[i]
	}
	return errs
}

func (s *Store) waiters(hash uint64) int {
	shard := &s.locks.shards[hash%lockShards]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	return len(shard.mu.held[hash].waiters)
}

// batches counts the batches that the engine committed.
func batches(t *testing.T, s *Store) uint64 {
	t.Helper()
	m, err := s.eng.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	return m.Commits.Batches
}

// TestCombinedWritesHaveTheirOwnOutcomes: writes that share a commit see each other, and a refused
// one does not disturb the others.
func TestCombinedWritesHaveTheirOwnOutcomes(t *testing.T) {
	s, b := openInternal(t)
	ctx, key := context.Background(), []byte("k")
	if _, err := b.Put(ctx, []byte("other"), nil, nil); err != nil { // stores the clock's bound too
		t.Fatal(err)
	}
	before := batches(t, s)
	var results [5]WriteResult
	put := func(i int, value string, o *PutOptions) func() error {
		return func() (err error) {
			results[i], err = b.Put(ctx, key, []byte(value), o)
			return err
		}
	}
	errs := queue(t, s, &Op{Kind: OpPut, Bucket: 1, Key: key}, []func() error{
		put(0, "a", nil),
		put(1, "never", &PutOptions{IfAbsent: true}),
		put(2, "c", &PutOptions{NoSync: true}),
		func() (err error) { results[3], err = b.Delete(ctx, key, nil); return err },
		put(4, "e", &PutOptions{IfAbsent: true}),
	})
	if errs[0] != nil || !errors.Is(errs[1], ErrExists) || errs[2] != nil || errs[3] != nil || errs[4] != nil {
		t.Fatal(errs)
	}
	if got := batches(t, s) - before; s.Metrics().Combined != 4 || got != 1 {
		t.Fatalf("%+v in %d commits", s.Metrics(), got)
	}
	for i, want := range []int{1, 0, 2, 3, 4} {
		if results[i].Version != want {
			t.Errorf("write %d: version %d, want %d", i, results[i].Version, want)
		}
	}
	for n, want := range []string{"a", "c", "", "e"} {
		if v, err := b.GetVersion(ctx, key, n+1); err != nil || string(v.Data) != want {
			t.Errorf("version %d: %q, %v; want %q", n+1, v.Data, err, want)
		}
	}
}

// TestACombinedWriteThatBreaksTheBatchFailsAlone: a cascade over versions that do not fit into one
// engine batch is refused, and the writes that shared its commit are done without it.
func TestACombinedWriteThatBreaksTheBatchFailsAlone(t *testing.T) {
	s, b := openInternal(t)
	ctx, key := context.Background(), []byte("k")
	if err := b.SetSettings(ctx, Settings{MaxVersions: 8, Rollover: Cascade}); err != nil {
		t.Fatal(err)
	}
	value := make([]byte, 12<<20)
	for range 8 {
		if _, err := b.Put(ctx, key, value, &PutOptions{NoSync: true}); err != nil {
			t.Fatal(err)
		}
	}
	put := func() error { _, err := b.Put(ctx, key, []byte("small"), nil); return err }
	errs := queue(t, s, &Op{Kind: OpPut, Bucket: 1, Key: key}, []func() error{
		func() error { _, err := b.SetVacuumable(ctx, key, true, nil); return err },
		put,
		func() error { _, err := b.DropVersions(ctx, key, 8, nil); return err },
		put,
	})
	if errs[0] != nil || !errors.Is(errs[1], engine.ErrBatchTooLarge) || errs[2] != nil || errs[3] != nil {
		t.Fatal(errs)
	}
	d, err := b.Describe(ctx, key)
	if err != nil || d.Versions != 8 || d.Oldest != 7 || !d.Vacuumable || d.LatestBytes != 5 {
		t.Fatalf("%+v, %v", d, err)
	}
}

// TestACombinedWriteThatOnlyDoesNotFitIsDoneByItself: one that the others left no room for is not too large.
func TestACombinedWriteThatOnlyDoesNotFitIsDoneByItself(t *testing.T) {
	s, b := openInternal(t)
	ctx, key := context.Background(), []byte("k")
	if err := b.SetSettings(ctx, Settings{MaxVersions: 5, Rollover: Cascade}); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if _, err := b.Put(ctx, key, make([]byte, 16_500_000), &PutOptions{NoSync: true}); err != nil {
			t.Fatal(err)
		}
	}
	// The first put makes 66.9 MB of the batch's 67.1; the first record of the second one needs 0.9.
	errs := queue(t, s, &Op{Kind: OpPut, Bucket: 1, Key: key}, []func() error{
		func() error { _, err := b.Put(ctx, key, make([]byte, 900_000), nil); return err },
		func() error { _, err := b.Put(ctx, key, []byte("small"), nil); return err },
	})
	if errs[0] != nil || errs[1] != nil || s.Metrics().Combined != 1 {
		t.Fatal(errs, s.Metrics())
	}
}
