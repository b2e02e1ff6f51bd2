package wire

import (
	"fmt"
	"time"
)

// Envelope is what the protocol itself reads of a message's protobuf bytes.
type Envelope struct {
	// ID is the request that the message belongs to, field 1 of every message.
	ID RequestID
	// Timeout is how long the client will wait for the answer from when it sent the request, field 2 of a request. It is
	// sent in microseconds, rounded up; 0 is without limit. A span and not a point in time: clocks of clients are not
	// set. HAZARD: time that a request spends in buffers and on the network is not counted.
	Timeout time.Duration
}

// AppendEnvelope appends e, at most MaxEnvelopeBytes bytes: it is the beginning of the protobuf message
//
//	message { uint64 request_id = 1; uint64 timeout_micros = 2; ... }
//
//	| 08 | id, varint | 10 | microseconds, varint |      (a field that is 0 is left out)
func AppendEnvelope(dst []byte, e Envelope) []byte {
	dst = appendUint(dst, fieldRequestID, uint64(e.ID))
	timeout := min(max(e.Timeout, 0), MaxTimeout)
	return appendUint(dst, fieldTimeout, uint64((timeout+time.Microsecond-1)/time.Microsecond))
}

// The fields of an envelope; part of the format, never renumber.
const (
	fieldRequestID = 1
	fieldTimeout   = 2
)

// ParseRequest reads the envelope of a message that a client sent. The whole of msg is walked, so that its outermost
// level is known to be protobuf, and so that the fields may come in any order; each may come once, so that no two
// readers can take the same bytes for different requests. Errors: ErrBadMessage.
func ParseRequest(msg []byte) (Envelope, error) {
	e, seen, err := parseEnvelope(msg, true)
	if err != nil {
		return Envelope{}, err
	}
	if seen == 0 || e.ID == 0 {
		return Envelope{}, fmt.Errorf("%w: a request without a request id", ErrBadMessage)
	}
	return e, nil
}

// ParseResponse reads the request id of a message that a server sent, 0 when the message is about the pair. Field 2 is
// the service's own. Errors: ErrBadMessage.
func ParseResponse(msg []byte) (RequestID, error) {
	e, _, err := parseEnvelope(msg, false)
	return e.ID, err
}

func parseEnvelope(msg []byte, request bool) (e Envelope, seen uint8, err error) {
	for i := 0; i < len(msg); {
		f, n := nextField(msg[i:])
		if n == 0 {
			return e, 0, fmt.Errorf("%w: byte %d of %d is not protobuf", ErrBadMessage, i, len(msg))
		}
		i += n
		if f.number > fieldTimeout || f.number == fieldTimeout && !request {
			continue
		}
		if f.kind != kindVarint || seen&(1<<f.number) != 0 {
			return e, 0, fmt.Errorf("%w: field %d is repeated or not a number", ErrBadMessage, f.number)
		}
		seen |= 1 << f.number
		if f.number == fieldRequestID {
			e.ID = RequestID(f.value)
		} else {
			// Compared before it is multiplied, so that no value overflows.
			e.Timeout = time.Duration(min(f.value, uint64(MaxTimeout/time.Microsecond))) * time.Microsecond
		}
	}
	return e, seen, nil
}
