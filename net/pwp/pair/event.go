package pair

import (
	"fmt"
	"time"

	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// Kind says what happened. Not part of the format.
type Kind uint8

// The kinds of events.
const (
	// KindNone: more bytes are needed.
	KindNone Kind = 0
	// KindHello: the peer's half has begun.
	KindHello Kind = 1
	// KindStream: the client knows the response stream.
	KindStream Kind = 2
	// KindOpen: the client's set-up is complete, at the server.
	KindOpen Kind = 3
	// KindVersion: Value is the peer's newest version.
	KindVersion Kind = 4
	// KindService: Service was asked for; Code is the answer, given or received. Err is the error that came with it.
	KindService Kind = 5
	// KindStatus: Value is the status of Service, given or received.
	KindStatus Kind = 6
	// KindPrelude: a message follows. The owner reads Prelude.SizeBytes bytes, calls Check and then Message.
	KindPrelude Kind = 7
	// KindRequest: ID, Type, Timeout of a request to be run; SetOwner names who does.
	KindRequest Kind = 8
	// KindRefused: a request was answered with an error at once, Err; it is not to be run.
	KindRefused Kind = 9
	// KindCancel: Owner's request is no longer wanted; it still needs its last answer.
	KindCancel Kind = 10
	// KindResponse: a response of Type for Owner; Last says that it ends the request.
	KindResponse Kind = 11
	// KindError: Owner's request ended with Err.
	KindError Kind = 12
	// KindEnd: the responses for Owner are complete.
	KindEnd Kind = 13
	// KindLate: something that belongs to a request which was cancelled meanwhile.
	KindLate Kind = 14
	// KindPairError: the peer says why it is about to close, Err.
	KindPairError Kind = 15
	// KindTestAnswered: the peer's latency test Value was answered.
	KindTestAnswered Kind = 16
	// KindTestDone: latency test Value came back.
	KindTestDone Kind = 17
	// KindHeartbeat: the peer lives.
	KindHeartbeat Kind = 18
	// KindInterval: heartbeats are due every Timeout from now on, 0 for never.
	KindInterval Kind = 19
	// KindClose: the peer has said all it will say.
	KindClose Kind = 20
	// KindFail: the peer broke the protocol, or cut its half; Err and CloseCode say how. The pair is over.
	KindFail Kind = 21
)

var kindNames = [...]string{
	"none", "hello", "stream", "open", "version", "service", "status", "prelude", "request", "refused", "cancel",
	"response", "error", "end", "late", "pair-error", "test-answered", "test-done", "heartbeat", "interval", "close", "fail",
}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Event is what became of received bytes. Fields that its Kind does not name are zero.
type Event struct {
	Kind      Kind
	Last      bool
	Type      wire.MessageType
	Code      wire.ServiceCode
	Service   wire.Service
	ID        wire.RequestID
	Value     uint64
	Timeout   time.Duration
	Prelude   wire.Prelude
	CloseCode wire.CloseCode
	Owner     any
	Err       error
}

// Output is what the owner of a machine has to do for it. Every part is handed out once.
type Output struct {
	// Setup is written to the server's half of the request stream, which is then finished.
	Setup []byte
	// Main is written to this side's own half: of the request stream at a client, of the response stream at a server.
	// It belongs to the taker.
	Main []byte
	// Finish says that the own half is finished behind Main.
	Finish bool
	// Stop says that the peer's half is not read any further, and StopCode why.
	Stop     bool
	StopCode wire.CloseCode
}

// State of the half that is received.
type State uint8

// The states; see the picture in doc.go. Not part of the format.
const (
	StateHello       State = 0
	StateSetup       State = 1
	StateOpen        State = 2
	StateEstablished State = 3
	StateClosed      State = 4
	StateOver        State = 5
)

func (s State) String() string {
	switch s {
	case StateHello:
		return "hello"
	case StateSetup:
		return "setup"
	case StateOpen:
		return "open"
	case StateEstablished:
		return "established"
	case StateClosed:
		return "closed"
	}
	return "over"
}
