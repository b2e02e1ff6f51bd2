package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"testing"
)

// incompressible puts n rows of the given size that compression can't shrink.
func incompressible(t testing.TB, e *Engine, s *Shard, n, size int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(9, 9))
	for from := 0; from < n; from += 500 {
		write(t, e, func(b *Batch) {
			for i := from; i < min(n, from+500); i++ {
				v := make([]byte, size)
				for j := range v {
					v[j] = byte(rng.Uint32())
				}
				if err := b.Put(s, keyOf(i), v); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestCompactReclaims(t *testing.T) {
	ctx := context.Background()
	e, s := newReadingShard(t)
	incompressible(t, e, s, 4000, 500)
	flush(t, s)
	size := func() uint64 {
		t.Helper()
		m, err := s.Metrics()
		if err != nil {
			t.Fatal(err)
		}
		return m.TableBytes
	}
	before := size()
	write(t, e, func(b *Batch) {
		if err := b.DeleteRange(s, keyOf(0), keyOf(3000)); err != nil {
			t.Fatal(err)
		}
	})
	if err := s.Compact(ctx, nil, nil); err != nil {
		t.Fatal(err)
	}
	if after := size(); after > before/3 {
		t.Errorf("%d of %d bytes are left after three quarters were deleted", after, before)
	}
	if n := len(contents(t, s, nil)); n != 1000 {
		t.Errorf("%d rows", n)
	}
	cut, cancel := context.WithCancel(ctx)
	cancel()
	if err := s.Compact(cut, nil, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := s.Flush(cut); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled flush: %v", err)
	}
	if err := s.Compact(ctx, []byte("b"), []byte("a")); err != nil {
		t.Errorf("inverted range: %v", err)
	}
}

// TestCompactIsCancelled cancels compactions that are under way; the shard is whole afterwards.
func TestCompactIsCancelled(t *testing.T) {
	e, s := newReadingShard(t)
	incompressible(t, e, s, 20_000, 300)
	cancelled := 0
	for range 20 {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- s.Compact(ctx, nil, nil) }()
		for e.property(nil, "rocksdb.num-running-compactions") == 0 && len(done) == 0 {
		}
		cancel()
		switch err := <-done; {
		case errors.Is(err, context.Canceled):
			cancelled++
		case err != nil:
			t.Fatal(err)
		}
	}
	if cancelled == 0 {
		t.Error("no compaction was cancelled")
	}
	if e.Err() != nil {
		t.Fatalf("a cancelled compaction stopped the engine: %v", e.Err())
	}
	if n := len(contents(t, s, nil)); n != 20_000 {
		t.Errorf("%d rows", n)
	}
	incompressible(t, e, s, 100, 100)
}

func TestApproximateSize(t *testing.T) {
	e, s := newReadingShard(t)
	const n, size = 8000, 500
	near := func(lo, hi []byte, want uint64) {
		t.Helper()
		got, err := s.ApproximateSize(lo, hi)
		if err != nil || got < want*7/10 || got > want*13/10 {
			t.Errorf("size of [%q, %q) is %d, want about %d, error %v", lo, hi, got, want, err)
		}
	}
	incompressible(t, e, s, n, size)
	flush(t, s)
	near(nil, nil, n*size)
	near(keyOf(0), keyOf(n/2), n*size/2)
	near(keyOf(n/4), keyOf(n/2), n*size/4)
	near(keyOf(n/2), nil, n*size/2)
	for _, r := range [][2][]byte{{keyOf(n), nil}, {[]byte("b"), []byte("a")}, {nil, []byte("a")}, {{}, {}}} {
		if got, err := s.ApproximateSize(r[0], r[1]); err != nil || got > 40_000 {
			t.Errorf("size of the empty range [%q, %q) is %d, %v", r[0], r[1], got, err)
		}
	}
}
