package versioning

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/shieldmaidens/pleiades/base"
)

func newLockTable() *lockTable {
	t := new(lockTable)
	t.init()
	return t
}

// held counts the locks that are held.
func (t *lockTable) heldCount() int {
	n := 0
	for i := range t.shards {
		t.shards[i].mu.Lock()
		n += len(t.shards[i].mu.held)
		t.shards[i].mu.Unlock()
	}
	return n
}

func TestWaitersGetTheLockInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		locks := newLockTable()
		if _, err := locks.lock(t.Context(), 7, nil); err != nil {
			t.Fatal(err)
		}
		var order []int
		for i := range 5 {
			go func() {
				if _, err := locks.lock(context.Background(), 7, nil); err != nil {
					t.Error(err)
				}
				order = append(order, i)
				locks.unlock(7)
			}()
			synctest.Wait()
		}
		locks.unlock(7)
		synctest.Wait()
		for i, got := range order {
			if i != got {
				t.Fatalf("order %v", order)
			}
		}
		if len(order) != 5 || locks.heldCount() != 0 {
			t.Fatalf("%d got the lock, %d are held", len(order), locks.heldCount())
		}
	})
}

func TestHolderTakesWaitingWritesUpToTheFirstLocker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		locks := newLockTable()
		if _, err := locks.lock(t.Context(), 7, nil); err != nil {
			t.Fatal(err)
		}
		var done, locked atomic.Int32
		wait := func(w *keyWrite) {
			go func() {
				byOther, err := locks.lock(context.Background(), 7, w)
				if err != nil {
					t.Error(err)
				}
				if byOther {
					done.Add(1)
					return
				}
				locked.Add(1)
				locks.unlock(7)
			}()
			synctest.Wait()
		}
		write := func() *keyWrite { return &keyWrite{op: Op{}} }
		wait(write())
		wait(write())
		wait(nil)
		wait(write())
		took := locks.takeWrites(nil, 7, 0)
		if len(took) != 2 {
			t.Fatalf("took %d writes, want 2", len(took))
		}
		for _, w := range took {
			w.answer()
		}
		locks.unlock(7)
		synctest.Wait()
		if done.Load() != 2 || locked.Load() != 2 || locks.heldCount() != 0 {
			t.Fatalf("%d were done by the holder, %d got the lock", done.Load(), locked.Load())
		}
	})
}

func TestTakenWritesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		locks := newLockTable()
		if _, err := locks.lock(t.Context(), 7, nil); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if byOther, _ := locks.lock(context.Background(), 7, &keyWrite{op: Op{Value: make([]byte, maxCombinedBytes/3)}}); !byOther {
					locks.unlock(7)
				}
			})
		}
		synctest.Wait()
		took := locks.takeWrites(nil, 7, maxCombinedBytes/3)
		if len(took) != 1 {
			t.Errorf("took %d writes of a third beside one, want 1", len(took))
		}
		for _, w := range took {
			w.answer()
		}
		locks.unlock(7)
		wg.Wait()
	})
}

func TestCancelledWaiterLeavesTheQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		locks := newLockTable()
		if _, err := locks.lock(t.Context(), 7, nil); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		result := make(chan error, 1)
		go func() {
			_, err := locks.lock(ctx, 7, &keyWrite{op: Op{}})
			result <- err
		}()
		synctest.Wait()
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		if took := locks.takeWrites(nil, 7, 0); len(took) != 0 {
			t.Fatal("a write of a caller that gave up was taken")
		}
		locks.unlock(7)
		if locks.heldCount() != 0 {
			t.Fatal("the lock is still held")
		}
	})
}

// A caller whose write was taken gets its outcome even if its context ends meanwhile.
func TestTakenWriteIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		locks := newLockTable()
		if _, err := locks.lock(t.Context(), 7, nil); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan bool, 1)
		go func() {
			byOther, err := locks.lock(ctx, 7, &keyWrite{op: Op{}})
			done <- byOther && err == nil
		}()
		synctest.Wait()
		took := locks.takeWrites(nil, 7, 0)
		cancel()
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("the caller left although its write is under way")
		default:
		}
		took[0].answer()
		if !<-done {
			t.Fatal("the outcome was lost")
		}
		locks.unlock(7)
	})
}

func TestTooManyWaitersAreRefused(t *testing.T) {
	locks := newLockTable()
	if _, err := locks.lock(t.Context(), 7, nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var busy atomic.Int32
	refused := make(chan struct{}, 1)
	for range maxKeyWaiters + 1 {
		wg.Go(func() {
			if _, err := locks.lock(ctx, 7, nil); errors.Is(err, base.ErrOverloaded) {
				busy.Add(1)
				refused <- struct{}{}
			}
		})
	}
	<-refused
	cancel()
	wg.Wait()
	if busy.Load() != 1 {
		t.Fatalf("%d were refused, want 1", busy.Load())
	}
	locks.unlock(7)
}

// TestManyLocksNeverDeadlock takes random sets of locks from many goroutines and checks exclusion.
func TestManyLocksNeverDeadlock(t *testing.T) {
	locks := newLockTable()
	var owner [12]atomic.Int32
	var wg sync.WaitGroup
	for g := range 12 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 0))
			for range 400 {
				var hashes []uint64
				for range 1 + rng.IntN(5) {
					hashes = append(hashes, uint64(rng.IntN(len(owner))))
				}
				ctx, cancel := context.WithCancel(context.Background())
				if rng.IntN(4) == 0 {
					go cancel()
				}
				held, err := locks.lockAll(ctx, hashes)
				cancel()
				if err != nil {
					continue
				}
				for _, h := range held {
					if !owner[h].CompareAndSwap(0, 1) {
						t.Errorf("lock %d has two owners", h)
					}
				}
				for _, h := range held {
					owner[h].Store(0)
				}
				locks.unlockAll(held)
			}
		})
	}
	wg.Wait()
	if locks.heldCount() != 0 {
		t.Fatalf("%d locks are still held", locks.heldCount())
	}
}
