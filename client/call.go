package client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/kvstore/kvwire"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// encoded is a message as the generated code writes it.
type encoded interface {
	SizeVT() int
	MarshalToSizedBufferVT(b []byte) (int, error)
}

// fate is what became of a request that failed.
type fate uint8

const (
	// answered: the error is the answer.
	answered fate = 1
	// notRun: it was certainly not run, and may be sent again.
	notRun fate = 2
	// lost: it may have been run.
	lost fate = 3
)

// fateOf says what the error of an attempt means for the request.
func fateOf(err error) fate {
	switch {
	case errors.Is(err, ErrClosed), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), permanent(err):
		return answered
	case errors.Is(err, pwp.ErrNotRun), errors.Is(err, wire.ErrUnavailable), errors.Is(err, pwp.ErrClosed):
		return notRun
	case errors.Is(err, base.ErrUnknownOutcome):
		return lost
	case errors.Is(err, base.ErrOverloaded), errors.Is(err, base.ErrUnavailable):
		return notRun
	}
	return answered
}

// blame takes a link out of use whose failure err is, and returns what is to be said of it. An error that the server sent
// as an answer is no failure of the link, except that it cannot serve now while others might.
func (c *Client) blame(l *link, err error) error {
	if e, ok := errors.AsType[*wire.Error](err); ok {
		l.hear()
		if e.Code == wire.CodeUnavailable && len(c.addrs) > 1 {
			c.retire(l)
		}
		return err
	}
	if fateOf(err) == answered || errors.Is(err, pwp.ErrTooManyPairs) {
		return err
	}
	l.waitForEnd()
	c.opts.Logger.Debug("connection lost", "addr", l.addr, "error", err)
	c.retire(l)
	if e, ok := l.conn.(interface{ Err() error }); ok && l.ended() && permanent(e.Err()) {
		// Such as a node that does not accept this certificate, which shows only behind the dial. Nothing was run.
		return fmt.Errorf("client: %s: %w", l.addr, e.Err())
	}
	return err
}

// hear notes that the node has answered something.
func (l *link) hear() {
	if !l.heard.Load() {
		l.heard.Store(true)
	}
}

// buffers hold encoded requests and small answers.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

const keptBytes = 128 << 10

func freeBuffer(b *[]byte) {
	if cap(*b) <= keptBytes {
		buffers.Put(b)
	}
}

func appendMessage(dst []byte, m encoded) ([]byte, error) {
	start, n := len(dst), m.SizeVT()
	if cap(dst)-start < n {
		dst = append(make([]byte, 0, start+n), dst...)
	}
	dst = dst[:start+n]
	if _, err := m.MarshalToSizedBufferVT(dst[start:]); err != nil {
		return dst[:start], fmt.Errorf("client: encoding %T: %w", m, err)
	}
	return dst, nil
}

// request is one call with its answer.
type request struct {
	service wire.Service
	typ     wire.MessageType
	method  string
	msg     encoded
	// answer takes in the bytes of the response. They belong to it when keep is set, and are reused otherwise.
	answer func([]byte) error
	keep   bool
	// large says that the answer is expected to be large.
	large bool
	// called says that the latest attempt came as far as being sent.
	called bool
}

// attempt sends a request once.
func (c *Client) attempt(ctx context.Context, r *request) error {
	buf := buffers.Get().(*[]byte)
	defer freeBuffer(buf)
	var err error
	if *buf, err = appendMessage((*buf)[:0], r.msg); err != nil {
		return err
	}
	body := *buf
	bulk := len(body) > wire.BulkBytes
	if bulk {
		n := int64(len(body))
		if n > c.opts.MaxBulkBytes {
			return fmt.Errorf("%w: a request of %d bytes, MaxBulkBytes is %d", ErrBatchTooLarge, n, c.opts.MaxBulkBytes)
		}
		if err := c.bulk.Acquire(ctx, n); err != nil {
			return context.Cause(ctx)
		}
		defer c.bulk.Release(n)
	}
	l, err := c.acquire(ctx)
	if err != nil {
		return err
	}
	defer c.release(l)
	p, err := l.pair(ctx, use{service: r.service, bulk: bulk || r.large})
	if err != nil {
		return c.blame(l, err)
	}
	var dst []byte
	if !r.keep {
		small := buffers.Get().(*[]byte)
		defer freeBuffer(small)
		dst = (*small)[:0]
	}
	r.called = true
	typ, resp, err := p.Call(ctx, r.typ, body, dst)
	if err != nil {
		return kvwire.FromWire(c.blame(l, err))
	}
	l.hear()
	if typ != kvwire.Response(r.typ) {
		return fmt.Errorf("%w: %v to %v", ErrAnswer, typ, r.typ)
	}
	if err := r.answer(resp); err != nil {
		return fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return nil
}

// slot waits until another request may be under way.
func (c *Client) slot(ctx context.Context) error {
	select {
	case c.slots <- struct{}{}:
		return nil
	default:
	}
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-c.ctx.Done():
		return ErrClosed
	}
}

// observed wraps a call with what is counted and told about it.
func (c *Client) observed(ctx context.Context, method string, call func(t *tries) error) error {
	if err := c.slot(ctx); err != nil {
		return named(method, err)
	}
	start := time.Now()
	t := tries{c: c, ctx: ctx}
	err := named(method, call(&t))
	<-c.slots
	c.done(method, start, t.n+1, err)
	return err
}

func (c *Client) done(method string, start time.Time, attempts int, err error) {
	c.counts.calls.Add(1)
	if err != nil {
		c.counts.failed.Add(1)
	}
	if c.opts.Observe != nil {
		c.opts.Observe(Call{Method: method, Took: time.Since(start), Attempts: attempts, Err: err})
	}
}

// read runs a request that changes nothing: it is sent again whatever happened to it.
func (c *Client) read(ctx context.Context, r *request) error {
	return c.observed(ctx, r.method, func(t *tries) error {
		for {
			err := c.attempt(ctx, r)
			if err == nil || fateOf(err) == answered {
				return err
			}
			if err := t.wait(err); err != nil {
				return err
			}
		}
	})
}

// tries counts the attempts of one request, and waits between them.
type tries struct {
	c     *Client
	ctx   context.Context
	n     int
	first time.Time // of the first failure
}

// progress says that an attempt came further than the one before: the time for further ones begins anew.
func (t *tries) progress() { t.first = time.Time{} }

// wait waits before the next attempt. It returns an error when there is none: err, which the last one ended with, or that
// of the context.
func (t *tries) wait(err error) error {
	o := &t.c.opts
	now := time.Now()
	if t.first.IsZero() {
		t.first = now
	}
	left := o.RetryFor - now.Sub(t.first)
	if left <= 0 {
		if t.n == 0 {
			return err
		}
		return fmt.Errorf("%w (sent %d times in %v)", err, t.n+1, now.Sub(t.first).Round(time.Millisecond))
	}
	pause := min(o.MaxBackoff, o.MinBackoff<<min(t.n, 16))
	pause = pause/2 + rand.N(pause/2+1)
	if e, ok := errors.AsType[*wire.Error](err); ok {
		pause = max(pause, e.RetryAfter)
	}
	timer := time.NewTimer(min(pause, left))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-t.ctx.Done():
		return fmt.Errorf("%w, after: %w", context.Cause(t.ctx), err)
	case <-t.c.ctx.Done():
		return ErrClosed
	}
	t.n++
	t.c.counts.retries.Add(1)
	return nil
}
