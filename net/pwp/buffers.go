package pwp

import (
	"slices"
	"sync"
	"sync/atomic"
)

// buffer holds one received message. It is charged to a ledger until it is released.
type buffer struct {
	b      []byte
	class  int // index of bufferClasses, -1: not pooled
	charge int64
	ledger *ledger
}

// bufferClasses are the sizes of pooled buffers. What is larger than all of them is allocated as its bytes arrive and
// left to the garbage collector.
var bufferClasses = [...]int{512, 4 << 10, 64 << 10, 256 << 10, 1<<20 + 4<<10}

var bufferPools [len(bufferClasses)]sync.Pool

// maxFirstBytes is how much is allocated for a message of which nothing has arrived.
const maxFirstBytes = 64 << 10

// newBuffer returns an empty buffer for a message of size bytes: room for all of it, or for maxFirstBytes.
func newBuffer(size int) *buffer { return sizedBuffer(min(size, maxFirstBytes)) }

// sizedBuffer returns an empty buffer with room for size bytes.
func sizedBuffer(size int) *buffer {
	for class, n := range bufferClasses {
		if size <= n {
			if b, ok := bufferPools[class].Get().(*buffer); ok {
				return b
			}
			return &buffer{b: make([]byte, 0, n), class: class}
		}
	}
	return &buffer{b: make([]byte, 0, size), class: -1}
}

// grown returns a buffer with more room, at most four times as much, for a message of size bytes. It takes over the bytes
// and the charge of b, which is released.
func (b *buffer) grown(size int) *buffer {
	bigger := sizedBuffer(min(4*cap(b.b), size))
	bigger.b = append(bigger.b, b.b...)
	bigger.ledger, bigger.charge = b.ledger, b.charge
	b.ledger, b.charge = nil, 0
	b.release()
	return bigger
}

// release gives the buffer back. Nobody uses it or its bytes afterwards.
func (b *buffer) release() {
	if b == nil {
		return
	}
	if b.ledger != nil {
		b.ledger.release(b.charge)
		b.ledger, b.charge = nil, 0
	}
	if b.class >= 0 {
		b.b = b.b[:0]
		bufferPools[b.class].Put(b)
	}
}

// disown ends the charge and hands the bytes to somebody who keeps them.
func (b *buffer) disown() []byte {
	msg := b.b
	if b.ledger != nil {
		b.ledger.release(b.charge)
	}
	return msg
}

// ledger counts bytes against a limit, and against its parent's. Those who find no room wait in the order in which they
// came, so that a large message is not passed by for ever.
type ledger struct {
	parent *ledger
	limit  int64
	// waiting is how many wait for room.
	waiting atomic.Int64

	mu struct {
		sync.Mutex
		used  int64
		queue []*waiter
	}
}

type waiter struct {
	n     int64
	ready chan struct{}
}

// acquire charges n bytes, at most limit, to l and then to its parent, so that a connection that waits for its own room
// holds nobody else's. It waits until stop is closed, and reports whether it charged.
func (l *ledger) acquire(n int64, stop <-chan struct{}) bool {
	if l == nil {
		return true
	}
	if !l.acquireOwn(n, stop) {
		return false
	}
	if !l.parent.acquire(n, stop) {
		l.releaseOwn(n)
		return false
	}
	return true
}

// tryAcquire charges a ledger without a parent if that needs no waiting.
func (l *ledger) tryAcquire(n int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	ok := len(l.mu.queue) == 0 && l.mu.used+n <= l.limit
	if ok {
		l.mu.used += n
	}
	return ok
}

func (l *ledger) acquireOwn(n int64, stop <-chan struct{}) bool {
	l.mu.Lock()
	if len(l.mu.queue) == 0 && l.mu.used+n <= l.limit {
		l.mu.used += n
		l.mu.Unlock()
		return true
	}
	w := &waiter{n: n, ready: make(chan struct{})}
	l.mu.queue = append(l.mu.queue, w)
	l.mu.Unlock()
	l.waiting.Add(1)
	defer l.waiting.Add(-1)
	select {
	case <-w.ready:
		return true
	case <-stop:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.mu.queue, w)
	if i < 0 {
		return true // served while it gave up
	}
	l.mu.queue = slices.Delete(l.mu.queue, i, i+1)
	l.serveLocked() // it may have stood in front of smaller ones
	return false
}

func (l *ledger) release(n int64) {
	if l == nil {
		return
	}
	l.releaseOwn(n)
	l.parent.release(n)
}

func (l *ledger) releaseOwn(n int64) {
	l.mu.Lock()
	l.mu.used -= n
	l.serveLocked()
	l.mu.Unlock()
}

func (l *ledger) serveLocked() {
	for len(l.mu.queue) > 0 && l.mu.used+l.mu.queue[0].n <= l.limit {
		w := l.mu.queue[0]
		l.mu.queue = l.mu.queue[1:]
		l.mu.used += w.n
		close(w.ready)
	}
}

// inUse returns how many bytes are charged.
func (l *ledger) inUse() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.used
}
