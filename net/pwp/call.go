package pwp

import (
	"context"
	"fmt"

	"github.com/shieldmaidens/pleiades/net/pwp/pair"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// call waits for the only response of a request. It is reused: whoever takes it out of the machine's table, by an answer,
// a cancellation or the end of the pair, is the last to know it.
type call struct {
	done chan struct{} // one answer
	typ  wire.MessageType
	buf  *buffer
	err  error
}

var _ owner = (*call)(nil)

// newCall takes a call from the client's own pool: its channel must not wander into another bubble of testing/synctest.
func (c *Client) newCall() *call {
	if old, ok := c.calls.Get().(*call); ok {
		return old
	}
	return &call{done: make(chan struct{}, 1)}
}

func (c *call) answerLocked(ev *pair.Event, buf *buffer) bool {
	switch ev.Kind {
	case pair.KindResponse:
		c.typ, c.buf = ev.Type, buf
	case pair.KindEnd:
		c.err = ErrNoAnswer
	default:
		c.err = ev.Err
	}
	took := c.buf != nil
	c.done <- struct{}{} // from here on c is the caller's, or somebody else's
	return took
}

func (c *call) endLocked(err error) {
	c.err = err
	c.done <- struct{}{}
}

// Call sends a request and waits for its response, which it appends to dst and returns with its type: protobuf bytes with
// the request id in field 1. body is encoded protobuf without fields 1 and 2, and is free when Call returns. The deadline
// of ctx goes with the request; when ctx ends, the server is told. An error that the server answered with matches under
// errors.Is what it was there. Other errors: ErrNotRun, ErrLost, *RefusedError, ErrBulk, pair.ErrTooMany, those of ctx.
func (p *Pair) Call(ctx context.Context, t wire.MessageType, body, dst []byte) (wire.MessageType, []byte, error) {
	c := p.client.newCall()
	id, err := p.send(ctx, t, body, false, c)
	if err != nil {
		p.client.calls.Put(c)
		return 0, dst, err
	}
	select {
	case <-c.done:
	case <-ctx.Done():
		p.cancel(id)
		select {
		case <-c.done: // the answer was faster
		default:
			c.err = fmt.Errorf("pwp: request %d: %w", id, context.Cause(ctx))
		}
	}
	typ, err := c.typ, c.err
	if c.buf != nil {
		if dst == nil && c.buf.class < 0 {
			dst = c.buf.disown() // large: not copied
		} else {
			dst = append(dst, c.buf.b...)
			c.buf.release()
		}
	}
	c.typ, c.buf, c.err = 0, nil, nil
	p.client.calls.Put(c)
	return typ, dst, err
}

// cancel takes a request out of the table, so that its owner hears nothing of it any more.
func (p *Pair) cancel(id wire.RequestID) {
	l := p.link
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.m.Cancel(id)
	l.kickLocked()
}
