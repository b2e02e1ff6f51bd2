package pair

import (
	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

var (
	// ErrUnexpected says that the peer sent a byte of the table, or a type of message, that it may not send now.
	ErrUnexpected = base.New(wire.ErrProtocol, "pwp: unexpected")
	// ErrVersion says that the peer speaks no version that this side does.
	ErrVersion = base.New(base.ErrVersion, "pwp: no common version of the protocol")
	// ErrClosed says that this side may not send any more on the pair.
	ErrClosed = base.New(base.ErrClosed, "pwp: the pair is closed")
	// ErrNoRequest says that a response was to be sent for a request that is not there: it was answered already.
	ErrNoRequest = base.New(base.ErrInvalid, "pwp: no such request on the pair")
	// ErrTooMany says that a bound of doc.go was reached. The way out: wait for answers, or use another pair.
	ErrTooMany = base.New(base.ErrOverloaded, "pwp: too many requests on the pair")
	// ErrUsage says that the caller used the machine in the wrong role or order.
	ErrUsage = base.New(base.ErrInvalid, "pwp: wrong use of a pair")
	// ErrShutdown answers requests that reach a server which is stopping.
	ErrShutdown = base.New(wire.ErrUnavailable, "pwp: the server is stopping, the request was not run")
)
