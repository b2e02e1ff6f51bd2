package wire

import "fmt"

// Magic is the byte that begins a frame.
type Magic byte

// The magic bytes; part of the format, never renumber. Names in brackets are those of the printed draft.
const (
	// MagicHello begins each half of a pair [HELLO].
	MagicHello Magic = 0x01
	// MagicResponseStreamID tells the client which stream carries the responses [RESPONSE_STREAM_ID_INCOMING].
	MagicResponseStreamID Magic = 0x02
	// MagicSetupComplete ends the client's set-up [STREAM_SETUP_COMPLETE].
	MagicSetupComplete Magic = 0x03
	// MagicVersionRequest carries the newest version that the client speaks [SERVER_VERSION_REQUEST].
	MagicVersionRequest Magic = 0x05
	// MagicVersionResponse carries the newest version that the server speaks [SERVER_VERSION_RESPONSE].
	MagicVersionResponse Magic = 0x06
	// MagicServiceRequest asks for a service on this pair [SERVICE_TYPE_REQUEST].
	MagicServiceRequest Magic = 0x10
	// MagicServiceResponse says whether the pair has the service [SERVICE_TYPE_RESPONSE].
	MagicServiceResponse Magic = 0x11
	// MagicStatusRequest asks for the health of any service [SERVICE_STATUS_REQUEST].
	MagicStatusRequest Magic = 0x12
	// MagicStatusResponse is the health of the service asked for [SERVICE_STATUS_RESPONSE].
	MagicStatusResponse Magic = 0x13
	// MagicPayloadType begins the prelude of a message [PAYLOAD_TYPE_INCOMING].
	MagicPayloadType Magic = 0x20
	// MagicPayloadChecksum is the second part of a prelude [PAYLOAD_CHECKSUM_INCOMING].
	MagicPayloadChecksum Magic = 0x21
	// MagicPayloadSize is the third part of a prelude [PAYLOAD_SIZE_INCOMING; the draft prints 0x21].
	MagicPayloadSize Magic = 0x22
	// MagicLatencyStart begins a latency test [LATENCY_TEST_START].
	MagicLatencyStart Magic = 0xD0
	// MagicLatencyStop answers it [LATENCY_TEST_STOP].
	MagicLatencyStop Magic = 0xD1
	// MagicHeartbeat says that the sender is alive [HEARTBEAT].
	MagicHeartbeat Magic = 0xE0
	// MagicHeartbeatInterval sets the interval of heartbeats [HEARTBEAT_FREQUENCY_SETTING_INCOMING].
	MagicHeartbeatInterval Magic = 0xE1
	// MagicClose is the last byte of a half [CLOSE].
	MagicClose Magic = 0xFF
)

// Sender is a set of the roles that may send a byte.
type Sender uint8

// The senders.
const (
	SenderClient Sender = 1
	SenderServer Sender = 2
	SenderBoth   Sender = SenderClient | SenderServer
)

// magicInfo is a row of the table of magic bytes.
type magicInfo struct {
	name    string // of the printed draft; empty: not a magic byte
	payload int    // bytes
	sender  Sender
}

// magicTable is the table of the printed draft with the errata of docs/protocol.md.
var magicTable = [256]magicInfo{
	MagicHello:             {"HELLO", 0, SenderBoth}, // the draft says client; the server's half begins with it, too
	MagicResponseStreamID:  {"RESPONSE_STREAM_ID_INCOMING", 8, SenderServer},
	MagicSetupComplete:     {"STREAM_SETUP_COMPLETE", 0, SenderClient},
	MagicVersionRequest:    {"SERVER_VERSION_REQUEST", 1, SenderClient},
	MagicVersionResponse:   {"SERVER_VERSION_RESPONSE", 1, SenderServer},
	MagicServiceRequest:    {"SERVICE_TYPE_REQUEST", 1, SenderClient},
	MagicServiceResponse:   {"SERVICE_TYPE_RESPONSE", 1, SenderServer},
	MagicStatusRequest:     {"SERVICE_STATUS_REQUEST", 1, SenderClient},
	MagicStatusResponse:    {"SERVICE_STATUS_RESPONSE", 1, SenderServer},
	MagicPayloadType:       {"PAYLOAD_TYPE_INCOMING", 1, SenderBoth},
	MagicPayloadChecksum:   {"PAYLOAD_CHECKSUM_INCOMING", 4, SenderBoth},
	MagicPayloadSize:       {"PAYLOAD_SIZE_INCOMING", 8, SenderBoth},
	MagicLatencyStart:      {"LATENCY_TEST_START", 8, SenderBoth},
	MagicLatencyStop:       {"LATENCY_TEST_STOP", 8, SenderBoth},
	MagicHeartbeat:         {"HEARTBEAT", 0, SenderBoth},
	MagicHeartbeatInterval: {"HEARTBEAT_FREQUENCY_SETTING_INCOMING", 1, SenderClient},
	MagicClose:             {"CLOSE", 0, SenderBoth},
}

// Known reports whether m is in the table.
func (m Magic) Known() bool { return magicTable[m].name != "" }

// PayloadBytes is the size of the metadata payload behind m, 0 for a byte that is not in the table.
func (m Magic) PayloadBytes() int { return magicTable[m].payload }

// SentBy reports whether a peer in that role may ever send m.
func (m Magic) SentBy(s Sender) bool { return magicTable[m].sender&s != 0 }

// String returns the name of the printed draft.
func (m Magic) String() string {
	if m.Known() {
		return magicTable[m].name
	}
	return fmt.Sprintf("byte 0x%02X", byte(m))
}
