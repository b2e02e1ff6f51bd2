package pair

import (
	"errors"
	"fmt"

	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// receivePrelude takes in the beginning of a message: whether it may come now, and whether it is not too large.
func (m *Machine) receivePrelude(b []byte) (int, Event) {
	p, n, err := wire.ParsePrelude(b)
	if errors.Is(err, wire.ErrTruncated) {
		return 0, Event{}
	}
	if err == nil {
		err = p.Check(m.cfg.MaxMessageBytes)
	}
	if err != nil {
		return len(b), m.fail(wire.CloseCodeOf(err), err)
	}
	if err := m.expectedType(p.Type); err != nil {
		return len(b), m.fail(wire.CloseUnexpectedByte, err)
	}
	m.prelude, m.inMessage = p, true
	return n, Event{Kind: KindPrelude, Prelude: p}
}

// expectedType returns an error when the peer may not send a message of that type now.
func (m *Machine) expectedType(t wire.MessageType) error {
	switch {
	case t == wire.TypeError:
		return nil
	case m.state != StateEstablished:
		return fmt.Errorf("%w message of %v in state %v", ErrUnexpected, t, m.state)
	case t.Application():
		return nil
	case t == wire.TypeCancel && m.cfg.Role == RoleServer:
		return nil
	case t == wire.TypeEnd && m.cfg.Role == RoleClient:
		return nil
	}
	return fmt.Errorf("%w message of %v", ErrUnexpected, t)
}

// Checked is a message whose checksum and envelope were looked at. The zero value is of no use.
type Checked struct {
	envelope wire.Envelope
	failure  *wire.Error // of an error message
	err      error
}

// Check looks at the bytes that the prelude announced: their checksum, and the part that the protocol reads. It changes
// nothing and needs no lock, as long as the same goroutine calls Receive. msg is not kept.
func (m *Machine) Check(p wire.Prelude, msg []byte) Checked {
	var c Checked
	if uint64(len(msg)) != p.SizeBytes {
		c.err = fmt.Errorf("%w: %d of %d bytes of a message", wire.ErrTruncated, len(msg), p.SizeBytes)
		return c
	}
	if c.err = p.Verify(msg); c.err != nil {
		return c
	}
	switch {
	case p.Type == wire.TypeError:
		if c.failure, c.err = wire.ParseError(msg); c.err == nil {
			c.envelope.ID = c.failure.ID
		}
	case m.cfg.Role == RoleServer:
		c.envelope, c.err = wire.ParseRequest(msg)
	default:
		c.envelope.ID, c.err = wire.ParseResponse(msg)
	}
	return c
}

// Message takes in the message that KindPrelude announced, after Check. The bytes themselves stay with the caller, who
// hands them to the owner that the event names.
func (m *Machine) Message(c Checked) Event {
	if m.state == StateOver {
		return Event{}
	}
	if !m.inMessage {
		return m.fail(wire.CloseInternal, fmt.Errorf("%w: Message without a prelude", ErrUsage))
	}
	m.inMessage = false
	if c.err != nil {
		return m.fail(wire.CloseCodeOf(c.err), c.err)
	}
	m.messagesIn++
	answers := m.cfg.Role == RoleClient && m.state == StateEstablished && c.envelope.ID != 0
	if m.prelude.Type == wire.TypeError && !answers {
		return m.receivePairError(c)
	}
	if m.cfg.Role == RoleServer {
		return m.receiveRequest(c.envelope)
	}
	return m.receiveResponse(c)
}

// receivePairError takes in why the peer is about to close, or why it refuses the service.
func (m *Machine) receivePairError(c Checked) Event {
	if c.envelope.ID != 0 {
		return m.fail(wire.CloseUnexpectedByte, fmt.Errorf("%w error about request %d in state %v", ErrUnexpected, c.envelope.ID, m.state))
	}
	if m.refusal != wire.ServiceReady {
		code := m.refusal
		m.refused()
		return Event{Kind: KindService, Service: m.service, Code: code, Err: c.failure}
	}
	m.pairErr = c.failure
	return Event{Kind: KindPairError, Err: c.failure}
}

func (m *Machine) receiveRequest(e wire.Envelope) Event {
	t := m.prelude.Type
	r, known := m.requests[e.ID]
	if t == wire.TypeCancel {
		if !known || r.cancelled {
			return Event{Kind: KindLate, ID: e.ID}
		}
		r.cancelled = true
		m.requests[e.ID] = r
		return Event{Kind: KindCancel, ID: e.ID, Owner: r.owner}
	}
	if known {
		return m.fail(wire.CloseBadMessage, fmt.Errorf("%w: request %d is already under way", wire.ErrBadMessage, e.ID))
	}
	var refusal error
	switch {
	case m.draining:
		refusal = ErrShutdown
	case len(m.requests) >= m.cfg.MaxRequests, m.cfg.Full != nil && m.cfg.Full():
		refusal = fmt.Errorf("%w: %d, and %d was not run", ErrTooMany, len(m.requests), e.ID)
	}
	if refusal != nil {
		answer := wire.ErrorOf(e.ID, refusal)
		m.messagesOut++
		m.out = wire.AppendErrorMessage(m.out, &answer)
		return Event{Kind: KindRefused, ID: e.ID, Type: t, Err: refusal}
	}
	m.add(e.ID, request{})
	return Event{Kind: KindRequest, ID: e.ID, Type: t, Timeout: e.Timeout}
}

func (m *Machine) receiveResponse(c Checked) Event {
	t, id := m.prelude.Type, c.envelope.ID
	r, known := m.requests[id]
	if !known {
		return m.fail(wire.CloseBadMessage, fmt.Errorf("%w: %v for request %d, which is not under way", wire.ErrBadMessage, t, id))
	}
	last := !r.stream || !t.Application()
	if last {
		delete(m.requests, id)
	}
	ev := Event{Kind: KindResponse, ID: id, Type: t, Owner: r.owner, Last: last}
	switch {
	case r.cancelled:
		return Event{Kind: KindLate, ID: id, Last: last}
	case t == wire.TypeError:
		ev.Kind, ev.Err = KindError, c.failure
	case t == wire.TypeEnd:
		ev.Kind = KindEnd
	}
	return ev
}

// NotRun reports whether requests without an answer are known not to have been run, once the peer closed: it said CLOSE,
// and nothing was wrong with the pair. The bare end of a stream proves nothing.
func (m *Machine) NotRun() bool { return m.saidClose && m.pairErr == nil }
