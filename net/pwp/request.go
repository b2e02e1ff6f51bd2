package pwp

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/shieldmaidens/pleiades/net/pwp/pair"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// serverPair is the server's side of a link.
type serverPair struct {
	conn    *serverConn
	link    *link
	service *Service
}

var _ side = (*serverPair)(nil)

// admit decides on the service of the pair. Services of the table that are not there are expected to come.
func (p *serverPair) admit(t wire.Service) (wire.ServiceCode, *wire.Error) {
	service := p.conn.server.service(t)
	switch {
	case service == nil && t >= wire.ServiceGossip && t <= wire.ServiceSystem:
		return wire.ServiceRetry, nil
	case service == nil:
		return wire.ServiceNever, nil
	}
	if service.Admit != nil {
		if code, err := service.Admit(p.conn.conn); code != wire.ServiceReady {
			return code, err
		}
	}
	p.service = service
	return wire.ServiceReady, nil
}

func (p *serverPair) eventLocked(l *link, buf *buffer) bool {
	switch l.ev.Kind {
	case pair.KindRequest:
		r := newRequest(p, &l.ev, buf)
		l.mu.m.SetOwner(r.id, r)
		p.conn.requests.Add(1)
		l.set.wg.Add(1)
		go r.runFn()
		return true
	case pair.KindCancel:
		if r, ok := l.ev.Owner.(*Request); ok {
			r.cancelLocked()
			l.freeRoomLocked()
		}
	case pair.KindFail:
		p.conn.server.log.Warn("pair failed", "peer", p.conn.conn.Peer(), "stream", uint64(l.in.ID()),
			"close", l.ev.CloseCode.String(), "error", l.ev.Err)
		l.mu.m.Abandon(cancelOwner)
	}
	return false
}

func cancelOwner(owner any) { owner.(*Request).cancelLocked() }

func (p *serverPair) after(*link) {}

func (p *serverPair) deadLocked(l *link) {
	l.mu.m.Abandon(cancelOwner)
	p.conn.pairs.Add(-1)
}

// Request is one request at a server. It and what it hands out are valid until its handler returns. Its methods may be
// called from several goroutines of the handler; answers go out in the order of the calls.
type Request struct {
	pair     *serverPair
	link     *link
	id       wire.RequestID
	typ      wire.MessageType
	buf      *buffer
	deadline time.Time
	runFn    func()

	// Guarded by link.mu.
	answered, streamed bool
	cancelled          bool
	room               int64 // reserved for the next answer
	ctx                context.Context
	cancelCtx          context.CancelFunc
}

var requestPool sync.Pool

func newRequest(p *serverPair, ev *pair.Event, buf *buffer) *Request {
	r, ok := requestPool.Get().(*Request)
	if !ok {
		r = &Request{}
		r.runFn = r.run
	}
	r.pair, r.link, r.id, r.typ, r.buf = p, p.link, ev.ID, ev.Type, buf
	if ev.Timeout > 0 {
		r.deadline = time.Now().Add(ev.Timeout)
	}
	return r
}

// Type returns the message type: the method.
func (r *Request) Type() wire.MessageType { return r.typ }

// ID returns the request's number on its pair.
func (r *Request) ID() wire.RequestID { return r.id }

// Message returns the protobuf bytes, with the envelope's fields 1 and 2. They are reused when the handler returns.
func (r *Request) Message() []byte { return r.buf.b }

// Conn returns the connection that the request came over.
func (r *Request) Conn() Conn { return r.pair.conn.conn }

// Deadline returns when the client stops waiting, by this machine's clock, and whether it does.
func (r *Request) Deadline() (time.Time, bool) { return r.deadline, !r.deadline.IsZero() }

// Context returns a context that ends when the client cancels, stops waiting, or is gone, and when the handler returns.
func (r *Request) Context() context.Context {
	r.link.mu.Lock()
	defer r.link.mu.Unlock()
	if r.ctx != nil {
		return r.ctx
	}
	if r.deadline.IsZero() {
		r.ctx, r.cancelCtx = context.WithCancel(context.Background())
	} else {
		r.ctx, r.cancelCtx = context.WithDeadline(context.Background(), r.deadline)
	}
	if r.cancelled {
		r.cancelCtx()
	}
	return r.ctx
}

func (r *Request) cancelLocked() {
	r.cancelled = true
	if r.cancelCtx != nil {
		r.cancelCtx()
	}
}

// Reply sends the only response of a request, and ends it. body is encoded protobuf without field 1; it is copied. It
// waits while the pair has too much to write. Errors: ErrAnswered; context.Canceled when the client cancelled or is gone;
// wire.ErrTooLarge.
func (r *Request) Reply(t wire.MessageType, body []byte) error { return r.respond(t, body, true) }

// Send sends one of many responses; the end of them goes out when the handler returns without an error. It waits while
// the client does not read: that is the flow control of a stream. Errors as for Reply.
func (r *Request) Send(t wire.MessageType, body []byte) error { return r.respond(t, body, false) }

func (r *Request) respond(t wire.MessageType, body []byte, last bool) error {
	l := r.link
	charge, err := r.charge(len(body), last)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := r.respondLocked(t, body, last); err != nil {
		l.queued.release(charge)
		return err
	}
	l.mu.charged += charge
	l.kickLocked()
	return nil
}

func (r *Request) respondLocked(t wire.MessageType, body []byte, last bool) error {
	l := r.link
	if r.answered || last && r.streamed {
		return fmt.Errorf("%w: %v %d", ErrAnswered, r.typ, r.id)
	}
	for !r.cancelled && l.mu.m.Queued() > l.limits.MaxQueuedBytes && !l.mu.ended {
		l.waitRoomLocked()
	}
	if r.cancelled || l.mu.ended {
		return r.unwanted()
	}
	if err := l.mu.m.Respond(r.id, t, body, last); err != nil {
		return err
	}
	r.answered, r.streamed = last, true
	return nil
}

func (r *Request) unwanted() error {
	return fmt.Errorf("pwp: the client does not want the answer of request %d: %w", r.id, context.Canceled)
}

// freeBytes is the largest single response that is not counted: the number of requests bounds those.
const freeBytes = 4 << 10

// charge waits for room among what the connection has to write.
func (r *Request) charge(size int, last bool) (int64, error) {
	if last && size <= freeBytes {
		return 0, nil
	}
	queued := r.link.queued
	charge := min(int64(size), queued.limit)
	if room := r.takeRoom(); room >= charge {
		return room, nil
	} else if room > 0 {
		queued.release(room) // first: those who wait must not each hold a part
	}
	if !queued.tryAcquire(charge) && !queued.acquire(charge, r.Context().Done()) {
		return 0, r.unwanted()
	}
	return charge, nil
}

// waitRoomLocked waits until something is taken from the queue, a request is cancelled, or the link is dead.
func (l *link) waitRoomLocked() {
	if l.mu.room == nil {
		l.mu.room = make(chan struct{})
	}
	room := l.mu.room
	l.mu.Unlock()
	select {
	case <-room:
	case <-l.dead:
	}
	l.mu.Lock()
}

// run runs the handler and gives the request its last answer.
func (r *Request) run() {
	l, c := r.link, r.pair.conn
	defer l.set.wg.Done()
	err := r.waitForHandshake()
	if err == nil {
		err = r.serve()
	}
	l.mu.Lock()
	if !r.answered {
		if r.cancelled && err == nil {
			err = context.Canceled
		}
		if err != nil {
			if wire.CodeOf(err) == wire.CodeInternal {
				c.server.log.Error("request failed", "peer", c.conn.Peer(), "type", uint8(r.typ), "error", err)
			}
			err = l.mu.m.RespondError(r.id, err)
		} else {
			err = l.mu.m.End(r.id)
		}
		if err != nil {
			l.mu.m.SetOwner(r.id, nil) // the pair ended: nobody is left to tell, and nothing may find r again
		}
		l.kickLocked()
	}
	if r.cancelCtx != nil {
		r.cancelCtx()
	}
	l.mu.Unlock()
	c.requests.Add(-1)
	if room := r.takeRoom(); room > 0 {
		l.queued.release(room)
	}
	r.buf.release()
	*r = Request{runFn: r.runFn}
	requestPool.Put(r)
}

// serve calls the handler. A handler that panics fails its own request, not the node.
func (r *Request) serve() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: the handler of %v panicked: %v\n%s", wire.ErrInternal, r.typ, p, debug.Stack())
		}
	}()
	return r.pair.service.Handler.ServePWP(r)
}

// waitForHandshake holds back requests that came in early data and must not run twice.
func (r *Request) waitForHandshake() error {
	done := r.pair.conn.early
	if done == nil {
		return nil
	}
	select {
	case <-done:
		return nil
	default:
	}
	if early := r.pair.service.Early; early != nil && early(r.typ) {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-r.Context().Done():
		return context.Cause(r.Context())
	}
}
