package endpoint

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/shieldmaidens/pleiades/net/certs"
	"github.com/shieldmaidens/pleiades/net/pwp"
)

// The protocols that a connection can be for, negotiated by TLS (ALPN). Part of the wire format.
const (
	// ALPNClient is for clients, and for nodes that act as one.
	ALPNClient = "pwp/1"
	// ALPNNode is between nodes. A client's certificate is refused, and there is no early data.
	ALPNNode = "pwp-node/1"
)

// Options are what an Endpoint is made of. Certs is needed; everything else has a default.
type Options struct {
	// Listen is the UDP address to accept connections on, such as "127.0.0.1:4400" or ":0". Empty: an endpoint that only
	// dials, from a port of the system's choice.
	Listen string
	// Certs has the own certificate and the CAs, live. The endpoint does not close it.
	Certs *certs.Source
	// Logger gets what nobody waits for: a small UDP buffer, refused peers. nil discards it.
	Logger *slog.Logger
	// Limits bound what connections may take. nil: all defaults.
	Limits *Limits
	// Pairs bounds what Conn.Client takes. nil: all defaults of package pwp.
	Pairs *pwp.Limits

	// StatelessResetKey lets a node that restarts with the same key tell old peers at once that their connections are gone
	// (RFC 9000, section 10.3). Secret. All zero: peers find out by themselves, after Limits.IdleTimeout.
	StatelessResetKey [32]byte
	// TokenKey seals the tokens by which a server knows a client's address again (RFC 9000, section 8.1). Secret, the same
	// after a restart. All zero: a random one.
	TokenKey [32]byte
	// Early accepts early data (0-RTT) of clients, and uses it when dialling with ALPNClient. Never between nodes.
	Early bool
	// Sessions keeps the session tickets of servers that were dialled; early data needs one. Keys are addresses and names.
	// nil: an own cache in memory.
	Sessions tls.ClientSessionCache

	// Keylog gets the TLS secrets of all connections, for those who decode a capture. HAZARD: whoever has them reads and
	// forges everything. nil for none.
	Keylog io.Writer
	// QLogDir gets a qlog file (JSON text sequence) for each connection. Empty for none.
	QLogDir string
	// PacketConn is used instead of a socket of the endpoint's own, and closed with it; of Listen only counts then whether it
	// is empty. Anything but a *net.UDPConn is slower. nil for an own socket.
	PacketConn net.PacketConn
}

// Limits bound what connections may take. The zero value of each field is its default.
type Limits struct {
	// MaxConnections is how many connections peers may have here, those in their handshake included. Beyond it they get
	// ErrRefused. Default 4096.
	MaxConnections int
	// VerifyAbove is how many handshakes of peers may be under way before further ones have to prove that their address is
	// real, which costs them a round trip (RFC 9000, section 8.1.2). Default 64; -1: all of them.
	VerifyAbove int
	// MaxStreams is how many bidirectional streams the peer may have open at a time. A pair needs one of either side.
	// Default 5,000, which is above the pairs of a pwp.Server, so that it can say what is wrong.
	MaxStreams int
	// StreamWindowBytes and ConnectionWindowBytes are how much a peer may send, on one stream and on all streams of a
	// connection, before it is read. Defaults 512 KiB and 1 MiB.
	StreamWindowBytes, ConnectionWindowBytes int64
	// MaxStreamWindowBytes and MaxConnectionWindowBytes are what these windows may grow to while the peer is read as fast as
	// it sends. Defaults 6 MiB and 16 MiB.
	MaxStreamWindowBytes, MaxConnectionWindowBytes int64
	// WindowGrowthBytes is by how much the windows of all connections together may be above ConnectionWindowBytes.
	// Default 64 MiB.
	WindowGrowthBytes int64
	// HandshakeTimeout is how long a handshake waits for the peer's next packet; the whole may take twice that. Default 5 s.
	HandshakeTimeout time.Duration
	// IdleTimeout is how long a connection lives without hearing from its peer. Default 30 s.
	IdleTimeout time.Duration
	// KeepAlive is after how much silence the peer is asked for a sign of life. Default 5 s; -1: never.
	KeepAlive time.Duration
	// MaxPeers is how many peers the cache of Peer knows, live or failed. Default 4096.
	MaxPeers int
	// MinBackoff and MaxBackoff are how long a peer that failed is left alone, after the first failure and at most; the
	// time doubles and is spread by a half each way. Defaults 50 ms and 5 s.
	MinBackoff, MaxBackoff time.Duration
	// MaxDatagrams is how many datagrams of a connection wait to be sent. Default 256.
	MaxDatagrams int
}

func (l *Limits) filled() (Limits, error) {
	var out Limits
	if l != nil {
		out = *l
	}
	var faults []string
	fill(&out.MaxConnections, 4096, 1, 1<<20, "MaxConnections", &faults)
	fill(&out.VerifyAbove, 64, -1, 1<<20, "VerifyAbove", &faults)
	fill(&out.MaxStreams, 5000, 1, 1<<20, "MaxStreams", &faults)
	fill(&out.StreamWindowBytes, 512<<10, 4<<10, 1<<30, "StreamWindowBytes", &faults)
	fill(&out.ConnectionWindowBytes, max(1<<20, out.StreamWindowBytes), out.StreamWindowBytes, 1<<30, "ConnectionWindowBytes", &faults)
	fill(&out.MaxStreamWindowBytes, max(6<<20, out.StreamWindowBytes), out.StreamWindowBytes, 1<<30, "MaxStreamWindowBytes", &faults)
	fill(&out.MaxConnectionWindowBytes, max(16<<20, out.ConnectionWindowBytes), out.ConnectionWindowBytes, 1<<30,
		"MaxConnectionWindowBytes", &faults)
	fill(&out.WindowGrowthBytes, 64<<20, 1, 1<<40, "WindowGrowthBytes", &faults)
	fill(&out.HandshakeTimeout, 5*time.Second, 10*time.Millisecond, time.Minute, "HandshakeTimeout", &faults)
	fill(&out.IdleTimeout, 30*time.Second, 100*time.Millisecond, time.Hour, "IdleTimeout", &faults)
	if out.KeepAlive != -1 {
		fill(&out.KeepAlive, min(5*time.Second, out.IdleTimeout/2), 10*time.Millisecond, time.Hour, "KeepAlive", &faults)
	}
	fill(&out.MaxPeers, 4096, 1, 1<<20, "MaxPeers", &faults)
	fill(&out.MinBackoff, 50*time.Millisecond, time.Millisecond, time.Minute, "MinBackoff", &faults)
	fill(&out.MaxBackoff, max(5*time.Second, out.MinBackoff), out.MinBackoff, time.Hour, "MaxBackoff", &faults)
	fill(&out.MaxDatagrams, 256, 1, 1<<16, "MaxDatagrams", &faults)
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

// quicConfig is what all connections have in common.
func (e *Endpoint) quicConfig() *quic.Config {
	l := &e.limits
	c := &quic.Config{
		Versions:                       []quic.Version{quic.Version1},
		HandshakeIdleTimeout:           l.HandshakeTimeout,
		MaxIdleTimeout:                 l.IdleTimeout,
		KeepAlivePeriod:                max(l.KeepAlive, 0),
		InitialStreamReceiveWindow:     uint64(l.StreamWindowBytes),
		MaxStreamReceiveWindow:         uint64(l.MaxStreamWindowBytes),
		InitialConnectionReceiveWindow: uint64(l.ConnectionWindowBytes),
		MaxConnectionReceiveWindow:     uint64(l.MaxConnectionWindowBytes),
		AllowConnectionWindowIncrease:  e.windows.allow,
		MaxIncomingStreams:             int64(l.MaxStreams),
		MaxIncomingUniStreams:          -1,
		EnableDatagrams:                true,
		Allow0RTT:                      e.early,
		TokenStore:                     quic.NewLRUTokenStore(256, 4),
	}
	if e.qlogDir != "" {
		c.Tracer = e.traceTo(e.qlogDir)
	}
	return c
}
