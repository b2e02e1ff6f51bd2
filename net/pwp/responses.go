package pwp

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/shieldmaidens/pleiades/net/pwp/pair"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// Responses receives the responses of a streaming request. One goroutine uses it.
type Responses struct {
	pair *Pair
	ctx  context.Context
	id   wire.RequestID
	last *buffer // what Next returned

	// Guarded by link.mu.
	queue []item
	over  bool  // nothing more will come
	err   error // why, behind what is queued; nil: the end
	some  chan struct{}
	room  chan struct{}
	gone  bool // the consumer wants no more
}

type item struct {
	typ wire.MessageType
	buf *buffer
}

var _ owner = (*Responses)(nil)

// Stream sends a request that has many responses. ctx is for all of them. Use a pair of its own for a stream whose
// consumer may be slow: a pair is not read while one of its streams has Limits.MaxStreamMessages waiting. Close it.
// Errors as for Call.
func (p *Pair) Stream(ctx context.Context, t wire.MessageType, body []byte) (*Responses, error) {
	s := &Responses{pair: p, ctx: ctx, some: make(chan struct{}, 1), room: make(chan struct{}, 1)}
	id, err := p.send(ctx, t, body, true, s)
	if err != nil {
		return nil, err
	}
	s.id = id
	return s, nil
}

func (s *Responses) answerLocked(ev *pair.Event, buf *buffer) bool {
	if s.gone {
		return false
	}
	if ev.Kind == pair.KindResponse {
		s.queue = append(s.queue, item{ev.Type, buf})
	} else {
		s.over, s.err = true, ev.Err
	}
	notify(s.some)
	return ev.Kind == pair.KindResponse
}

func (s *Responses) endLocked(err error) {
	s.over, s.err = true, err
	notify(s.some)
}

// notify leaves word that there is something, once.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// waitRoom keeps the pair's reader until the consumer has taken something.
func (s *Responses) waitRoom() {
	l := s.pair.link
	for {
		l.mu.Lock()
		full := len(s.queue) >= l.limits.MaxStreamMessages && !s.gone && !l.mu.ended
		l.mu.Unlock()
		if !full {
			return
		}
		select {
		case <-s.room:
		case <-l.dead:
			return
		}
	}
}

// Next waits for the next response and returns its type and protobuf bytes, which are valid until the next call. io.EOF:
// there are no more. Other errors as for Call; what came before the error is returned first.
func (s *Responses) Next() (wire.MessageType, []byte, error) {
	s.last.release()
	s.last = nil
	l := s.pair.link
	for {
		l.mu.Lock()
		if len(s.queue) > 0 {
			next := s.queue[0]
			s.queue = slices.Delete(s.queue, 0, 1)
			l.mu.Unlock()
			notify(s.room)
			s.last = next.buf
			return next.typ, next.buf.b, nil
		}
		over, err := s.over, s.err
		l.mu.Unlock()
		if over {
			if err == nil {
				err = io.EOF
			}
			return 0, nil, err
		}
		select {
		case <-s.some:
		case <-s.ctx.Done():
			return 0, nil, fmt.Errorf("pwp: request %d: %w", s.id, context.Cause(s.ctx))
		}
	}
}

// Close ends the stream; the server is told when it has not sent everything. What was not taken is dropped.
func (s *Responses) Close() error {
	l := s.pair.link
	l.mu.Lock()
	s.gone = true
	queue := s.queue
	s.queue = nil
	if !s.over {
		s.over, s.err = true, ErrClosed
		l.mu.m.Cancel(s.id)
		l.kickLocked()
	}
	l.mu.Unlock()
	notify(s.room)
	for _, it := range queue {
		it.buf.release()
	}
	s.last.release()
	s.last = nil
	return nil
}
