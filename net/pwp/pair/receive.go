package pair

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// ReceiveSetup takes in bytes of the server's half of the request stream, at a client: RESPONSE_STREAM_ID and nothing
// else. It returns how many bytes were used; what it left is to be given again with what follows.
func (m *Machine) ReceiveSetup(b []byte) (int, Event) {
	if m.state == StateOver || len(b) == 0 {
		return len(b), Event{}
	}
	f, n, err := wire.Parse(b)
	switch {
	case errors.Is(err, wire.ErrTruncated) && wire.Magic(b[0]) == wire.MagicResponseStreamID && !m.streamKnown:
		return 0, Event{}
	case err != nil && !errors.Is(err, wire.ErrTruncated):
		return len(b), m.fail(wire.CloseCodeOf(err), err)
	case err != nil || f.Magic != wire.MagicResponseStreamID || m.streamKnown || m.cfg.Role != RoleClient:
		return len(b), m.unexpected(wire.Magic(b[0]), "on the request stream")
	case wire.StreamID(f.Value) != m.cfg.Stream.Response():
		err := fmt.Errorf("%w: response stream %d for request stream %d", wire.ErrBadValue, f.Value, m.cfg.Stream)
		return len(b), m.fail(wire.CloseBadValue, err)
	}
	m.streamKnown = true
	return n, Event{Kind: KindStream, Value: f.Value}
}

// Receive takes in bytes of the peer's own half. It uses at most one frame, returns how many bytes that was, and is to
// be called again with the rest. 0 bytes and KindNone: more are needed. After KindPrelude the caller collects the
// message's bytes and gives them to Check and Message before it calls Receive again.
func (m *Machine) Receive(b []byte) (int, Event) {
	if m.state == StateOver {
		return len(b), Event{}
	}
	if len(b) == 0 {
		return 0, Event{}
	}
	if m.inMessage {
		return len(b), m.fail(wire.CloseInternal, fmt.Errorf("%w: Receive inside a message", ErrUsage))
	}
	magic := wire.Magic(b[0])
	if magic.Known() && !m.expected(magic) {
		return len(b), m.unexpected(magic, "in state "+m.state.String())
	}
	if magic == wire.MagicPayloadType {
		return m.receivePrelude(b)
	}
	f, n, err := wire.Parse(b)
	if errors.Is(err, wire.ErrTruncated) {
		return 0, Event{}
	}
	if err != nil {
		return len(b), m.fail(wire.CloseCodeOf(err), err)
	}
	return n, m.receiveFrame(f)
}

// EndOfStream takes in that the peer finished its half, with left bytes that Receive did not use. At the border of a
// frame it means CLOSE.
func (m *Machine) EndOfStream(left int) Event {
	switch {
	case m.state == StateOver || m.state == StateClosed && left == 0:
		return Event{}
	case left > 0 || m.inMessage || m.state == StateHello:
		return m.fail(wire.CloseTruncated, fmt.Errorf("%w: the stream ended", wire.ErrTruncated))
	}
	return m.peerClosed()
}

func (m *Machine) unexpected(magic wire.Magic, where string) Event {
	return m.fail(wire.CloseUnexpectedByte, fmt.Errorf("%w %v %s", ErrUnexpected, magic, where))
}

// expected reports whether the peer may send magic now.
func (m *Machine) expected(magic wire.Magic) bool {
	if !magic.SentBy(m.cfg.Role.peer().sender()) || m.state == StateClosed {
		return false
	}
	if m.state == StateHello || magic == wire.MagicHello {
		return m.state == StateHello && magic == wire.MagicHello
	}
	if m.refusal != wire.ServiceReady {
		return magic == wire.MagicPayloadType
	}
	switch magic {
	case wire.MagicClose:
		return true
	case wire.MagicPayloadType:
		return true // before a service only an error about the pair: checked by its type
	case wire.MagicSetupComplete:
		return m.state == StateSetup
	case wire.MagicVersionRequest:
		return !m.versionAsked && !m.serviceAsked
	case wire.MagicVersionResponse:
		return m.versionPending
	case wire.MagicServiceRequest:
		return m.state == StateOpen && !m.serviceAsked
	case wire.MagicServiceResponse:
		return m.state == StateOpen && m.serviceAsked && !m.versionPending
	case wire.MagicStatusResponse:
		return len(m.statuses) > 0
	case wire.MagicStatusRequest, wire.MagicLatencyStart, wire.MagicHeartbeat, wire.MagicHeartbeatInterval:
		return m.state != StateSetup
	case wire.MagicLatencyStop:
		return len(m.tests) > 0
	}
	return false
}

func (m *Machine) receiveFrame(f wire.Frame) Event {
	switch f.Magic {
	case wire.MagicHello:
		return m.receiveHello()
	case wire.MagicSetupComplete:
		m.state = StateOpen
		return Event{Kind: KindOpen}
	case wire.MagicVersionRequest:
		m.versionAsked = true
		m.out = wire.AppendVersionResponse(m.out, m.cfg.Version)
		return m.agree(wire.Version(f.Value))
	case wire.MagicVersionResponse:
		m.versionPending = false
		return m.agree(wire.Version(f.Value))
	case wire.MagicServiceRequest:
		return m.serve(wire.Service(f.Value))
	case wire.MagicServiceResponse:
		return m.served(wire.ServiceCode(f.Value))
	case wire.MagicStatusRequest:
		status := wire.StatusUnhealthy
		if m.cfg.Status != nil {
			status = m.cfg.Status(wire.Service(f.Value))
		}
		m.out = wire.AppendStatusResponse(m.out, status)
		return Event{Kind: KindStatus, Service: wire.Service(f.Value), Value: uint64(status)}
	case wire.MagicStatusResponse:
		service := m.statuses[0]
		m.statuses = slices.Delete(m.statuses, 0, 1)
		return Event{Kind: KindStatus, Service: service, Value: f.Value}
	case wire.MagicLatencyStart:
		if !m.closeSent {
			m.answers++
			m.out = wire.AppendLatencyStop(m.out, wire.LatencyID(f.Value))
		}
		return Event{Kind: KindTestAnswered, Value: f.Value}
	case wire.MagicLatencyStop:
		i := slices.Index(m.tests, wire.LatencyID(f.Value))
		if i < 0 {
			return m.unexpected(f.Magic, fmt.Sprintf("of test %d, which is not under way", f.Value))
		}
		m.tests = slices.Delete(m.tests, i, i+1)
		return Event{Kind: KindTestDone, Value: f.Value}
	case wire.MagicHeartbeat:
		return Event{Kind: KindHeartbeat}
	case wire.MagicHeartbeatInterval:
		return Event{Kind: KindInterval, Timeout: time.Duration(f.Value) * time.Second}
	}
	m.saidClose = true // MagicClose: expected lets nothing else through
	return m.peerClosed()
}

func (m *Machine) receiveHello() Event {
	m.state = StateOpen
	if m.cfg.Role == RoleServer {
		m.state = StateSetup
		m.setup = wire.AppendResponseStreamID(m.setup, m.cfg.Stream.Response())
		m.hello()
	}
	return Event{Kind: KindHello}
}

// agree settles on the newest version that both sides speak.
func (m *Machine) agree(peer wire.Version) Event {
	m.version = min(m.cfg.Version, peer)
	if m.version < m.cfg.MinVersion {
		return m.fail(wire.CloseVersion, fmt.Errorf("%w: the peer's newest is %d, the oldest here is %d", ErrVersion, peer, m.cfg.MinVersion))
	}
	return Event{Kind: KindVersion, Value: uint64(peer)}
}

// serve answers a client's request for a service. A refusal ends the pair: a client that sent everything in one flight
// has messages under way, and they must not be taken for anything else.
func (m *Machine) serve(service wire.Service) Event {
	m.service, m.serviceAsked = service, true
	code, failure := wire.ServiceNever, (*wire.Error)(nil)
	if m.draining {
		code = wire.ServiceRetry
	} else if m.cfg.Service != nil {
		code, failure = m.cfg.Service(service)
	}
	if code.HasError() && failure == nil {
		failure = &wire.Error{Code: wire.CodeUnavailable, Text: code.String()}
	}
	ev := Event{Kind: KindService, Service: service, Code: code}
	m.out = wire.AppendServiceResponse(m.out, code)
	if code == wire.ServiceReady {
		m.state = StateEstablished
		return ev
	}
	if code.HasError() {
		about := *failure
		about.ID = 0
		m.messagesOut++
		m.out = wire.AppendErrorMessage(m.out, &about)
		ev.Err = &about
	}
	m.sendClose()
	m.stop, m.stopCode, m.state = true, wire.CloseRefused, StateOver
	return ev
}

// served takes in the server's answer. The event of a refusal comes when all of it is there.
func (m *Machine) served(code wire.ServiceCode) Event {
	ev := Event{Kind: KindService, Service: m.service, Code: code}
	switch {
	case code == wire.ServiceReady:
		m.state = StateEstablished
	case code.HasError():
		m.refusal = code
		return Event{}
	default:
		m.refused()
	}
	return ev
}

func (m *Machine) refused() {
	m.sendClose()
	m.state = StateOver
	m.stop, m.stopCode = true, wire.CloseNone
}

func (m *Machine) peerClosed() Event {
	m.state = StateClosed
	if m.cfg.Role == RoleClient {
		m.sendClose()
	}
	m.settle()
	return Event{Kind: KindClose}
}
