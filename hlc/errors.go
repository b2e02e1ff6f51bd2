package hlc

import "github.com/shieldmaidens/pleiades/base"

var (
	// ErrClockOffset says that a remote timestamp is more than MaxOffset ahead of this node's wall
	// clock. Nothing was changed. The way out: set the clock of the node that is wrong.
	ErrClockOffset = base.New(base.ErrInvalid, "hlc: remote timestamp too far ahead")
	// ErrBadText says that ParseTimestamp was given something else than "seconds.nanos,logical".
	ErrBadText = base.New(base.ErrInvalid, "hlc: not a timestamp")
	// ErrBadTimestamp says that a Timestamp has a negative wall time.
	ErrBadTimestamp = base.New(base.ErrInvalid, "hlc: negative wall time")
	// ErrBadEncoding says that stored bytes are not an encoded timestamp.
	ErrBadEncoding = base.New(base.ErrCorruption, "hlc: not an encoded timestamp")
	// ErrClosed says that the clock was closed.
	ErrClosed = base.New(base.ErrClosed, "hlc: the clock is closed")
	// ErrOptions says that Options hold values that cannot be used; all of them are named.
	ErrOptions = base.New(base.ErrInvalid, "hlc: invalid options")
)

// The wall clock of this machine is wrong, and no call helps until somebody has set it right.
var (
	// ErrClockBehind says that the persisted bound is more than MaxOffset + BoundAhead ahead of the
	// wall clock: the wall clock was set back since the last run, or ran ahead then. The way out: set the wall
	// clock, or wait until it has passed the bound, or start with Options.AcceptBound.
	ErrClockBehind = base.New(base.ErrUnavailable, "hlc: the wall clock is behind the persisted bound")
	// ErrClockJump says that the wall clock stepped forward by more than MaxJump. Nothing was issued
	// from the new time. The way out: set the wall clock back, or call AcknowledgeJump.
	ErrClockJump = base.New(base.ErrUnavailable, "hlc: the wall clock jumped forward")
	// ErrExhausted says that there is no timestamp above the last one.
	ErrExhausted = base.New(base.ErrUnavailable, "hlc: timestamps are used up")
)
