package pair

import (
	"fmt"

	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// Role is the side of a machine.
type Role uint8

// The roles. Not part of the format.
const (
	RoleClient Role = 1
	RoleServer Role = 2
)

func (r Role) sender() wire.Sender {
	if r == RoleClient {
		return wire.SenderClient
	}
	return wire.SenderServer
}

func (r Role) peer() Role { return RoleClient + RoleServer - r }

// Bounds on what a machine tracks.
const (
	// MaxTests is how many latency tests may be under way in one direction.
	MaxTests = 16
	// MaxStatuses is how many status requests may wait for their answer.
	MaxStatuses = 16
	// DefaultMaxRequests is how many requests a pair has in flight when Config does not say.
	DefaultMaxRequests = 256
)

// Config is what a machine is made of. The machine keeps a copy.
type Config struct {
	Role Role
	// Stream is the id of the request stream.
	Stream wire.StreamID
	// MaxMessageBytes is the largest message that is accepted, protobuf bytes; 0 is wire.DefaultMaxMessageBytes.
	MaxMessageBytes uint64
	// MaxRequests is how many requests may be in flight; 0 is DefaultMaxRequests. A server answers more with
	// base.ErrOverloaded, a client does not send them.
	MaxRequests int
	// Version is the newest version that this side speaks; 0 is wire.Version1.
	Version wire.Version
	// MinVersion is the oldest version that this side speaks; 0 is wire.Version1. Only a version check can find a peer
	// that is older.
	MinVersion wire.Version
	// Service decides on a request for a service, at a server. With a code that has an error it returns that error, too.
	// nil refuses all.
	Service func(wire.Service) (wire.ServiceCode, *wire.Error)
	// Full reports whether a server may take no more requests for a reason outside this pair; nil is never. It is asked
	// once a request, which is then answered with base.ErrOverloaded.
	Full func() bool
	// Status is the health of a service, at a server. nil is unhealthy.
	Status func(wire.Service) wire.Status
}

// request is one that has no last answer yet.
type request struct {
	owner     any
	stream    bool // of a client: it may have many responses
	cancelled bool
}

// Machine is one side of one pair.
type Machine struct {
	cfg   Config
	state State

	requests map[wire.RequestID]request
	lastID   wire.RequestID

	service        wire.Service
	serviceAsked   bool
	refusal        wire.ServiceCode // of a client: refused, and the error message is still to come
	streamKnown    bool             // of a client: RESPONSE_STREAM_ID came
	versionAsked   bool
	versionPending bool
	version        wire.Version // that the pair speaks
	statuses       []wire.Service
	tests          []wire.LatencyID

	prelude   wire.Prelude
	inMessage bool

	out       []byte
	answers   int // latency tests of the peer that were answered in out
	setup     []byte
	started   bool // the own half has its HELLO
	closeSent bool
	finish    bool // to be handed out
	stop      bool // to be handed out
	stopCode  wire.CloseCode
	draining  bool

	saidClose   bool  // CLOSE came
	pairErr     error // what the peer said about the pair
	messagesIn  uint64
	messagesOut uint64
}

// New returns a machine at the beginning. A client calls Start next.
func New(cfg Config) *Machine {
	if cfg.MaxMessageBytes == 0 {
		cfg.MaxMessageBytes = wire.DefaultMaxMessageBytes
	}
	if cfg.MaxRequests <= 0 {
		cfg.MaxRequests = DefaultMaxRequests
	}
	if cfg.Version == 0 {
		cfg.Version = wire.Version1
	}
	return &Machine{cfg: cfg, version: wire.Version1}
}

// State returns the state of the half that is received.
func (m *Machine) State() State { return m.state }

// Service returns the service of the pair, 0 before one was asked for.
func (m *Machine) Service() wire.Service { return m.service }

// Version returns the version that both sides speak.
func (m *Machine) Version() wire.Version { return m.version }

// InFlight returns how many requests have no last answer.
func (m *Machine) InFlight() int { return len(m.requests) }

// Messages returns how many messages went in and out.
func (m *Machine) Messages() (in, out uint64) { return m.messagesIn, m.messagesOut }

// PairError returns what the peer said about the pair, nil when it said nothing. Requests without an answer were not run
// when it is nil and the peer closed in good order.
func (m *Machine) PairError() error { return m.pairErr }

// Queued returns how many bytes wait to be taken.
func (m *Machine) Queued() int { return len(m.out) }

// Answers returns how many answers to latency tests wait to be taken: what a peer can make this side queue at will.
func (m *Machine) Answers() int { return m.answers }

// Pending reports whether Take has something to hand out.
func (m *Machine) Pending() bool { return len(m.out) > 0 || len(m.setup) > 0 || m.finish || m.stop }

// Plain reports whether Take would hand out bytes for the own half and nothing else.
func (m *Machine) Plain() bool { return len(m.out) > 0 && len(m.setup) == 0 && !m.finish && !m.stop }

// Take hands out what is to be done and keeps spare, emptied, for what comes next.
func (m *Machine) Take(spare []byte) Output {
	o := Output{Setup: m.setup, Main: m.out, Finish: m.finish, Stop: m.stop, StopCode: m.stopCode}
	m.out, m.setup, m.finish, m.stop, m.answers = spare[:0], nil, false, false, 0
	return o
}

// SetOwner names who runs a request that KindRequest announced.
func (m *Machine) SetOwner(id wire.RequestID, owner any) {
	if r, ok := m.requests[id]; ok {
		r.owner = owner
		m.requests[id] = r
	}
}

// Abandon forgets all requests and calls fn for the owner of each that was not cancelled. For the end of a pair.
func (m *Machine) Abandon(fn func(owner any)) {
	for _, r := range m.requests {
		if !r.cancelled && r.owner != nil {
			fn(r.owner)
		}
	}
	clear(m.requests)
}

// Fail ends the pair for a reason of this side: an error message about the pair, CLOSE, and code for the peer's half.
func (m *Machine) Fail(code wire.CloseCode, err error) { m.fail(code, err) }

// Reset takes in that the peer cut its half, or that the transport did. Nothing more is sent.
func (m *Machine) Reset(code wire.CloseCode) Event {
	if m.state == StateOver {
		return Event{}
	}
	m.state, m.inMessage = StateOver, false
	m.out, m.finish, m.stop = m.out[:0], false, false
	m.closeSent = true
	return Event{Kind: KindFail, CloseCode: code, Err: fmt.Errorf("%w: the peer cut the stream (%v)", ErrClosed, code)}
}

// fail is the one way into StateOver that tells the peer.
func (m *Machine) fail(code wire.CloseCode, err error) Event {
	ev := Event{Kind: KindFail, CloseCode: code, Err: err}
	if m.state == StateOver {
		return ev
	}
	m.state, m.inMessage = StateOver, false
	m.stop, m.stopCode = true, code
	if !m.closeSent {
		if m.cfg.Role == RoleServer {
			m.hello() // a client reads nothing before it
		}
		if m.started {
			m.messagesOut++
			m.out = wire.AppendErrorMessage(m.out, &wire.Error{
				Code: errorCodeOf(code), Detail: uint32(code), Text: err.Error(),
			})
		}
		m.sendClose()
	}
	return ev
}

// errorCodeOf is the code of the error message that tells the peer about a close code.
func errorCodeOf(code wire.CloseCode) wire.ErrorCode {
	switch code {
	case wire.CloseInternal:
		return wire.CodeInternal
	case wire.CloseOverloaded, wire.CloseSlowReader:
		return wire.CodeOverloaded
	case wire.CloseShutdown:
		return wire.CodeUnavailable
	case wire.CloseVersion:
		return wire.CodeVersion
	case wire.CloseSetupTimeout, wire.CloseMessageTimeout, wire.CloseHeartbeatTimeout:
		return wire.CodeDeadline
	}
	return wire.CodeProtocol
}

// hello begins the own half, once.
func (m *Machine) hello() {
	if !m.started {
		m.started = true
		m.out = wire.AppendHello(m.out)
	}
}

// sendClose ends the own half, once.
func (m *Machine) sendClose() {
	if !m.closeSent {
		m.closeSent, m.finish = true, true
		m.out = wire.AppendClose(m.out)
	}
}

// settle closes the own half of a server when nothing is left to answer and nothing more will come.
func (m *Machine) settle() {
	if m.cfg.Role != RoleServer || m.closeSent || len(m.requests) > 0 {
		return
	}
	if m.state != StateClosed && !m.draining {
		return
	}
	m.hello()
	m.sendClose()
	if m.state != StateClosed {
		m.stop, m.stopCode = true, wire.CloseShutdown
	}
	m.state = StateOver
}
