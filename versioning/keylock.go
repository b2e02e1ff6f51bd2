package versioning

import (
	"context"
	"fmt"
	"slices"
	"sync"
)

const (
	lockShards = 64
	// maxKeyWaiters bounds the writers that wait for one key; more get ErrBusy.
	maxKeyWaiters = 8192
	// maxCombined and maxCombinedBytes bound the writes of one key that go into one commit.
	maxCombined      = 256
	maxCombinedBytes = 1 << 20
)

// lockTable holds a lock for every key that is being written right now, and nothing for others.
// Keys go by a 64-bit hash: two keys with the same one share a lock, which is slower and never wrong.
//
// Waiters queue in order. A waiter either wants the lock itself (a batch) or just has a write to be
// done (a single operation): then the holder may take the write along into its own commit. So a key
// that many write at once is not limited to one write a sync.
//
// Who needs several locks takes them in the order of the hashes, so nobody waits in a circle.
type lockTable struct {
	shards [lockShards]struct {
		mu struct {
			sync.Mutex
			held map[uint64]*lockQueue
		}
	}
}

// lockQueue is who waits for one held lock.
type lockQueue struct{ waiters []*lockWaiter }

// lockWaiter is one place in a queue.
type lockWaiter struct {
	// write is what the holder may do for the waiter; nil: the waiter wants the lock.
	write *keyWrite
	// wake gets exactly one message once the waiter has left the queue, unless it left by itself.
	wake chan wakeup
}

// wakeup says why a waiter left the queue.
type wakeup uint8

const (
	wakeLocked wakeup = 1 // the lock is the waiter's
	wakeDone   wakeup = 2 // the holder did the waiter's write
)

func (t *lockTable) init() {
	for i := range t.shards {
		t.shards[i].mu.held = map[uint64]*lockQueue{}
	}
}

// lock waits for the lock of a hash. With a write it may instead return done: somebody else did it,
// and the write holds its outcome. Errors: ctx.Err() and ErrBusy; then the write was not begun.
func (t *lockTable) lock(ctx context.Context, hash uint64, write *keyWrite) (done bool, err error) {
	s := &t.shards[hash%lockShards]
	s.mu.Lock()
	q := s.mu.held[hash]
	if q == nil {
		s.mu.held[hash] = freeQueue
		s.mu.Unlock()
		return false, nil
	}
	if q == freeQueue {
		q = new(lockQueue)
		s.mu.held[hash] = q
	}
	if len(q.waiters) >= maxKeyWaiters {
		s.mu.Unlock()
		return false, fmt.Errorf("%w: %d", ErrBusy, maxKeyWaiters)
	}
	w := &lockWaiter{write: write, wake: make(chan wakeup, 1)}
	q.waiters = append(q.waiters, w)
	s.mu.Unlock()

	select {
	case why := <-w.wake:
		return why == wakeDone, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	i := slices.Index(q.waiters, w)
	if i >= 0 {
		q.waiters = slices.Delete(q.waiters, i, i+1)
	}
	s.mu.Unlock()
	if i < 0 && <-w.wake == wakeDone { // too late: the write is under way or done
		return true, nil
	} else if i < 0 {
		t.unlock(hash)
	}
	return false, ctx.Err()
}

// freeQueue stands for "held, and nobody waits" without an allocation. It is never changed.
var freeQueue = new(lockQueue)

// unlock gives a lock to who has waited longest.
func (t *lockTable) unlock(hash uint64) {
	s := &t.shards[hash%lockShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.mu.held[hash]
	if len(q.waiters) == 0 {
		delete(s.mu.held, hash)
		return
	}
	w := q.waiters[0]
	q.waiters[0] = nil
	q.waiters = q.waiters[1:]
	w.wake <- wakeLocked
}

// takeWrites removes writes from the front of the queue of a lock that the caller holds, for the
// caller to do: up to the first waiter that wants the lock itself, and within the bounds for a commit
// that already has the given number of bytes. Each gets answered with answer.
func (t *lockTable) takeWrites(dst []*lockWaiter, hash uint64, bytes int) []*lockWaiter {
	s := &t.shards[hash%lockShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	q := s.mu.held[hash]
	n := 0
	for n < len(q.waiters) && n < maxCombined && q.waiters[n].write != nil {
		if bytes += q.waiters[n].write.bytes(); bytes > maxCombinedBytes {
			break
		}
		n++
	}
	dst = append(dst, q.waiters[:n]...)
	if n > 0 {
		q.waiters = slices.Delete(q.waiters, 0, n)
	}
	return dst
}

// answer tells a waiter that its write was done.
func (w *lockWaiter) answer() { w.wake <- wakeDone }

// lockAll takes the locks of several hashes, which it sorts and rids of repetitions; unlockAll
// releases what is returned. On an error none is held.
func (t *lockTable) lockAll(ctx context.Context, hashes []uint64) ([]uint64, error) {
	slices.Sort(hashes)
	hashes = slices.Compact(hashes)
	for i, h := range hashes {
		if _, err := t.lock(ctx, h, nil); err != nil {
			t.unlockAll(hashes[:i])
			return nil, err
		}
	}
	return hashes, nil
}

func (t *lockTable) unlockAll(hashes []uint64) {
	for _, h := range hashes {
		t.unlock(h)
	}
}
