package wire

import (
	"errors"
	"fmt"
)

// CloseCode is the QUIC application error code of a reset, of a request to stop sending, and of a closed connection.
type CloseCode uint64

// The codes; part of the format, never renumber. They begin at 0x5000 so that a trace tells them from those of others;
// only "no error" is 0, as everywhere in QUIC.
const (
	// CloseNone is no error: a half that is not needed, or an orderly end.
	CloseNone CloseCode = 0x00
	// CloseInternal is a fault of the side that closes.
	CloseInternal CloseCode = 0x5000
	// CloseUnknownByte is a byte that is not in the table.
	CloseUnknownByte CloseCode = 0x5001
	// CloseUnexpectedByte is a byte of the table, or a message type, that the sender may not send now.
	CloseUnexpectedByte CloseCode = 0x5002
	// CloseTruncated is a half that ended inside a frame or a message.
	CloseTruncated CloseCode = 0x5003
	// CloseBadValue is an impossible metadata value, or the wrong stream number.
	CloseBadValue CloseCode = 0x5004
	// CloseBadPrelude is a prelude that is not type, checksum, size.
	CloseBadPrelude CloseCode = 0x5005
	// CloseTooLarge is a message above the limit.
	CloseTooLarge CloseCode = 0x5006
	// CloseChecksum is a message that does not have its checksum.
	CloseChecksum CloseCode = 0x5007
	// CloseBadMessage is a message that is not protobuf, or whose request id is missing, in use or unknown.
	CloseBadMessage CloseCode = 0x5008
	// CloseRefused is a pair whose service was refused.
	CloseRefused CloseCode = 0x5009
	// CloseVersion is a peer whose versions this one does not speak.
	CloseVersion CloseCode = 0x500A
	// CloseOverloaded is a connection with too many pairs. Nothing of the pair was read.
	CloseOverloaded CloseCode = 0x500B
	// CloseSetupTimeout is a pair that was not set up in time.
	CloseSetupTimeout CloseCode = 0x500C
	// CloseMessageTimeout is a message whose bytes stopped coming.
	CloseMessageTimeout CloseCode = 0x500D
	// CloseHeartbeatTimeout is a peer that was silent for longer than the heartbeat allows.
	CloseHeartbeatTimeout CloseCode = 0x500E
	// CloseSlowReader is a peer that did not read what it asked for.
	CloseSlowReader CloseCode = 0x500F
	// CloseShutdown is a side that stops.
	CloseShutdown CloseCode = 0x5010
	// CloseUntrusted is a connection whose peer's certificate is not trusted any more.
	CloseUntrusted CloseCode = 0x5011
)

var closeNames = map[CloseCode]string{
	CloseNone: "no error", CloseInternal: "internal error", CloseUnknownByte: "unknown byte",
	CloseUnexpectedByte: "unexpected byte", CloseTruncated: "truncated", CloseBadValue: "bad value",
	CloseBadPrelude: "bad prelude", CloseTooLarge: "message too large", CloseChecksum: "bad checksum",
	CloseBadMessage: "bad message", CloseRefused: "service refused", CloseVersion: "version",
	CloseOverloaded: "overloaded", CloseSetupTimeout: "set-up timeout", CloseMessageTimeout: "message timeout",
	CloseHeartbeatTimeout: "heartbeat timeout", CloseSlowReader: "slow reader", CloseShutdown: "shutdown",
	CloseUntrusted: "not trusted any more",
}

func (c CloseCode) String() string {
	if name, ok := closeNames[c]; ok {
		return name
	}
	return fmt.Sprintf("close code 0x%x", uint64(c))
}

// CloseCodeOf returns the code that names what a Parse function found, CloseInternal for other errors.
func CloseCodeOf(err error) CloseCode {
	for _, row := range [...]struct {
		err  error
		code CloseCode
	}{
		{ErrTruncated, CloseTruncated},
		{ErrUnknownMagic, CloseUnknownByte},
		{ErrBadValue, CloseBadValue},
		{ErrBadPrelude, CloseBadPrelude},
		{ErrTooLarge, CloseTooLarge},
		{ErrChecksum, CloseChecksum},
		{ErrBadMessage, CloseBadMessage},
	} {
		if errors.Is(err, row.err) {
			return row.code
		}
	}
	return CloseInternal
}
