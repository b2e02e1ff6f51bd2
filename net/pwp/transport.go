package pwp

import (
	"context"
	"errors"
	"fmt"

	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// Stream is one bidirectional, ordered, reliable stream of a Conn. One goroutine reads and one writes at a time; the
// other methods may be called at any time, do not block, and may be called again.
type Stream interface {
	ID() wire.StreamID
	// Read reads what has arrived, at least one byte. It returns io.EOF when the peer finished its half, and an error
	// that matches *StreamError when the peer reset it or CancelRead was called.
	Read(p []byte) (int, error)
	// Write writes all of p or fails; it blocks while the peer grants no room. p is not kept.
	Write(p []byte) (int, error)
	// CloseWrite finishes the own half: the peer reads io.EOF behind what was written.
	CloseWrite() error
	// CancelRead gives up the peer's half and tells the peer why. A blocked Read returns.
	CancelRead(code wire.CloseCode)
	// Reset cuts the own half: what the peer has not read yet may be lost. A blocked Write returns.
	Reset(code wire.CloseCode)
}

// TryWriter is a Stream that can take bytes without waiting. A pair with nothing else to write then writes from the goroutine
// that has something to say, and needs no other.
type TryWriter interface {
	// TryWrite takes all of p, or nothing and returns ErrWouldBlock. It never waits for the peer. p is not kept. Nobody
	// else writes to the stream meanwhile.
	TryWrite(p []byte) error
}

// ErrWouldBlock is what TryWrite returns when the peer grants no room for all of it; Write waits for it.
var ErrWouldBlock = errors.New("pwp: writing would wait")

// Conn is a connection that carries streams in both directions, such as a QUIC connection. All methods may be called
// concurrently.
type Conn interface {
	// AcceptStream waits for the next stream that the peer opened, in the order of their ids.
	AcceptStream(ctx context.Context) (Stream, error)
	// OpenStream opens the next stream; it waits while the peer grants none.
	OpenStream(ctx context.Context) (Stream, error)
	// Peer names the other side for people, such as its certificate's name and address.
	Peer() string
	// HandshakeDone is closed when what arrived cannot be a replay any more. nil: it never could.
	HandshakeDone() <-chan struct{}
	// CloseWithError ends the connection and all of its streams.
	CloseWithError(code wire.CloseCode, reason string) error
}

// StreamError is what a transport returns for a half that one side cut.
type StreamError struct {
	Code wire.CloseCode
	// Remote says that the peer did it.
	Remote bool
}

func (e *StreamError) Error() string {
	who := "this side"
	if e.Remote {
		who = "the peer"
	}
	return fmt.Sprintf("pwp: %s cut the stream: %v", who, e.Code)
}

// closeCodeOf returns the code of a *StreamError, and CloseInternal for other failures of the transport.
func closeCodeOf(err error) wire.CloseCode {
	if e, ok := errors.AsType[*StreamError](err); ok {
		return e.Code
	}
	return wire.CloseInternal
}
