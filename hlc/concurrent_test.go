package hlc_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shieldmaidens/pleiades/hlc"
)

// lockedBound is a BoundStore for concurrent tests. It remembers whether two StoreBound overlapped,
// and holds StoreBound up while gate is not nil.
type lockedBound struct {
	mu         sync.Mutex
	stored     hlc.Timestamp
	writes     int
	gate       chan struct{}
	storing    bool
	overlapped bool
}

func (b *lockedBound) LoadBound() (hlc.Timestamp, error) { return b.bound(), nil }

func (b *lockedBound) bound() hlc.Timestamp {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.stored
}

func (b *lockedBound) hold() chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gate = make(chan struct{})
	return b.gate
}

func (b *lockedBound) StoreBound(ts hlc.Timestamp) error {
	b.mu.Lock()
	b.overlapped = b.overlapped || b.storing
	b.storing = true
	gate := b.gate
	b.mu.Unlock()
	if gate != nil {
		<-gate
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.storing = false
	b.stored = ts
	b.writes++
	return nil
}

// TestConcurrentCallersNeverSeeARepeat hammers one clock from many goroutines, over a restart.
func TestConcurrentCallersNeverSeeARepeat(t *testing.T) {
	const goroutines, each = 16, 2000
	bound := &lockedBound{}
	seen := make(map[hlc.Timestamp]bool, 2*goroutines*each)
	for run := range 2 {
		clock, err := hlc.NewClock(&hlc.Options{Bound: bound, BoundAhead: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		issued := make([][]hlc.Timestamp, goroutines)
		var wg sync.WaitGroup
		for g := range goroutines {
			wg.Go(func() {
				for i := range each {
					var ts hlc.Timestamp
					var err error
					if i%4 == 3 {
						ts, err = clock.Update(clock.Last())
					} else {
						ts, err = clock.Now()
					}
					if err != nil {
						t.Error(err)
						return
					}
					if !ts.Less(bound.bound()) {
						t.Errorf("%v is not below the stored bound", ts)
						return
					}
					issued[g] = append(issued[g], ts)
				}
			})
		}
		wg.Wait()
		for g, all := range issued {
			for i, ts := range all {
				if seen[ts] {
					t.Fatalf("%v was issued twice", ts)
				}
				seen[ts] = true
				if i > 0 && !all[i-1].Less(ts) {
					t.Fatalf("goroutine %d got %v after %v", g, ts, all[i-1])
				}
			}
		}
		if run == 1 { // the first run ends by a crash
			if err := clock.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if bound.overlapped || bound.writes < 3 {
		t.Fatalf("bound writes overlapped: %t; there were %d", bound.overlapped, bound.writes)
	}
	if len(seen) != 2*goroutines*each {
		t.Fatalf("%d timestamps, want %d", len(seen), 2*goroutines*each)
	}
}

// TestSlowDiskHoldsUpOneCaller holds a bound write up: the caller that extends the bound ahead of
// need waits, all others go on; once the room is used up they wait for the same write, and go on
// together when it is done.
func TestSlowDiskHoldsUpOneCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manual, bound := hlc.NewManual(epoch), &lockedBound{}
		opts := manual.Options()
		opts.Bound = bound
		clock, err := hlc.NewClock(opts)
		if err != nil {
			t.Fatal(err)
		}
		now := func() {
			if _, err := clock.Now(); err != nil {
				t.Error(err)
			}
		}
		now()
		manual.Advance(200 * time.Millisecond) // 50 of 250 ms left
		gate := bound.hold()
		var extender sync.WaitGroup
		extended := false
		extender.Go(func() { now(); extended = true })
		synctest.Wait()
		if extended {
			t.Fatal("nobody waits for the disk")
		}
		for range 1000 {
			now() // would deadlock here if a held-up write held the lock
		}
		manual.Advance(60 * time.Millisecond) // beyond the bound
		var rest sync.WaitGroup
		done := make(chan struct{}, 8)
		for range cap(done) {
			rest.Go(func() { now(); done <- struct{}{} })
		}
		synctest.Wait()
		if len(done) != 0 {
			t.Fatal("a timestamp was issued beyond the bound")
		}
		close(gate)
		extender.Wait()
		rest.Wait()
		if bound.writes != 2 {
			t.Fatalf("%d bound writes, want 2", bound.writes)
		}
	})
}

// TestCloseWaitsForTheWriteUnderWay closes a clock while its bound is being extended: the exact
// bound is the last thing on disk, and callers that waited are told.
func TestCloseWaitsForTheWriteUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		manual, bound := hlc.NewManual(epoch), &lockedBound{}
		opts := manual.Options()
		opts.Bound = bound
		clock, err := hlc.NewClock(opts)
		if err != nil {
			t.Fatal(err)
		}
		ts, err := clock.Now()
		if err != nil {
			t.Fatal(err)
		}
		manual.Advance(time.Second)
		gate := bound.hold()
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if _, err := clock.Now(); !errors.Is(err, hlc.ErrClosed) {
					t.Errorf("a caller that waited while the clock was closed: %v", err)
				}
			})
		}
		synctest.Wait()
		for range 2 {
			wg.Go(func() {
				if err := clock.Close(); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		close(gate)
		wg.Wait()
		if bound.stored != ts.Next() {
			t.Fatalf("stored %v, want %v", bound.stored, ts.Next())
		}
	})
}

func TestWaitBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, manually := range []bool{true, false} {
			start := time.Now()
			manual := hlc.NewManual(start)
			opts := &hlc.Options{}
			if manually {
				opts = manual.Options()
			}
			opts.Bound = &memBound{stored: hlc.FromTime(start.Add(200 * time.Millisecond)).Next()}
			clock, err := hlc.NewClock(opts)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			if err := clock.WaitBound(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Fatalf("%v", err)
			}
			cancel()
			returned := make(chan error, 1)
			go func() { returned <- clock.WaitBound(t.Context()) }()
			if manually {
				synctest.Wait()
				manual.Advance(200 * time.Millisecond) // one nanosecond short
				synctest.Wait()
				if len(returned) != 0 {
					t.Fatal("returned while the bound lies ahead")
				}
				manual.Advance(1)
			}
			if err := <-returned; err != nil {
				t.Fatal(err)
			}
			if passed := opts.Wall; passed == nil {
				if elapsed := time.Since(start); elapsed != 200*time.Millisecond+1 {
					t.Fatalf("waited until %v after the start", elapsed)
				}
			}
			if err := clock.WaitBound(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func BenchmarkNow(b *testing.B) {
	for _, c := range []struct {
		name string
		opts *hlc.Options
	}{
		{"bound=none", nil},
		{"bound=memory", &hlc.Options{Bound: &lockedBound{}}},
		{"bound=memory/jump=1s", &hlc.Options{Bound: &lockedBound{}, MaxJump: time.Second}},
	} {
		b.Run(c.name, func(b *testing.B) {
			clock, err := hlc.NewClock(c.opts)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if _, err := clock.Now(); err != nil {
						b.Error(err)
						return
					}
				}
			})
			if err := clock.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
