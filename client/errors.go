package client

import (
	"errors"
	"fmt"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// What a store answers: the same values as an embedded store returns, so that errors.Is holds for both. Package kverr
// says what each means and what the way out is.
var (
	ErrNotFound          = kverr.ErrNotFound
	ErrHistoryTruncated  = kverr.ErrHistoryTruncated
	ErrRevisionMismatch  = kverr.ErrRevisionMismatch
	ErrExists            = kverr.ErrExists
	ErrVersionsExhausted = kverr.ErrVersionsExhausted
	ErrValueTooLarge     = kverr.ErrValueTooLarge
	ErrInvalidVersion    = kverr.ErrInvalidVersion
	ErrInvalidSettings   = kverr.ErrInvalidSettings
	ErrChecksumMismatch  = kverr.ErrChecksumMismatch
	ErrBadToken          = kverr.ErrBadToken
	ErrTokenVersion      = kverr.ErrTokenVersion
	ErrBadRequest        = kverr.ErrBadRequest
	ErrBatchTooLarge     = kverr.ErrBatchTooLarge
	ErrBusy              = kverr.ErrBusy
	ErrBucketNotFound    = kverr.ErrBucketNotFound
	ErrAccountNotFound   = kverr.ErrAccountNotFound
	ErrBucketExists      = kverr.ErrBucketExists
	ErrAccountExists     = kverr.ErrAccountExists
	ErrDeleting          = kverr.ErrDeleting
	ErrNotEmpty          = kverr.ErrNotEmpty
	ErrQuota             = kverr.ErrQuota
	ErrInvalidName       = kverr.ErrInvalidName
	ErrNotOwner          = kverr.ErrNotOwner
	ErrReserved          = kverr.ErrReserved
	ErrSessionForeign    = kverr.ErrSessionForeign
)

// What only a client meets.
var (
	// ErrUnknownOutcome says that a write may or may not have been done, and that this cannot be found out any more: its
	// session has expired meanwhile, or the time for it was over while it was under way. The way out: read, and decide.
	ErrUnknownOutcome = base.New(base.ErrUnknownOutcome, "client: the write may or may not have been done")
	// ErrUnreachable says that no node of the list could be reached. Nothing was sent. The error names each address with
	// its reason.
	ErrUnreachable = base.New(base.ErrUnavailable, "client: no node answers")
	// ErrClosed says that the client was closed.
	ErrClosed = base.New(base.ErrClosed, "client: closed")
	// ErrOptions says that Open was given what cannot be used; all faults are named.
	ErrOptions = base.New(base.ErrInvalid, "client: invalid options")
	// ErrAnswer says that a node answered with something that is no answer to the request: one of the two is too old, or
	// has a fault.
	ErrAnswer = base.New(base.ErrVersion, "client: impossible answer")
)

// unknownError is ErrUnknownOutcome with the reason. It matches the reason too, such as context.DeadlineExceeded.
type unknownError struct{ cause error }

func (e *unknownError) Error() string   { return ErrUnknownOutcome.Error() + ": " + e.cause.Error() }
func (e *unknownError) Unwrap() []error { return []error{ErrUnknownOutcome, e.cause} }

func unknown(cause error) error {
	if errors.Is(cause, ErrUnknownOutcome) {
		return cause
	}
	return &unknownError{cause}
}

// named adds what was called to an error, unless it is an answer, which names its operands itself and reads the same as that
// of an embedded store.
func named(what string, err error) error {
	if err == nil {
		return nil
	}
	if _, answer := errors.AsType[*wire.Error](err); answer {
		return err
	}
	return fmt.Errorf("%s: %w", what, err)
}
