package kvstore

import (
	"errors"
	"fmt"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/kverr"
)

// Errors besides those of package kverr, which has all that a client is meant to tell apart.
var (
	// ErrInvalidOptions says that an options struct has faults; all are named.
	ErrInvalidOptions = base.New(base.ErrInvalid, "kvstore: invalid options")
	// ErrClosed says that the store was closed.
	ErrClosed = base.New(base.ErrClosed, "kvstore: the store is closed")
	// ErrOverloaded says that the queue of writes is full, or that there are as many sessions as there may be. Nothing was
	// written; try again later.
	ErrOverloaded = base.New(base.ErrOverloaded, "kvstore: overloaded")
	// ErrRecord says that a record of the catalog, a session or a counter cannot be decoded.
	ErrRecord = base.New(base.ErrCorruption, "kvstore: damaged record")
	// ErrRecordFormat says that a newer program wrote a record.
	ErrRecordFormat = base.New(base.ErrVersion, "kvstore: record of a newer version")
	// ErrCommand says that a command of a log cannot be decoded, or is none.
	ErrCommand = base.New(base.ErrCorruption, "kvstore: damaged command")
	// ErrCommandFormat says that a newer program wrote the command.
	ErrCommandFormat = base.New(base.ErrVersion, "kvstore: command of a newer version")
)

// refusal returns err as one of kverr's errors if it says that the command can't be done as things stand: the same on
// every replica. ok is false for damage, a full disk, and whatever else is this node's own trouble.
func refusal(err error) (refused error, ok bool) {
	switch {
	case kverr.NumberOf(err) != 0:
		return err, true
	case errors.Is(err, engine.ErrBatchTooLarge):
		return fmt.Errorf("%w: %w", kverr.ErrBatchTooLarge, err), true
	case errors.Is(err, hlc.ErrExhausted), errors.Is(err, engine.ErrInvalid):
		return err, false
	case errors.Is(err, base.ErrInvalid):
		return fmt.Errorf("%w: %w", kverr.ErrBadRequest, err), true
	}
	return err, false
}

// damage reports whether err is about stored bytes that one command met: others can go on.
func damage(err error) bool {
	return errors.Is(err, base.ErrCorruption) || errors.Is(err, base.ErrVersion)
}

// repeatedError is a refusal of then.
type repeatedError struct {
	text     string
	sentinel error
}

func (e *repeatedError) Error() string { return e.text }
func (e *repeatedError) Unwrap() error { return e.sentinel }
