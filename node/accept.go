package node

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/shieldmaidens/pleiades/net/endpoint"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// live are the connections of others.
type live struct {
	sync.Mutex
	conns map[*endpoint.Conn]struct{}
}

func (l *live) add(c *endpoint.Conn) {
	l.Lock()
	defer l.Unlock()
	if l.conns == nil {
		l.conns = map[*endpoint.Conn]struct{}{}
	}
	l.conns[c] = struct{}{}
}

func (l *live) remove(c *endpoint.Conn) {
	l.Lock()
	defer l.Unlock()
	delete(l.conns, c)
}

// The time for which answers that were written may be on their way, see live.linger.
const (
	ackDelay  = 25 * time.Millisecond // the longest that a peer holds an acknowledgement back (RFC 9000, section 18.2)
	minLinger = 20 * time.Millisecond
	maxLinger = time.Second
)

// linger returns how long to wait between the last answer and the closing of connections: closing one drops what QUIC has
// not brought to the peer yet, and QUIC does not say when it has. Twice the time after which a lost packet is sent again
// is enough for one loss; whoever loses more finds the connection cut and asks again, in its session. 0 without
// connections.
func (l *live) linger() time.Duration {
	l.Lock()
	defer l.Unlock()
	var longest time.Duration
	for c := range l.conns {
		s := c.Stats()
		probe := s.SmoothedRTT + max(4*s.MeanDeviation, time.Millisecond) + ackDelay
		longest = max(longest, min(max(2*probe, minLinger), maxLinger))
	}
	return longest
}

// accept serves the connections of others until ctx ends; when it returns, all of them have ended.
func (n *Node) accept(ctx context.Context) error {
	var conns sync.WaitGroup
	defer conns.Wait()
	for {
		conn, err := n.endpoint.Accept(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return err
		}
		n.live.add(conn)
		conns.Go(func() {
			defer n.live.remove(conn)
			err := n.server.ServeConn(ctx, conn)
			_ = conn.CloseWithError(wire.CloseShutdown, "the node stops") // when it ended by itself, nothing happens
			if ctx.Err() == nil {
				n.log.LogAttrs(ctx, slog.LevelDebug, "connection ended", slog.String("peer", conn.Peer()), slog.Any("reason", err))
			}
		})
	}
}
