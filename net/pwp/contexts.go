package pwp

import (
	"time"

	"github.com/shieldmaidens/pleiades/net/pwp/pair"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// Context describes a live pair, for people who look for what is going on.
type Context struct {
	// Peer is Conn.Peer of the connection.
	Peer    string
	Stream  wire.StreamID // of requests
	Service wire.Service  // 0: none asked for
	State   pair.State
	Version wire.Version
	// InFlight is how many requests have no last answer.
	InFlight int
	// QueuedBytes wait to be written, or are being written.
	QueuedBytes int
	// BytesIn, BytesOut, MessagesIn and MessagesOut count since the pair began.
	BytesIn, BytesOut       int64
	MessagesIn, MessagesOut uint64
	Age                     time.Duration
	// RoundTrip is what the last latency test that this side started took, 0 before one.
	RoundTrip time.Duration
}

func (s *linkSet) contexts() []Context {
	links := s.snapshot()
	out := make([]Context, 0, len(links))
	for _, l := range links {
		out = append(out, l.context())
	}
	return out
}

func (l *link) context() Context {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.mu.m
	c := Context{
		Service: m.Service(), State: m.State(), Version: m.Version(),
		InFlight: m.InFlight(), QueuedBytes: m.Queued(),
		BytesIn: l.rxBytes.Load(), BytesOut: l.txBytes.Load(), Age: time.Since(l.born),
	}
	if l.mu.busy {
		c.QueuedBytes += int(l.writeSize.Load())
	}
	c.MessagesIn, c.MessagesOut = m.Messages()
	switch s := l.side.(type) {
	case *serverPair:
		c.Peer, c.Stream = s.conn.conn.Peer(), l.in.ID()
	case *Pair:
		c.Peer, c.Stream, c.RoundTrip = s.client.conn.Peer(), l.out.ID(), s.roundTrip
	}
	return c
}
