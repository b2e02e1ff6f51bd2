package wire

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Frame is a magic byte with its metadata payload.
type Frame struct {
	Magic Magic
	// Value is the payload, 0 where there is none. It fits the payload's size.
	Value uint64
}

func (f Frame) String() string {
	if f.Magic.PayloadBytes() == 0 {
		return f.Magic.String()
	}
	return fmt.Sprintf("%v(%d)", f.Magic, f.Value)
}

// Append appends f. Of a value that is too great for the payload only the low bytes are written.
//
//	| magic | payload, 0, 1, 4 or 8 bytes BE |
func (f Frame) Append(dst []byte) []byte {
	dst = append(dst, byte(f.Magic))
	switch f.Magic.PayloadBytes() {
	case 1:
		dst = append(dst, byte(f.Value))
	case 4:
		dst = binary.BigEndian.AppendUint32(dst, uint32(f.Value))
	case 8:
		dst = binary.BigEndian.AppendUint64(dst, f.Value)
	}
	return dst
}

// Parse decodes the frame at the beginning of b and returns how many bytes it has. Errors: ErrTruncated,
// ErrUnknownMagic, ErrBadValue. The parts of a prelude are parsed as frames as well; ParsePrelude reads them together
// and knows that 0x21 can stand for 0x22.
func Parse(b []byte) (f Frame, n int, err error) {
	if len(b) == 0 {
		return Frame{}, 0, fmt.Errorf("%w: no magic byte", ErrTruncated)
	}
	f.Magic = Magic(b[0])
	if !f.Magic.Known() {
		return Frame{}, 0, fmt.Errorf("%w: 0x%02X", ErrUnknownMagic, b[0])
	}
	n = 1 + f.Magic.PayloadBytes()
	if len(b) < n {
		return Frame{}, 0, fmt.Errorf("%w: %v has %d of %d bytes", ErrTruncated, f.Magic, len(b), n)
	}
	switch n {
	case 2:
		f.Value = uint64(b[1])
	case 5:
		f.Value = uint64(binary.BigEndian.Uint32(b[1:]))
	case 9:
		f.Value = binary.BigEndian.Uint64(b[1:])
	}
	if !f.valid() {
		return Frame{}, 0, fmt.Errorf("%w: %v", ErrBadValue, f)
	}
	return f, n, nil
}

// valid reports whether the value is one that the magic byte allows. Unknown services are allowed: they are refused by
// the service code, so that an old node can answer a new client.
func (f Frame) valid() bool {
	switch f.Magic {
	case MagicResponseStreamID:
		return f.Value <= uint64(MaxStreamID) && f.Value%4 == 1
	case MagicVersionRequest, MagicVersionResponse:
		return f.Value != 0
	case MagicServiceResponse:
		return f.Value <= uint64(ServiceNeverError)
	case MagicStatusResponse:
		return f.Value <= uint64(StatusUnhealthy)
	}
	return true
}

// AppendHello appends HELLO.
//
//	| 01 |
func AppendHello(dst []byte) []byte { return append(dst, byte(MagicHello)) }

// AppendResponseStreamID appends RESPONSE_STREAM_ID_INCOMING.
//
//	| 02 | stream id, 8 bytes |
func AppendResponseStreamID(dst []byte, id StreamID) []byte {
	return Frame{MagicResponseStreamID, uint64(id)}.Append(dst)
}

// AppendSetupComplete appends STREAM_SETUP_COMPLETE.
//
//	| 03 |
func AppendSetupComplete(dst []byte) []byte { return append(dst, byte(MagicSetupComplete)) }

// AppendVersionRequest appends SERVER_VERSION_REQUEST.
//
//	| 05 | newest version of the client, 1 byte |
func AppendVersionRequest(dst []byte, v Version) []byte {
	return append(dst, byte(MagicVersionRequest), byte(v))
}

// AppendVersionResponse appends SERVER_VERSION_RESPONSE.
//
//	| 06 | newest version of the server, 1 byte |
func AppendVersionResponse(dst []byte, v Version) []byte {
	return append(dst, byte(MagicVersionResponse), byte(v))
}

// AppendServiceRequest appends SERVICE_TYPE_REQUEST.
//
//	| 10 | service, 1 byte |
func AppendServiceRequest(dst []byte, s Service) []byte {
	return append(dst, byte(MagicServiceRequest), byte(s))
}

// AppendServiceResponse appends SERVICE_TYPE_RESPONSE.
//
//	| 11 | service code, 1 byte |
func AppendServiceResponse(dst []byte, c ServiceCode) []byte {
	return append(dst, byte(MagicServiceResponse), byte(c))
}

// AppendStatusRequest appends SERVICE_STATUS_REQUEST.
//
//	| 12 | service, 1 byte |
func AppendStatusRequest(dst []byte, s Service) []byte {
	return append(dst, byte(MagicStatusRequest), byte(s))
}

// AppendStatusResponse appends SERVICE_STATUS_RESPONSE.
//
//	| 13 | status, 1 byte |
func AppendStatusResponse(dst []byte, s Status) []byte {
	return append(dst, byte(MagicStatusResponse), byte(s))
}

// AppendLatencyStart appends LATENCY_TEST_START.
//
//	| D0 | id of the test, 8 bytes |
func AppendLatencyStart(dst []byte, id LatencyID) []byte {
	return Frame{MagicLatencyStart, uint64(id)}.Append(dst)
}

// AppendLatencyStop appends LATENCY_TEST_STOP.
//
//	| D1 | id of the test, 8 bytes |
func AppendLatencyStop(dst []byte, id LatencyID) []byte {
	return Frame{MagicLatencyStop, uint64(id)}.Append(dst)
}

// AppendHeartbeat appends HEARTBEAT.
//
//	| E0 |
func AppendHeartbeat(dst []byte) []byte { return append(dst, byte(MagicHeartbeat)) }

// MaxHeartbeatInterval is the longest interval that AppendHeartbeatInterval can express.
const MaxHeartbeatInterval = 255 * time.Second

// AppendHeartbeatInterval appends HEARTBEAT_FREQUENCY_SETTING_INCOMING. every is rounded up to whole seconds and cut at
// MaxHeartbeatInterval; 0 turns heartbeats off.
//
//	| E1 | seconds, 1 byte |
func AppendHeartbeatInterval(dst []byte, every time.Duration) []byte {
	every = min(max(every, 0), MaxHeartbeatInterval)
	return append(dst, byte(MagicHeartbeatInterval), byte((every+time.Second-1)/time.Second))
}

// AppendClose appends CLOSE.
//
//	| FF |
func AppendClose(dst []byte) []byte { return append(dst, byte(MagicClose)) }
