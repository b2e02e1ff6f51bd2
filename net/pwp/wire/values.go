package wire

import (
	"fmt"
	"time"
)

// StreamID is a QUIC stream id: 0, 4, 8… are opened by the client, 1, 5, 9… by the server.
type StreamID uint64

// MaxStreamID is the greatest id that QUIC can number.
const MaxStreamID StreamID = 1<<62 - 1

// Response returns the id of the response stream that belongs to the request stream s.
func (s StreamID) Response() StreamID { return s + 1 }

// IsRequest reports whether s is a bidirectional stream opened by the client.
func (s StreamID) IsRequest() bool { return s <= MaxStreamID && s%4 == 0 }

// Version is a version of this protocol. 0 is none.
type Version uint8

// Version1 is the version described here, and what a pair speaks that checks no version.
const Version1 Version = 1

// Service is what a pair is for.
type Service uint8

// The services; part of the format, never renumber. Others may be asked for and are refused, not malformed.
const (
	ServiceGossip    Service = 0x01
	ServiceRaft      Service = 0x02
	ServiceKVStore   Service = 0x03
	ServiceMessaging Service = 0x04
	ServiceSystem    Service = 0x05
)

func (s Service) String() string {
	switch s {
	case ServiceGossip:
		return "gossip"
	case ServiceRaft:
		return "raft"
	case ServiceKVStore:
		return "kvstore"
	case ServiceMessaging:
		return "messaging"
	case ServiceSystem:
		return "system"
	}
	return fmt.Sprintf("service(0x%02x)", uint8(s))
}

// ServiceCode answers a request for a service.
type ServiceCode uint8

// The answers; part of the format, never renumber.
const (
	// ServiceReady says that the pair is established: messages may follow.
	ServiceReady ServiceCode = 0x00
	// ServiceRetry refuses; the same request may succeed later. CLOSE follows.
	ServiceRetry ServiceCode = 0x01
	// ServiceRetryError is ServiceRetry with one error message before CLOSE.
	ServiceRetryError ServiceCode = 0x02
	// ServiceNever refuses; the same request will not succeed. CLOSE follows.
	ServiceNever ServiceCode = 0x03
	// ServiceNeverError is ServiceNever with one error message before CLOSE.
	ServiceNeverError ServiceCode = 0x04
)

// Retryable reports whether asking again may help.
func (c ServiceCode) Retryable() bool { return c == ServiceRetry || c == ServiceRetryError }

// HasError reports whether one error message follows.
func (c ServiceCode) HasError() bool { return c == ServiceRetryError || c == ServiceNeverError }

func (c ServiceCode) String() string {
	switch c {
	case ServiceReady:
		return "ready"
	case ServiceRetry:
		return "not available, retryable"
	case ServiceRetryError:
		return "not available, retryable, with an error"
	case ServiceNever:
		return "not available"
	case ServiceNeverError:
		return "not available, with an error"
	}
	return fmt.Sprintf("service code 0x%02x", uint8(c))
}

// Status is the health of a service.
type Status uint8

// The states of health; part of the format, never renumber.
const (
	StatusHealthy   Status = 0x00
	StatusUnhealthy Status = 0x01
)

func (s Status) String() string {
	switch s {
	case StatusHealthy:
		return "healthy"
	case StatusUnhealthy:
		return "unhealthy"
	}
	return fmt.Sprintf("status 0x%02x", uint8(s))
}

// LatencyID names a latency test; the peer that starts it chooses it.
type LatencyID uint64

// MessageType is the method and direction of a message, numbered by each service from 0x01 to 0xEF.
type MessageType uint8

// The types that are the same in every service; part of the format, never renumber. 0xF2..0xFF are reserved.
const (
	// TypeError is an Error.
	TypeError MessageType = 0x00
	// TypeCancel says that the client no longer wants the answer of a request. It has no answer of its own.
	TypeCancel MessageType = 0xF0
	// TypeEnd ends the responses of a streaming request.
	TypeEnd MessageType = 0xF1
	// typeReserved is the first type that no service may use.
	typeReserved MessageType = 0xF0
)

// Application reports whether t is numbered by the service and not by the protocol.
func (t MessageType) Application() bool { return t != TypeError && t < typeReserved }

func (t MessageType) String() string {
	switch t {
	case TypeError:
		return "error"
	case TypeCancel:
		return "cancel"
	case TypeEnd:
		return "end"
	}
	return fmt.Sprintf("type 0x%02x", uint8(t))
}

// RequestID numbers a request on its pair. The client chooses it, from 1, different from that of every request that is
// not yet answered. 0 stands for the pair itself.
type RequestID uint64

// Limits. Each is part of the protocol: a peer may rely on it.
const (
	// MaxMetadataBytes is the size of the longest metadata payload.
	MaxMetadataBytes = 8
	// MaxFrameBytes is the size of the longest frame that is not a message.
	MaxFrameBytes = 1 + MaxMetadataBytes
	// PreludeBytes is the size of a prelude.
	PreludeBytes = 16
	// BulkBytes is the size of protobuf bytes above which a message belongs on a bulk pair: one that carries nothing
	// that must not wait behind it.
	BulkBytes = 64 << 10
	// DefaultMaxMessageBytes is how many protobuf bytes a peer accepts when it was not set up otherwise: a value of
	// 16 MiB, its key, and room for the rest.
	DefaultMaxMessageBytes = 17 << 20
	// MaxEnvelopeBytes bounds what AppendEnvelope appends: two tags and two varints.
	MaxEnvelopeBytes = 22
	// MaxErrorTextBytes is how much text of an error is sent; what is longer is cut.
	MaxErrorTextBytes = 1024
	// MaxTimeout is the longest time that an envelope carries; longer ones are cut to it.
	MaxTimeout = 24 * time.Hour
)
