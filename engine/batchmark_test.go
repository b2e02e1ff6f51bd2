package engine_test

import (
	"context"
	"errors"
	"testing"

	"github.com/shieldmaidens/pleiades/engine"
)

// TestRollbackOfABatch: what was added behind a mark is not written, what comes after the rollback is.
func TestRollbackOfABatch(t *testing.T) {
	eng, err := engine.Open(t.TempDir(), &engine.Options{BlockCacheBytes: 1 << 20, MemtableBytes: 1 << 20, ReserveBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	}()
	shard, err := eng.EnsureShard(context.Background(), engine.FirstUserShard)
	if err != nil {
		t.Fatal(err)
	}
	b := eng.NewBatch()
	defer b.Close()
	put := func(key string) {
		t.Helper()
		if err := b.Put(shard, []byte(key), []byte("v")); err != nil {
			t.Fatal(err)
		}
	}
	put("a")
	mark := b.Mark()
	put("b")
	if err := b.DeleteRange(shard, []byte("a"), []byte("z")); err != nil {
		t.Fatal(err)
	}
	b.Rollback(mark)
	put("c")
	if b.Count() != 2 {
		t.Fatalf("%d records, want 2", b.Count())
	}
	if err := eng.Commit(t.Context(), b, engine.Sync); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]error{"a": nil, "b": engine.ErrNotFound, "c": nil} {
		if _, err := shard.Get(nil, []byte(key), nil); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", key, err, want)
		}
	}
}
