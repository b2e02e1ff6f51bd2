package engine

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
)

// TestCloneUnderWriters: a clone holds everything that was acknowledged before it began, and of what
// ran beside it a prefix of each writer's batches, each whole.
func TestCloneUnderWriters(t *testing.T) {
	const writers, clones, batches, rowsPerBatch = 64, 12, 60, 3
	e := openTemp(t)
	src := mustShard(t, e, 1001)
	var acked [writers]atomic.Int64
	for i := range clones {
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for range batches {
					n := acked[w].Load()
					b := e.NewBatch()
					var err error
					for row := range rowsPerBatch {
						err = errors.Join(err, b.Put(src, fmt.Appendf(nil, "%02d-%08d-%d", w, n, row), []byte("v")))
					}
					err = errors.Join(err, e.Commit(t.Context(), b, NoSync))
					b.Close()
					if err != nil {
						t.Error(err)
						return
					}
					acked[w].Store(n + 1)
				}
			})
		}
		var before [writers]int64
		for w := range before {
			before[w] = acked[w].Load()
		}
		clone, err := e.CloneShard(t.Context(), src, ShardID(2000+i))
		wg.Wait()
		if err != nil {
			t.Fatalf("clone: %v", err)
		}
		checkPrefix(t, clone, before[:], rowsPerBatch)
		if t.Failed() {
			return
		}
	}
}

// checkPrefix checks that the shard holds batches 0..n-1 of each writer, n at least atLeast[w].
func checkPrefix(t *testing.T, s *Shard, atLeast []int64, rowsPerBatch int) {
	t.Helper()
	it, err := s.NewIterator(&IterOptions{KeysOnly: true})
	if err != nil {
		t.Error(err)
		return
	}
	defer it.Close()
	rows := make([]int64, len(atLeast))
	for ok := it.First(); ok; ok = it.Next() {
		var w, row int
		var n int64
		if _, err := fmt.Sscanf(string(it.Key()), "%d-%d-%d", &w, &n, &row); err != nil {
			t.Errorf("key %q: %v", it.Key(), err)
			return
		}
		if want := rows[w]; n != want/int64(rowsPerBatch) || int64(row) != want%int64(rowsPerBatch) {
			t.Errorf("writer %d: found batch %d row %d after %d rows: a gap", w, n, row, want)
			return
		}
		rows[w]++
	}
	if err := it.Err(); err != nil {
		t.Error(err)
	}
	for w, n := range rows {
		if n%int64(rowsPerBatch) != 0 {
			t.Errorf("writer %d: a batch is half there", w)
		}
		if n/int64(rowsPerBatch) < atLeast[w] {
			t.Errorf("writer %d: %d batches in the clone, %d were acknowledged before it", w, n/int64(rowsPerBatch), atLeast[w])
		}
	}
}

// TestCloneIsIndependent: neither side sees the other's later writes, and dropping one harms nothing.
func TestCloneIsIndependent(t *testing.T) {
	dir := t.TempDir()
	e := openAt(t, dir, nil)
	src := mustShard(t, e, 1001)
	mustPut(t, e, src, Sync, "a", "1", "b", "2")
	clone, err := e.CloneShard(t.Context(), src, 1002)
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, e, src, Sync, "a", "src")
	mustPut(t, e, clone, Sync, "b", "clone")
	empty := mustShard(t, e, 1003)
	if _, err := e.CloneShard(t.Context(), empty, 1004); err != nil {
		t.Fatalf("clone of an empty shard: %v", err)
	}
	_, err = e.CloneShard(t.Context(), src, 1002)
	wantErr(t, err, ErrShardExists)
	_, err = e.CloneShard(t.Context(), e.Local(), 1009)
	wantErr(t, err, ErrInvalid)
	if err := e.DropShard(t.Context(), 1001); err != nil {
		t.Fatal(err)
	}
	closeClean(t, e)
	e = openAt(t, dir, nil)
	clone = mustShard(t, e, 1002)
	wantGet(t, clone, "a", "1")
	wantGet(t, clone, "b", "clone")
	_, err = e.Shard(1004)
	wantErr(t, err, nil)
}

// BenchmarkClone measures cloning a shard of 64 MiB while n other shards exist: O(files), not O(bytes).
func BenchmarkClone(b *testing.B) {
	for _, others := range []int{0, 100} {
		b.Run(fmt.Sprintf("shards=%d", others), func(b *testing.B) {
			e := openAt(b, b.TempDir(), &Options{ReserveBytes: -1, Compression: CompressionNone})
			for i := range others {
				mustShard(b, e, ShardID(5000+i))
			}
			src := mustShard(b, e, 1001)
			value := make([]byte, 64<<10)
			for i := range 1024 {
				mustPut(b, e, src, NoSync, fmt.Sprintf("%06d", i), string(value))
			}
			if err := src.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := e.CloneShard(b.Context(), src, 1002); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := e.DropShard(b.Context(), 1002); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}
