package pwp

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/shieldmaidens/pleiades/net/pwp/pair"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// Pair is one stream pair of a client. Any number of requests may be in flight on it; answers come in any order. All
// methods may be called concurrently.
type Pair struct {
	client *Client
	link   *link
	bulk   bool
	ready  chan struct{} // closed when the service is there, refused, or the pair ended

	// Guarded by link.mu.
	settled   bool // ready is closed
	closed    bool // this side said CLOSE
	refused   error
	statuses  []statusWaiter
	tests     []testWaiter
	lastTest  wire.LatencyID
	roundTrip time.Duration
}

var _ side = (*Pair)(nil)

// statusWaiter waits for the answer of a status request; answers come in the order of the questions.
type statusWaiter struct{ answer chan wire.Status }

// testWaiter waits for a latency test.
type testWaiter struct {
	id    wire.LatencyID
	start time.Time
	done  chan time.Duration
}

// owner is who waits for answers: a call or a stream.
type owner interface {
	// answerLocked takes in an event; buf belongs to the owner when it returns true.
	answerLocked(ev *pair.Event, buf *buffer) bool
	// endLocked says that no answer will come.
	endLocked(err error)
}

func (p *Pair) eventLocked(l *link, buf *buffer) bool {
	ev := &l.ev
	switch ev.Kind {
	case pair.KindResponse, pair.KindError, pair.KindEnd:
		return ev.Owner.(owner).answerLocked(ev, buf)
	case pair.KindService:
		if ev.Code != wire.ServiceReady {
			p.refused = &RefusedError{Service: ev.Service, Code: ev.Code, Err: ev.Err}
			p.abandonLocked(p.refused)
		}
		p.settleLocked()
	case pair.KindStatus:
		p.statuses[0].answer <- wire.Status(ev.Value)
		p.statuses = slices.Delete(p.statuses, 0, 1)
	case pair.KindTestDone:
		i := slices.IndexFunc(p.tests, func(w testWaiter) bool { return w.id == wire.LatencyID(ev.Value) })
		p.roundTrip = time.Since(p.tests[i].start)
		p.tests[i].done <- p.roundTrip
		p.tests = slices.Delete(p.tests, i, i+1)
	case pair.KindClose, pair.KindFail:
		p.abandonLocked(p.endedLocked())
		p.settleLocked()
	}
	return false
}

// after keeps the pair from being read while a stream's consumer has not taken what came: its flow control.
func (p *Pair) after(l *link) {
	if l.ev.Kind == pair.KindResponse {
		if s, ok := l.ev.Owner.(*Responses); ok {
			s.waitRoom()
		}
	}
	l.ev.Owner = nil
}

func (p *Pair) deadLocked(l *link) {
	p.abandonLocked(p.endedLocked())
	p.settleLocked()
	l.out.CancelRead(wire.CloseNone) // ends setupLoop
	p.client.unreserve()
}

func (p *Pair) settleLocked() {
	if !p.settled {
		p.settled = true
		close(p.ready)
	}
}

func (p *Pair) abandonLocked(err error) {
	p.link.mu.m.Abandon(func(o any) { o.(owner).endLocked(err) })
}

// endedLocked is what becomes of a request that gets no answer any more.
func (p *Pair) endedLocked() error {
	l := p.link
	cause := l.mu.cause
	switch {
	case p.refused != nil:
		return p.refused
	case l.mu.m.NotRun(), errors.Is(cause, ErrNotRun):
		return ErrNotRun
	case cause != nil:
		return &LostError{Cause: cause}
	case l.mu.m.State() < pair.StateClosed:
		return ErrClosed // this side closed it, and nothing is in flight
	}
	return ErrLost
}

// Ready waits until the server has answered to the service. Errors: *RefusedError, ErrNotRun, ErrLost, those of ctx.
func (p *Pair) Ready(ctx context.Context) error {
	select {
	case <-p.ready:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	p.link.mu.Lock()
	defer p.link.mu.Unlock()
	if p.link.mu.m.State() == pair.StateEstablished && !p.link.mu.ended {
		return nil
	}
	return p.endedLocked()
}

// send waits for room in the queue and gives a request to the machine.
func (p *Pair) send(ctx context.Context, t wire.MessageType, body []byte, stream bool, o owner) (wire.RequestID, error) {
	if len(body) > wire.BulkBytes && !p.bulk {
		return 0, fmt.Errorf("%w: %d bytes", ErrBulk, len(body))
	}
	var timeout time.Duration
	if deadline, ok := ctx.Deadline(); ok {
		if timeout = time.Until(deadline); timeout <= 0 {
			return 0, context.DeadlineExceeded
		}
	}
	l := p.link
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.roomLocked(ctx.Done()) && ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	id, err := l.mu.m.Request(t, timeout, body, stream, o)
	if err != nil {
		if errors.Is(err, pair.ErrClosed) {
			return 0, p.closedLocked()
		}
		return 0, err
	}
	l.kickLocked()
	return id, nil
}

// closedLocked is what a request gets that was not even sent.
func (p *Pair) closedLocked() error {
	if p.closed {
		return ErrClosed
	}
	err := p.endedLocked()
	if errors.Is(err, ErrLost) {
		return fmt.Errorf("%w: %v", ErrNotRun, err)
	}
	return err
}

// Status asks for the health of any service.
func (p *Pair) Status(ctx context.Context, service wire.Service) (wire.Status, error) {
	w := statusWaiter{answer: make(chan wire.Status, 1)}
	err := p.ask(func() error {
		if err := p.link.mu.m.RequestStatus(service); err != nil {
			return err
		}
		p.statuses = append(p.statuses, w)
		return nil
	})
	if err != nil {
		return wire.StatusUnhealthy, err
	}
	select {
	case status := <-w.answer:
		return status, nil
	case <-p.link.dead:
		return wire.StatusUnhealthy, p.ended()
	case <-ctx.Done():
		return wire.StatusUnhealthy, context.Cause(ctx)
	}
}

// Ping runs a latency test and returns its round trip. For a true figure use a pair that carries nothing else.
func (p *Pair) Ping(ctx context.Context) (time.Duration, error) {
	w := testWaiter{done: make(chan time.Duration, 1)}
	err := p.ask(func() error {
		p.lastTest++
		w.id, w.start = p.lastTest, time.Now()
		if err := p.link.mu.m.StartTest(w.id); err != nil {
			return err
		}
		p.tests = append(p.tests, w)
		return nil
	})
	if err != nil {
		return 0, err
	}
	select {
	case took := <-w.done:
		return took, nil
	case <-p.link.dead:
		return 0, p.ended()
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// SetHeartbeat makes both sides send at least something every so often, whole seconds up to wire.MaxHeartbeatInterval; a
// side that hears nothing for three times as long ends the pair. 0 turns it off, as it is at the beginning.
func (p *Pair) SetHeartbeat(every time.Duration) error {
	return p.ask(func() error {
		if err := p.link.mu.m.SetInterval(every); err != nil {
			return err
		}
		p.link.mu.beat = int64((every + tick - 1) / tick)
		return nil
	})
}

// ask runs fn on the machine and sends what came of it.
func (p *Pair) ask(fn func() error) error {
	l := p.link
	l.mu.Lock()
	defer l.mu.Unlock()
	err := fn()
	l.kickLocked()
	if errors.Is(err, pair.ErrClosed) {
		return p.closedLocked()
	}
	return err
}

func (p *Pair) ended() error {
	p.link.mu.Lock()
	defer p.link.mu.Unlock()
	return p.endedLocked()
}

// Close says that nothing more will be asked, waits for the answers that are under way and for the server's CLOSE. When
// ctx ends first the pair is cut.
func (p *Pair) Close(ctx context.Context) error {
	l := p.link
	l.mu.Lock()
	p.closed = true
	l.mu.m.Close()
	l.kickLocked()
	l.mu.Unlock()
	select {
	case <-l.dead:
		l.set.leaveIfEnded(l)
		return nil
	case <-ctx.Done():
		p.Abort()
		return context.Cause(ctx)
	}
}

// Abort cuts the pair at once. Requests under way get ErrLost.
func (p *Pair) Abort() {
	p.link.mu.Lock()
	p.closed = true
	p.link.mu.Unlock()
	p.link.kill(wire.CloseNone, ErrClosed)
	p.link.set.leaveIfEnded(p.link)
}

// Context describes the pair.
func (p *Pair) Context() Context { return p.link.context() }
