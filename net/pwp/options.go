package pwp

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/shieldmaidens/pleiades/net/pwp/pair"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// Limits bound what pairs may take. The zero value of each field is its default; nil Limits are all defaults.
type Limits struct {
	// MaxMessageBytes is the largest message that is accepted and sent. Default wire.DefaultMaxMessageBytes.
	MaxMessageBytes int64
	// MaxRequestsPerPair is how many requests a pair has in flight. Default pair.DefaultMaxRequests.
	MaxRequestsPerPair int
	// MaxRequestsPerConn is how many requests all pairs of a connection have in flight, at a server. Default 4096.
	MaxRequestsPerConn int
	// MaxPairsPerConn is how many pairs a connection has; an idle one takes about 15 KiB at a server, with QUIC. Default
	// 3072.
	MaxPairsPerConn int
	// MaxQueuedBytes is how much a pair has waiting to be written before those who write wait; one message may exceed
	// it. Default 256 KiB.
	MaxQueuedBytes int
	// QueuedBytesPerConn is how much all pairs of a connection have waiting to be written, at a server, single responses up
	// to 4 KiB not counted. A handler waits when there is no room. At least MaxQueuedBytes. Default 16 MiB.
	QueuedBytesPerConn int64
	// HeldBytesPerConn is how much handlers of a connection may keep while they wait for its reader, besides what is queued:
	// see Request.Hold. Default 16 MiB.
	HeldBytesPerConn int64
	// MaxStreamMessages is how many messages of one stream wait for their consumer before the pair is not read any
	// further, at a client. Default 16.
	MaxStreamMessages int
	// MessageBytesPerConn is how much of received messages a connection holds: those being read, and at a server those
	// whose handler runs. A pair whose message does not fit is not read until it does. At least MaxMessageBytes.
	// Default 24 MiB.
	MessageBytesPerConn int64
	// MessageBytes is the same for all connections of a Server together. Default 48 MiB.
	MessageBytes int64

	// SetupTimeout is how long a new pair may take until STREAM_SETUP_COMPLETE, at a server. Default 10 s.
	SetupTimeout time.Duration
	// MessageTimeout is how long the bytes of one frame or message may take; a message gets a second more for each
	// 256 KiB. Default 10 s.
	MessageTimeout time.Duration
	// StallTimeout is how long a peer may grant no room for what it asked for. Default 30 s.
	StallTimeout time.Duration
	// CloseTimeout is how long the peer may take to end a pair that this side has ended. Default 5 s.
	CloseTimeout time.Duration
}

// bytesPerSecond is the slowest that a large message may arrive.
const bytesPerSecond = 256 << 10

// tick is the resolution of all timeouts: a sweep over all pairs looks for those that are over time. A timeout is never
// early and at most two ticks late.
const tick = time.Second

func (l *Limits) filled() (Limits, error) {
	var out Limits
	if l != nil {
		out = *l
	}
	var faults []string
	fill(&out.MaxMessageBytes, wire.DefaultMaxMessageBytes, 64, 1<<30, "MaxMessageBytes", &faults)
	fill(&out.MaxRequestsPerPair, pair.DefaultMaxRequests, 1, 1<<20, "MaxRequestsPerPair", &faults)
	fill(&out.MaxRequestsPerConn, 4096, 1, 1<<20, "MaxRequestsPerConn", &faults)
	fill(&out.MaxPairsPerConn, 3072, 1, 1<<20, "MaxPairsPerConn", &faults)
	fill(&out.MaxQueuedBytes, 256<<10, 1, 1<<30, "MaxQueuedBytes", &faults)
	fill(&out.QueuedBytesPerConn, max(16<<20, int64(out.MaxQueuedBytes)), int64(out.MaxQueuedBytes), 1<<40, "QueuedBytesPerConn", &faults)
	fill(&out.HeldBytesPerConn, 16<<20, 1, 1<<40, "HeldBytesPerConn", &faults)
	fill(&out.MaxStreamMessages, 16, 1, 1<<20, "MaxStreamMessages", &faults)
	fill(&out.MessageBytesPerConn, max(24<<20, out.MaxMessageBytes), out.MaxMessageBytes, 1<<40, "MessageBytesPerConn", &faults)
	fill(&out.MessageBytes, max(48<<20, out.MessageBytesPerConn), out.MaxMessageBytes, 1<<40, "MessageBytes", &faults)
	fill(&out.SetupTimeout, 10*time.Second, tick, time.Hour, "SetupTimeout", &faults)
	fill(&out.MessageTimeout, 10*time.Second, tick, time.Hour, "MessageTimeout", &faults)
	fill(&out.StallTimeout, 30*time.Second, tick, time.Hour, "StallTimeout", &faults)
	fill(&out.CloseTimeout, 5*time.Second, tick, time.Hour, "CloseTimeout", &faults)
	if len(faults) > 0 {
		return out, fmt.Errorf("%w: %s", ErrOptions, strings.Join(faults, "; "))
	}
	return out, nil
}

// fill sets a zero field to its default and notes a value out of [lo, hi].
func fill[T ~int | ~int64](field *T, def, lo, hi T, name string, faults *[]string) {
	if *field == 0 {
		*field = def
	}
	if *field < lo || *field > hi {
		*faults = append(*faults, fmt.Sprintf("%s is %v, allowed are %v to %v", name, *field, lo, hi))
	}
}

// ServerOptions are what a Server is made of. nil is all defaults.
type ServerOptions struct {
	Limits *Limits
	// Logger gets what no peer is told: faults of handlers, and pairs that broke the protocol. nil discards it.
	Logger *slog.Logger
}

// ClientOptions are what a Client is made of. nil is all defaults.
type ClientOptions struct {
	Limits *Limits
}
