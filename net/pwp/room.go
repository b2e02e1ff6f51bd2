package pwp

import "fmt"

// A handler that builds a large answer holds it while it waits for room among what the connection has to write. A peer
// that asks much and reads nothing would make thousands of handlers hold one each. So handlers ask first:
//
//	if !r.TryReserve(size) {   // no room now: let go of what the answer is made of
//	        err = r.Reserve(size)
//	}
//
// What a stream has to hold while it waits, such as a position and the entry there, it declares with Hold.

// TryReserve takes room for the next Reply or Send, of size bytes, without waiting, and reports whether there was any.
// Room that is not used is given back when the handler returns.
func (r *Request) TryReserve(size int) bool {
	queued := r.link.queued
	room := min(int64(size), queued.limit)
	if !queued.tryAcquire(room) {
		return false
	}
	r.keepRoom(room)
	return true
}

// Reserve is TryReserve, and waits for its turn. The caller should hold nothing large meanwhile. Error: context.Canceled
// when the client does not want the answer any more.
func (r *Request) Reserve(size int) error {
	queued := r.link.queued
	room := min(int64(size), queued.limit)
	if !queued.tryAcquire(room) && !queued.acquire(room, r.Context().Done()) {
		return r.unwanted()
	}
	r.keepRoom(room)
	return nil
}

func (r *Request) keepRoom(room int64) {
	r.link.mu.Lock()
	defer r.link.mu.Unlock()
	r.room += room
}

// takeRoom returns what was reserved.
func (r *Request) takeRoom() int64 {
	r.link.mu.Lock()
	defer r.link.mu.Unlock()
	room := r.room
	r.room = 0
	return room
}

// Crowded reports whether answers of the connection wait for room. A handler that would read much to answer should do so
// with few others then.
func (r *Request) Crowded() bool { return r.link.queued.waiting.Load() > 0 }

// Hold counts bytes that a handler keeps while it waits for its client to read, until release is called. All handlers of
// a connection together hold at most Limits.HeldBytesPerConn; half of that is the most that one call counts, so that a
// single large thing always has room. Error: ErrHeld; the client should try again when it has read what it asked for.
func (r *Request) Hold(size int) (release func(), err error) {
	held, limit := &r.pair.conn.held, r.link.limits.HeldBytesPerConn
	n := min(int64(size), max(limit/2, 1))
	if now := held.Add(n); now > limit {
		held.Add(-n)
		return nil, fmt.Errorf("%w: %d bytes wait for it", ErrHeld, now-n)
	}
	return func() { held.Add(-n) }, nil
}
