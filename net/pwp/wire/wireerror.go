package wire

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shieldmaidens/pleiades/base"
)

// ErrorCode is the number of a kind of error on the wire. Each known one stands for exactly one sentinel.
type ErrorCode uint32

// The codes; part of the format, never renumber.
const (
	// CodeInternal is an error that callers can do nothing about; its text is for logs.
	CodeInternal       ErrorCode = 1
	CodeNotFound       ErrorCode = 2
	CodeInvalid        ErrorCode = 3
	CodeCorruption     ErrorCode = 4
	CodeClosed         ErrorCode = 5
	CodeOverloaded     ErrorCode = 6
	CodeVersion        ErrorCode = 7
	CodeConflict       ErrorCode = 8
	CodeExists         ErrorCode = 9
	CodePermission     ErrorCode = 10
	CodeDiskFull       ErrorCode = 11
	CodeUnknownOutcome ErrorCode = 12
	// CodeCanceled answers a request that its client cancelled.
	CodeCanceled ErrorCode = 13
	// CodeDeadline answers a request whose time was over.
	CodeDeadline ErrorCode = 14
	// CodeUnavailable says that the request was not run and may be sent again, here later or to another node at once.
	CodeUnavailable ErrorCode = 15
	// CodeProtocol says that the peer broke the protocol; the pair is closed.
	CodeProtocol ErrorCode = 16
)

// Sentinels of the wire that no layer below has.
var (
	// ErrInternal is CodeInternal at the receiver.
	ErrInternal = errors.New("pwp: internal error of the peer")
	// ErrUnavailable says that a request was not run, because its node or service cannot now. The way out: send it
	// again, here later or to another node.
	ErrUnavailable = base.New(base.ErrOverloaded, "pwp: not available now, and not run")
	// ErrProtocol says that one side broke the protocol, and the pair is closed.
	ErrProtocol = errors.New("pwp: the protocol was broken")
)

// sentinels is the table in both directions, most specific first: ErrUnavailable matches base.ErrOverloaded too.
var sentinels = [...]struct {
	code     ErrorCode
	sentinel error
}{
	{CodeUnavailable, ErrUnavailable},
	{CodeProtocol, ErrProtocol},
	{CodeInternal, ErrInternal},
	{CodeNotFound, base.ErrNotFound},
	{CodeInvalid, base.ErrInvalid},
	{CodeCorruption, base.ErrCorruption},
	{CodeClosed, base.ErrClosed},
	{CodeOverloaded, base.ErrOverloaded},
	{CodeVersion, base.ErrVersion},
	{CodeConflict, base.ErrConflict},
	{CodeExists, base.ErrExists},
	{CodePermission, base.ErrPermission},
	{CodeDiskFull, base.ErrDiskFull},
	{CodeUnknownOutcome, base.ErrUnknownOutcome},
	{CodeCanceled, context.Canceled},
	{CodeDeadline, context.DeadlineExceeded},
}

// CodeOf returns the code of the sentinel that err matches, CodeInternal when it matches none.
func CodeOf(err error) ErrorCode {
	for _, row := range sentinels {
		if errors.Is(err, row.sentinel) {
			return row.code
		}
	}
	return CodeInternal
}

// Sentinel returns the sentinel of a code, ErrInternal for a code of a newer peer.
func (c ErrorCode) Sentinel() error {
	for _, row := range sentinels {
		if row.code == c {
			return row.sentinel
		}
	}
	return ErrInternal
}

// Error is the message of type 0x00, and the Go error that a caller gets for it: errors.Is sees the sentinel that the
// other side had.
type Error struct {
	// ID is the request that failed, 0 for the pair.
	ID   RequestID
	Code ErrorCode
	// Detail is a number of the service's own, 0 for none, for what is finer than Code.
	Detail uint32
	// Text is for people. It is valid UTF-8 and has at most MaxErrorTextBytes bytes.
	Text string
	// RetryAfter is the time before which trying again is useless, 0 when unknown. Sent in milliseconds.
	RetryAfter time.Duration
}

// Error returns the text, and what the code means where there is none.
func (e *Error) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("%v (code %d)", e.Code.Sentinel(), e.Code)
	}
	return e.Text
}

// Unwrap returns the sentinel of the code.
func (e *Error) Unwrap() error { return e.Code.Sentinel() }

// ErrorOf makes the message for err, about request id. An *Error keeps its code, detail and time. What matches no
// sentinel is sent without its text, which may name what the peer should not know: log it.
func ErrorOf(id RequestID, err error) Error {
	if e, ok := errors.AsType[*Error](err); ok {
		out := *e
		out.ID, out.Text = id, err.Error()
		return out
	}
	code := CodeOf(err)
	if code == CodeInternal {
		return Error{ID: id, Code: code, Text: "internal error"}
	}
	return Error{ID: id, Code: code, Text: err.Error()}
}

// The fields of the error message; part of the format, never renumber. 2 is left to the envelope.
const (
	fieldErrorCode   = 3
	fieldErrorText   = 4
	fieldErrorRetry  = 5
	fieldErrorDetail = 6
)

// AppendError appends the protobuf bytes of e, without a prelude:
//
//	message Error {
//	  uint64 request_id = 1;
//	  uint32 code = 3;
//	  string text = 4;
//	  uint64 retry_after_millis = 5;
//	  uint32 detail = 6;
//	}
func AppendError(dst []byte, e *Error) []byte {
	dst = appendUint(dst, fieldRequestID, uint64(e.ID))
	return appendErrorBody(dst, e)
}

// AppendErrorMessage appends e as a whole message of type 0x00.
func AppendErrorMessage(dst []byte, e *Error) []byte {
	return AppendMessage(dst, TypeError, Envelope{ID: e.ID}, appendErrorBody(nil, e))
}

func appendErrorBody(dst []byte, e *Error) []byte {
	dst = appendUint(dst, fieldErrorCode, uint64(e.Code))
	dst = appendString(dst, fieldErrorText, cut(e.Text))
	retry := min(max(e.RetryAfter, 0), MaxTimeout)
	dst = appendUint(dst, fieldErrorRetry, uint64((retry+time.Millisecond-1)/time.Millisecond))
	return appendUint(dst, fieldErrorDetail, uint64(e.Detail))
}

// ParseError decodes the protobuf bytes of an error. Unknown fields are skipped, a repeated field counts as its last
// value, text that is too long or not UTF-8 is cut and mended. Errors: ErrBadMessage.
func ParseError(msg []byte) (*Error, error) {
	id, err := ParseResponse(msg)
	if err != nil {
		return nil, err
	}
	e := &Error{ID: id}
	for i := 0; i < len(msg); {
		f, n := nextField(msg[i:]) // ParseResponse walked msg: n is above 0
		i += n
		switch {
		case f.number == fieldErrorCode && f.kind == kindVarint:
			e.Code = ErrorCode(uint32(f.value))
		case f.number == fieldErrorText && f.kind == kindBytes:
			e.Text = cut(string(f.bytes[:min(len(f.bytes), MaxErrorTextBytes)]))
		case f.number == fieldErrorRetry && f.kind == kindVarint:
			e.RetryAfter = time.Duration(min(f.value, uint64(MaxTimeout/time.Millisecond))) * time.Millisecond
		case f.number == fieldErrorDetail && f.kind == kindVarint:
			e.Detail = uint32(f.value)
		}
	}
	if e.Code == 0 {
		return nil, fmt.Errorf("%w: an error without a code", ErrBadMessage)
	}
	return e, nil
}

// cut returns valid UTF-8 of at most MaxErrorTextBytes bytes.
func cut(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "?")
	}
	if len(s) <= MaxErrorTextBytes {
		return s
	}
	n := MaxErrorTextBytes
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
