package pwp

import (
	"fmt"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

var (
	// ErrNotRun says that a request was certainly not run: its pair ended first. The way out: send it again on another
	// pair. It matches wire.ErrUnavailable's marker, base.ErrOverloaded.
	ErrNotRun = base.New(wire.ErrUnavailable, "pwp: the pair ended before the request was run")
	// ErrLost says that a request may or may not have been run: its pair was cut before the answer. The way out: ask
	// what happened, or send it again if running it twice does no harm.
	ErrLost = base.New(base.ErrUnknownOutcome, "pwp: the pair was cut before the answer")
	// ErrClosed says that the pair, client or server was closed by this side.
	ErrClosed = base.New(base.ErrClosed, "pwp: closed")
	// ErrBulk says that a request is too large for a pair that others wait behind. The way out: a pair with
	// PairOptions.Bulk.
	ErrBulk = base.New(base.ErrInvalid, "pwp: a request over 64 KiB needs a bulk pair")
	// ErrNoAnswer says that a call got the end of a stream instead of its response: the type is a streaming one, to be
	// called with Stream, or the server has a fault.
	ErrNoAnswer = base.New(wire.ErrProtocol, "pwp: the request ended without a response")
	// ErrAnswered says that a handler answered a request twice.
	ErrAnswered = base.New(base.ErrInvalid, "pwp: the request has its answer already")
	// ErrOptions says that options hold values that cannot be used; all of them are named.
	ErrOptions = base.New(base.ErrInvalid, "pwp: invalid options")
	// ErrTooManyPairs says that a client has as many pairs as it may. The way out: close one, or share one.
	ErrTooManyPairs = base.New(base.ErrOverloaded, "pwp: too many pairs on the connection")
	// ErrHeld says that answers which nobody reads hold as much as they may, see Request.Hold.
	ErrHeld = base.New(base.ErrOverloaded, "pwp: the connection does not read its answers")
	// errNever is a service that the peer does not have and will not have.
	errNever = base.New(base.ErrNotFound, "pwp: the peer does not have the service")
)

// LostError is ErrLost with what is known of the reason. It matches ErrLost and no other sentinel, whatever the reason
// was: what happened to the pair does not say what happened to the request.
type LostError struct{ Cause error }

func (e *LostError) Error() string { return ErrLost.Error() + ": " + e.Cause.Error() }

// Unwrap returns ErrLost.
func (e *LostError) Unwrap() error { return ErrLost }

// RefusedError is what requests on a pair get whose service was refused. They were not run. It matches
// wire.ErrUnavailable when asking again may help; else the error that the peer sent, or base.ErrNotFound.
type RefusedError struct {
	Service wire.Service
	Code    wire.ServiceCode
	// Err is the error message of the codes that have one, a *wire.Error.
	Err error
}

func (e *RefusedError) Error() string {
	text := fmt.Sprintf("pwp: service %v is %v", e.Service, e.Code)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the sentinel that says what to do, and the peer's error.
func (e *RefusedError) Unwrap() []error {
	switch {
	case e.Code.Retryable():
		return []error{wire.ErrUnavailable}
	case e.Err != nil:
		return []error{e.Err}
	}
	return []error{errNever}
}
