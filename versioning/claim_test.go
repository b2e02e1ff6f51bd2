package versioning_test

import (
	"errors"
	"testing"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/versioning"
)

// TestSecondWriterIsRefused: two stores on one shard would lose each other's writes.
func TestSecondWriterIsRefused(t *testing.T) {
	r := newRig(t, nil)
	first, err := r.store.Bucket(7)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Put(t.Context(), []byte("k"), []byte("first"), nil); err != nil {
		t.Fatal(err)
	}
	second, err := versioning.Open(r.store.Shard(), r.clock, nil)
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := second.Bucket(first.ID())
	if err != nil {
		t.Fatal(err)
	}
	if v, err := bucket.Get(t.Context(), []byte("k")); err != nil || string(v.Data) != "first" {
		t.Fatalf("a second store reads %q, %v", v.Data, err)
	}
	_, err = bucket.Put(t.Context(), []byte("k"), []byte("second"), nil)
	if !errors.Is(err, engine.ErrClaimed) || !errors.Is(err, base.ErrConflict) {
		t.Fatalf("a second writer got %v", err)
	}
	batch := second.NewBatch()
	if err := batch.Put(bucket, []byte("k"), []byte("second"), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := batch.Commit(t.Context(), nil); !errors.Is(err, engine.ErrClaimed) {
		t.Fatalf("a second writer's batch got %v", err)
	}
	r.store.Close()
	if _, err := bucket.Put(t.Context(), []byte("k"), []byte("second"), nil); err != nil {
		t.Fatalf("after the first store was closed: %v", err)
	}
	if d, err := bucket.Describe(t.Context(), []byte("k")); err != nil || d.Versions != 2 {
		t.Fatalf("%+v, %v", d, err)
	}
}
