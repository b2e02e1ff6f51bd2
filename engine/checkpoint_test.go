package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestCheckpointOpens(t *testing.T) {
	ctx := context.Background()
	e, s := newReadingShard(t)
	rows := map[string]string{}
	for i := range 300 {
		rows[string(keyOf(i))] = "first"
	}
	put(t, e, s, rows)
	flush(t, s)
	rows["unflushed"] = "in the log"
	put(t, e, s, map[string]string{"unflushed": "in the log"})
	if _, err := e.StageShard(ctx, FirstUserShard+1); err != nil { // a leftover for the copy
		t.Fatal(err)
	}
	want := maps.Clone(rows)
	parent := t.TempDir()
	dir := filepath.Join(parent, "copy")
	if err := e.Checkpoint(ctx, dir); err != nil {
		t.Fatal(err)
	}
	put(t, e, s, map[string]string{string(keyOf(0)): "second"})
	if left, err := os.ReadDir(parent); err != nil || len(left) != 1 {
		t.Errorf("the checkpoint left %v, %v", left, err)
	}

	copied := openReading(t, dir)
	c, err := copied.Shard(FirstUserShard)
	if err != nil {
		t.Fatal(err)
	}
	wantContents(t, c, want)
	put(t, copied, c, map[string]string{string(keyOf(1)): "third"})
	if len(copied.Shards()) != 1 {
		t.Errorf("the copy has shards %v", copied.Shards())
	}
	// They are apart: neither sees the other's writes.
	wantGet(t, s, string(keyOf(0)), "second")
	wantGet(t, s, string(keyOf(1)), "first")
	wantGet(t, c, string(keyOf(0)), "first")
}

func TestCheckpointRefuses(t *testing.T) {
	e, _ := newReadingShard(t)
	dir := t.TempDir()
	if err := e.Checkpoint(context.Background(), dir); !errors.Is(err, ErrDirExists) {
		t.Errorf("checkpoint into an existing directory: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := e.Checkpoint(ctx, filepath.Join(dir, "x")); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := e.Checkpoint(context.Background(), filepath.Join(dir, "no", "parent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("below a missing directory: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("refused checkpoints left %v", left)
	}
	if e.Err() != nil {
		t.Errorf("they stopped the engine: %v", e.Err())
	}
}

// TestCheckpointUnderLoad takes checkpoints while batches over two shards are committed: every copy
// opens and holds whole batches, at least those committed before.
func TestCheckpointUnderLoad(t *testing.T) {
	ctx := context.Background()
	e, a := newReadingShard(t)
	b := mustShard(t, e, FirstUserShard+1)
	commit := func(n int) {
		write(t, e, func(batch *Batch) {
			v := fmt.Appendf(nil, "%08d", n)
			if err := errors.Join(batch.Put(a, []byte("k"), v), batch.Put(b, []byte("k"), v)); err != nil {
				t.Error(err)
			}
		})
	}
	commit(0)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Add(1)
	go func() {
		defer wg.Done()
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			default:
				commit(n)
			}
		}
	}()
	for range 5 {
		before, err := a.Get(nil, []byte("k"), nil)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Join(t.TempDir(), "copy")
		if err := e.Checkpoint(ctx, dir); err != nil {
			t.Fatal(err)
		}
		copied := openReading(t, dir)
		var got [2]string
		for i := range got {
			s, err := copied.Shard(FirstUserShard + ShardID(i))
			if err != nil {
				t.Fatal(err)
			}
			v, err := s.Get(nil, []byte("k"), nil)
			if err != nil {
				t.Fatal(err)
			}
			got[i] = string(v)
		}
		if got[0] != got[1] || got[0] < string(before) {
			t.Errorf("the copy holds %v, committed before it was %s", got, before)
		}
		closeReading(t, copied)
	}
	close(stop)
	wg.Wait()
}
