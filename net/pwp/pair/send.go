package pair

import (
	"fmt"
	"slices"
	"time"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// Opening says how a client begins a pair.
type Opening struct {
	// CheckVersion asks for the server's version as well: 4 bytes.
	CheckVersion bool
	// Service is what the pair is for; 0 asks for none, which is enough for status requests and latency tests.
	Service wire.Service
}

// Start queues a client's set-up. All of it goes out at once, and what is queued next may follow without waiting.
func (m *Machine) Start(o Opening) error {
	if m.cfg.Role != RoleClient || m.started {
		return fmt.Errorf("%w: Start is a client's first call", ErrUsage)
	}
	m.hello()
	m.out = wire.AppendSetupComplete(m.out)
	if o.CheckVersion {
		m.versionAsked, m.versionPending = true, true
		m.out = wire.AppendVersionRequest(m.out, m.cfg.Version)
	}
	if o.Service != 0 {
		m.service, m.serviceAsked = o.Service, true
		m.out = wire.AppendServiceRequest(m.out, o.Service)
	}
	return nil
}

// sendable returns an error unless the role may send on its own half now.
func (m *Machine) sendable(role Role) error {
	switch {
	case m.cfg.Role != role && role != 0:
		return fmt.Errorf("%w: this is the other side's to send", ErrUsage)
	case m.closeSent || m.state == StateOver:
		return ErrClosed
	case !m.started:
		return fmt.Errorf("%w: the pair has not begun", ErrUsage)
	}
	return nil
}

// Request queues a client's request and returns its id. stream says that it may have many responses. timeout 0 is
// without limit. body is encoded protobuf without fields 1 and 2; it is copied. Errors: ErrClosed, ErrTooMany, ErrUsage,
// wire.ErrTooLarge.
func (m *Machine) Request(t wire.MessageType, timeout time.Duration, body []byte, stream bool, owner any) (wire.RequestID, error) {
	if err := m.sendable(RoleClient); err != nil {
		return 0, err
	}
	switch {
	case !m.serviceAsked || !t.Application():
		return 0, fmt.Errorf("%w: a request of %v on a pair for %v", ErrUsage, t, m.service)
	case len(m.requests) >= m.cfg.MaxRequests:
		return 0, fmt.Errorf("%w: %d", ErrTooMany, len(m.requests))
	case uint64(len(body))+wire.MaxEnvelopeBytes > m.cfg.MaxMessageBytes:
		return 0, fmt.Errorf("%w: a request of %d bytes, at most %d", wire.ErrTooLarge, len(body), m.cfg.MaxMessageBytes)
	}
	m.lastID++
	id := m.lastID
	m.add(id, request{owner: owner, stream: stream})
	m.messagesOut++
	m.out = wire.AppendMessage(m.out, t, wire.Envelope{ID: id, Timeout: timeout}, body)
	return id, nil
}

func (m *Machine) add(id wire.RequestID, r request) {
	if m.requests == nil {
		m.requests = make(map[wire.RequestID]request)
	}
	m.requests[id] = r
}

// Cancel queues that the answer of request id is not wanted, and forgets its owner. What still comes for it is
// KindLate. A request that has its last answer is not an error: the two may cross.
func (m *Machine) Cancel(id wire.RequestID) {
	r, ok := m.requests[id]
	if !ok || r.cancelled || m.cfg.Role != RoleClient {
		return
	}
	m.requests[id] = request{stream: r.stream, cancelled: true}
	if m.sendable(RoleClient) == nil {
		m.messagesOut++
		m.out = wire.AppendMessage(m.out, wire.TypeCancel, wire.Envelope{ID: id}, nil)
	}
}

// Respond queues a server's response for request id; last says that it is the only or the final one. body as for
// Request. Errors: ErrClosed, ErrNoRequest, ErrUsage, wire.ErrTooLarge.
func (m *Machine) Respond(id wire.RequestID, t wire.MessageType, body []byte, last bool) error {
	if !t.Application() {
		return fmt.Errorf("%w: a response of %v", ErrUsage, t)
	}
	if uint64(len(body))+wire.MaxEnvelopeBytes > m.cfg.MaxMessageBytes {
		return fmt.Errorf("%w: a response of %d bytes, at most %d", wire.ErrTooLarge, len(body), m.cfg.MaxMessageBytes)
	}
	return m.answer(id, t, body, last)
}

// End queues the end of the responses for request id. Errors: ErrClosed, ErrNoRequest, ErrUsage.
func (m *Machine) End(id wire.RequestID) error { return m.answer(id, wire.TypeEnd, nil, true) }

// RespondError queues err as the last answer of request id. Errors: ErrClosed, ErrNoRequest, ErrUsage.
func (m *Machine) RespondError(id wire.RequestID, err error) error {
	if serr := m.answerable(id); serr != nil {
		return serr
	}
	e := wire.ErrorOf(id, err)
	m.messagesOut++
	m.out = wire.AppendErrorMessage(m.out, &e)
	delete(m.requests, id)
	m.settle()
	return nil
}

func (m *Machine) answer(id wire.RequestID, t wire.MessageType, body []byte, last bool) error {
	if err := m.answerable(id); err != nil {
		return err
	}
	m.messagesOut++
	m.out = wire.AppendMessage(m.out, t, wire.Envelope{ID: id}, body)
	if last {
		delete(m.requests, id)
		m.settle()
	}
	return nil
}

func (m *Machine) answerable(id wire.RequestID) error {
	if err := m.sendable(RoleServer); err != nil {
		return err
	}
	if _, ok := m.requests[id]; !ok {
		return fmt.Errorf("%w: id %d", ErrNoRequest, id)
	}
	return nil
}

// RequestStatus queues a client's question after the health of a service. Answers come in the order of the questions.
func (m *Machine) RequestStatus(s wire.Service) error {
	if err := m.sendable(RoleClient); err != nil {
		return err
	}
	if len(m.statuses) >= MaxStatuses {
		return fmt.Errorf("%w: %d status requests", ErrTooMany, len(m.statuses))
	}
	m.statuses = append(m.statuses, s)
	m.out = wire.AppendStatusRequest(m.out, s)
	return nil
}

// StartTest queues the beginning of a latency test; id must not be that of one under way.
func (m *Machine) StartTest(id wire.LatencyID) error {
	if err := m.sendable(0); err != nil {
		return err
	}
	switch {
	case slices.Contains(m.tests, id):
		return fmt.Errorf("%w: latency test %d is under way", ErrUsage, id)
	case len(m.tests) >= MaxTests:
		return fmt.Errorf("%w: %d latency tests", ErrTooMany, len(m.tests))
	}
	m.tests = append(m.tests, id)
	m.out = wire.AppendLatencyStart(m.out, id)
	return nil
}

// Heartbeat queues a heartbeat.
func (m *Machine) Heartbeat() error {
	if err := m.sendable(0); err != nil {
		return err
	}
	m.out = wire.AppendHeartbeat(m.out)
	return nil
}

// SetInterval queues a client's setting of how often both sides send at least a heartbeat: whole seconds, rounded up, at
// most wire.MaxHeartbeatInterval, 0 for never.
func (m *Machine) SetInterval(every time.Duration) error {
	if err := m.sendable(RoleClient); err != nil {
		return err
	}
	if every < 0 || every > wire.MaxHeartbeatInterval {
		return fmt.Errorf("%w: a heartbeat every %v", base.ErrInvalid, every)
	}
	m.out = wire.AppendHeartbeatInterval(m.out, every)
	return nil
}

// Close queues a client's CLOSE: it will ask for nothing more, and answers under way still come. A server calls Drain.
func (m *Machine) Close() {
	if m.cfg.Role == RoleClient && m.sendable(RoleClient) == nil {
		m.sendClose()
	}
}

// Drain makes a server take no more requests: new ones are answered with ErrShutdown, and when the last one under way
// has its answer the pair is closed. Requests without an answer were then not run.
func (m *Machine) Drain() {
	if m.cfg.Role == RoleServer && m.state != StateOver {
		m.draining = true
		m.settle()
	}
}
