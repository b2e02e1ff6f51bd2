package client

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/kvstore/kvwire"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// session numbers the writes of a client, so that the store does each of them once.
type session struct {
	id   []byte
	idle time.Duration // 0: unknown

	mu struct {
		sync.Mutex
		last uint64 // number of the latest write
		// low is the lowest number whose write may be sent again, done those above it that will not be.
		low     uint64
		done    map[uint64]struct{}
		used    time.Time
		expired bool
	}
}

// maxSpread is how far the numbers of writes under way may lie apart before new writes get another session: one write that
// does not end must not make the node and the client remember all that came behind it.
const maxSpread = 512

func newSession(id []byte, idle time.Duration) *session {
	s := &session{id: id, idle: idle}
	s.mu.low, s.mu.done, s.mu.used = 1, map[uint64]struct{}{}, time.Now()
	return s
}

// usable reports whether new writes may join the session.
func (s *session) usable(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	// One that is about to expire would be refused; whoever asks early enough is spared the round trip.
	stale := s.idle > 0 && now.Sub(s.mu.used) > s.idle*3/4
	return !s.mu.expired && !stale && s.mu.last+1-s.mu.low < maxSpread
}

// take gives a write its number. finish follows.
func (s *session) take() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.last++
	return s.mu.last
}

// stamp returns what a write carries. It is asked again for each attempt, since the low-water mark rises meanwhile.
func (s *session) stamp(seq uint64) *kvstorev1.Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.used = time.Now()
	return &kvstorev1.Session{Id: s.id, Sequence: seq, LowWater: s.mu.low}
}

// finish says that a write will not be sent again.
func (s *session) finish(seq uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.done[seq] = struct{}{}
	for {
		if _, ok := s.mu.done[s.mu.low]; !ok {
			return
		}
		delete(s.mu.done, s.mu.low)
		s.mu.low++
	}
}

// opening is the opening of a session under way.
type opening struct {
	done chan struct{}
	s    *session
	err  error
}

// session returns the client's session, and opens it with the first write.
func (c *Client) session(ctx context.Context) (*session, error) {
	c.mu.Lock()
	if s := c.mu.session; s != nil && s.usable(time.Now()) {
		c.mu.Unlock()
		return s, nil
	}
	if c.mu.closed {
		c.mu.Unlock()
		return nil, ErrClosed
	}
	o := c.mu.opening
	if o == nil {
		o = &opening{done: make(chan struct{})}
		c.mu.opening = o
		c.wg.Add(1)
		go c.openSession(o)
	}
	c.mu.Unlock()
	select {
	case <-o.done:
		return o.s, o.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// openTime bounds one attempt to open a session; writes that wait for it try again as long as they may.
const openTime = 15 * time.Second

func (c *Client) openSession(o *opening) {
	defer c.wg.Done()
	ctx, cancel := context.WithTimeout(c.ctx, openTime)
	defer cancel()
	var resp kvstorev1.OpenSessionResponse
	o.err = c.attempt(ctx, &request{
		service: wire.ServiceKVStore, typ: kvwire.OpenSession, msg: &kvstorev1.OpenSessionRequest{}, keep: true, answer: resp.UnmarshalVTUnsafe,
	})
	switch {
	case o.err == nil && len(resp.Id) == 0:
		o.err = fmt.Errorf("%w: a session without an id", ErrAnswer)
	case o.err == nil:
		o.s = newSession(resp.Id, time.Duration(resp.IdleMillis)*time.Millisecond)
		c.counts.sessions.Add(1)
	case c.ctx.Err() != nil:
		o.err = ErrClosed
	case errors.Is(o.err, context.DeadlineExceeded):
		o.err = fmt.Errorf("%w: opening a session: no answer for %v", ErrUnreachable, openTime)
	case fateOf(o.err) == lost:
		o.err = fmt.Errorf("%w: opening a session: %v", ErrUnreachable, o.err) // no write was sent
	}
	c.mu.Lock()
	if o.s != nil && !c.mu.closed {
		c.mu.session = o.s
	}
	c.mu.opening = nil
	c.mu.Unlock()
	close(o.done)
}

// expire takes a session out of use that the store does not know any more.
func (c *Client) expire(s *session) {
	s.mu.Lock()
	first := !s.mu.expired
	s.mu.expired = true
	s.mu.Unlock()
	if first {
		c.counts.expired.Add(1)
	}
}

// endSession tells the node that a session is not used any more. When that fails, it ends by itself in time.
func (c *Client) endSession(l *link, s *session) {
	ctx, cancel := context.WithTimeout(c.ctx, closeTime)
	defer cancel()
	body, err := appendMessage(nil, &kvstorev1.CloseSessionRequest{Id: s.id})
	if err != nil {
		return
	}
	if p, err := l.pair(ctx, use{service: wire.ServiceKVStore}); err == nil {
		_, _, _ = p.Call(ctx, kvwire.CloseSession, body, nil)
	}
}

// write runs a request that changes something. With a session it is sent until it has an answer; set gives the message its
// session before each attempt.
func (c *Client) write(ctx context.Context, r *request, set func(*kvstorev1.Session)) error {
	return c.observed(ctx, r.method, func(t *tries) error {
		w := writing{c: c, ctx: ctx}
		defer func() { w.leave() }()
		for {
			if ctx.Err() != nil {
				return w.final(context.Cause(ctx))
			}
			err := w.join()
			if err == nil {
				if w.session != nil {
					set(w.session.stamp(w.sequence))
				}
				r.called = false
				err = w.judge(c.attempt(ctx, r), r.called)
			}
			if err == nil {
				return nil
			}
			if f := fateOf(err); f == answered || f == lost && w.session == nil {
				return w.final(err)
			}
			if err := t.wait(err); err != nil {
				return w.final(err)
			}
		}
	})
}

// writing is a write under way.
type writing struct {
	c        *Client
	ctx      context.Context
	session  *session // nil: none yet, or sessions are not wanted
	sequence uint64
	// sent: an attempt may have been run, and nobody has said what came of it.
	sent bool
}

// join gives the write a number in the client's session, once.
func (w *writing) join() (err error) {
	if w.c.opts.NoSession || w.session != nil {
		return nil
	}
	if w.session, err = w.c.session(w.ctx); err == nil {
		w.sequence = w.session.take()
	}
	return err
}

// leave says that the write is not sent again.
func (w *writing) leave() {
	if w.session != nil {
		w.session.finish(w.sequence)
		w.session = nil
	}
}

// judge takes in how an attempt ended; called says that it came as far as being sent.
func (w *writing) judge(err error, called bool) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, kverr.ErrSessionExpired) && w.session != nil:
		w.c.expire(w.session)
		w.leave()
		if w.sent {
			return unknown(err) // what the earlier attempt did, the store has forgotten
		}
		return fmt.Errorf("%w: %v", wire.ErrUnavailable, err) // not run: again with a new session
	case fateOf(err) == lost, errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		w.sent = w.sent || called
	case called && fateOf(err) == answered:
		w.sent = false // by a repetition too: the store tells what it did the first time
	}
	return err
}

// final is the error of a write that is given up: the caller learns when it may have been done.
func (w *writing) final(err error) error {
	if w.sent {
		return unknown(err)
	}
	return err
}
