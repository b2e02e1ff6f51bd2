package versioning_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/versioning"
)

func TestBatchIsAtomicOverStores(t *testing.T) {
	r := newRig(t, nil)
	ctx := t.Context()
	var buckets []*versioning.Bucket
	for i := range 3 {
		shard, err := r.eng.EnsureShard(ctx, engine.FirstUserShard+engine.ShardID(2-i))
		if err != nil {
			t.Fatal(err)
		}
		store, err := versioning.Open(shard, r.clock, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := store.Bucket(keys.BucketID(i + 1))
		if err != nil {
			t.Fatal(err)
		}
		buckets = append(buckets, b)
	}
	batch := r.store.NewBatch()
	for i, b := range buckets {
		if err := batch.Put(b, []byte("k"), fmt.Append(nil, i), nil); err != nil {
			t.Fatal(err)
		}
	}
	results, err := batch.Commit(ctx, nil)
	if err != nil || len(results) != 3 || results[0].Revision != results[2].Revision {
		t.Fatal(results, err)
	}
	// The last operation is refused, so the others must leave no trace: not in the shards, not in the caches.
	batch = r.store.NewBatch()
	for _, b := range buckets {
		if err := batch.Put(b, []byte("k"), []byte("never"), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := batch.Put(buckets[2], []byte("k"), nil, &versioning.PutOptions{IfAbsent: true}); err != nil {
		t.Fatal(err)
	}
	_, err = batch.Commit(ctx, nil)
	if opErr := (*versioning.OpError)(nil); !errors.As(err, &opErr) || opErr.Index != 3 || !errors.Is(err, versioning.ErrExists) {
		t.Fatal(err)
	}
	for i, b := range buckets {
		v, err := b.GetVersion(ctx, []byte("k"), versioning.Latest)
		if err != nil || string(v.Data) != fmt.Sprint(i) || v.Version != 1 {
			t.Fatalf("shard %d: %+v, %v", i, v, err)
		}
		if res, err := b.Put(ctx, []byte("k"), nil, nil); err != nil || res.Version != 2 {
			t.Fatalf("shard %d: %+v, %v", i, res, err)
		}
	}
}

func TestBatchSeesItself(t *testing.T) {
	r := newRig(t, nil)
	ctx, b := t.Context(), r.bucket(1)
	batch := r.store.NewBatch()
	add := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	key, value := []byte("k"), []byte("1")
	add(batch.SetSettings(b, versioning.Settings{MaxVersions: 2, Rollover: versioning.Relabel}))
	add(batch.Put(b, key, value, &versioning.PutOptions{IfAbsent: true}))
	value[0] = '2' // copied at the call
	add(batch.Put(b, key, value, nil))
	value[0] = '3'
	add(batch.Put(b, key, value, nil))
	add(batch.Delete(b, key, nil))
	add(batch.SetVacuumable(b, key, true, nil))
	add(batch.Put(b, []byte("gone"), value, nil))
	add(batch.Purge(b, []byte("gone"), nil))
	key[0] = 'x'
	results, err := batch.Commit(ctx, nil)
	if err != nil || len(results) != batch.Len() {
		t.Fatal(err)
	}
	key[0] = 'k'
	for i := 1; i < len(results); i++ {
		if i < 6 && !results[i-1].Revision.Less(results[i].Revision) && i > 1 {
			t.Errorf("revision of operation %d: %s after %s", i, results[i].Revision, results[i-1].Revision)
		}
	}
	d, err := b.Describe(ctx, key)
	if err != nil || d.Versions != 2 || !d.Deleted || !d.Vacuumable || d.WrittenBytes != 3 || d.Revision != results[5].Revision {
		t.Fatalf("%+v, %v", d, err)
	}
	if v, err := b.GetVersion(ctx, key, 1); err != nil || string(v.Data) != "3" {
		t.Fatalf("%+v, %v", v, err)
	}
	if _, err := b.Describe(ctx, []byte("gone")); !errors.Is(err, versioning.ErrNotFound) {
		t.Fatal(err)
	}
}

func TestBatchLimits(t *testing.T) {
	r := newRig(t, &versioning.Options{MaxBatchBytes: 1 << 20, MaxValueBytes: 1 << 19})
	b := r.bucket(1)
	batch := r.store.NewBatch()
	var err error
	for i := 0; err == nil && i < 10; i++ {
		err = batch.Put(b, fmt.Append(nil, i), make([]byte, 1<<19), nil)
	}
	if !errors.Is(err, engine.ErrBatchTooLarge) || batch.Len() != 1 {
		t.Fatalf("%d operations, %v", batch.Len(), err)
	}
	if _, err := batch.Commit(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := batch.Put(b, []byte("k"), nil, nil); !errors.Is(err, versioning.ErrClosed) {
		t.Fatal(err)
	}
	if results, err := r.store.NewBatch().Commit(t.Context(), nil); err != nil || results != nil {
		t.Fatal(results, err)
	}
	for _, o := range []versioning.Options{{MaxBatchBytes: -1}, {MaxValueBytes: versioning.MaxValueBytes + 1}} {
		if _, err := versioning.Open(r.store.Shard(), r.clock, &o); !errors.Is(err, versioning.ErrInvalidOptions) {
			t.Errorf("%+v: %v", o, err)
		}
	}
	if _, err := versioning.Open(nil, nil, nil); !errors.Is(err, versioning.ErrInvalidOptions) {
		t.Error(err)
	}
}

// TestCascadeTooLargeForABatch: rewriting 253 large versions does not fit into one engine batch; the
// put is refused whole, and so is only it when others share its commit.
func TestCascadeTooLargeForABatch(t *testing.T) {
	r := newRig(t, nil)
	ctx, b := t.Context(), r.bucket(1)
	if err := b.SetSettings(ctx, versioning.Settings{MaxVersions: 40, Rollover: versioning.Cascade}); err != nil {
		t.Fatal(err)
	}
	value := make([]byte, 2<<20)
	for range 40 {
		if _, err := b.Put(ctx, []byte("k"), value, noSync); err != nil {
			t.Fatal(err)
		}
	}
	before, err := b.Describe(ctx, []byte("k"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Put(ctx, []byte("k"), nil, nil); !errors.Is(err, engine.ErrBatchTooLarge) {
		t.Fatal(err)
	}
	if after, err := b.Describe(ctx, []byte("k")); err != nil || after != before {
		t.Fatalf("%+v, %v; want %+v", after, err, before)
	}
	if err := b.SetSettings(ctx, versioning.Settings{MaxVersions: 40, Rollover: versioning.Relabel}); err != nil {
		t.Fatal(err)
	}
	if res, err := b.Put(ctx, []byte("k"), nil, nil); err != nil || res.Version != 40 {
		t.Fatal(res, err)
	}
}

func TestOpsAreChecked(t *testing.T) {
	r := newRig(t, nil)
	batch := r.store.NewBatch()
	for _, op := range []versioning.Op{
		{},
		{Kind: versioning.OpPut, Key: []byte("k")},
		{Kind: 99, Bucket: 1, Key: []byte("k")},
		{Kind: versioning.OpSetVacuumable, Bucket: 1, Key: []byte("k")},
		{Kind: versioning.OpPut, Bucket: 1, Key: []byte("k"), ExpiresWallNanos: -1},
		{Kind: versioning.OpDropVersions, Bucket: 1, Key: []byte("k"), Oldest: 300},
		{Kind: versioning.OpSetSettings, Bucket: 1},
	} {
		if err := batch.Add(r.store, &op); err == nil {
			t.Errorf("%+v was accepted", op)
		}
	}
	other := newRig(t, nil)
	if err := batch.Put(other.bucket(1), []byte("k"), nil, nil); !errors.Is(err, versioning.ErrInvalidOptions) {
		t.Errorf("a bucket of another engine: %v", err)
	}
}
