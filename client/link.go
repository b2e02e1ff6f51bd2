package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/net/endpoint"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// link is one connection with its pairs. A link that has failed is not used for new requests, and is closed when the
// last of those that use it is done.
type link struct {
	addr string
	conn pwp.Conn
	pwp  *pwp.Client
	done <-chan struct{} // nil: the connection does not tell when it ends
	// heard: the node has answered something. Until then early data may have been talking to nobody.
	heard atomic.Bool

	// Guarded by Client.mu.
	users   int
	retired bool

	mu struct {
		sync.Mutex
		pairs map[use]*pwp.Pair
		idle  []*pwp.Pair // for streams
	}
}

// use is what a shared pair is for.
type use struct {
	service wire.Service
	bulk    bool
}

// maxIdlePairs is how many pairs wait for the next stream.
const maxIdlePairs = 4

// dial is a dial under way; whoever needs a connection waits for it.
type dial struct {
	done chan struct{}
	err  error
}

// acquire returns the live connection, and makes one when there is none. release follows.
func (c *Client) acquire(ctx context.Context) (*link, error) {
	for {
		c.mu.Lock()
		if c.mu.closed {
			c.mu.Unlock()
			return nil, ErrClosed
		}
		if l := c.mu.link; l != nil {
			if !l.ended() {
				l.users++
				c.mu.Unlock()
				return l, nil
			}
			c.retireLocked(l)
		}
		d := c.mu.dialing
		if d == nil {
			d = &dial{done: make(chan struct{})}
			c.mu.dialing = d
			c.wg.Add(1)
			go c.dial(d)
		}
		c.mu.Unlock()
		select {
		case <-d.done:
			if d.err != nil {
				return nil, d.err
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// ended reports whether the connection is known to be gone.
func (l *link) ended() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// dial tries the addresses in turn, beginning with the one behind the last that failed.
func (c *Client) dial(d *dial) {
	defer c.wg.Done()
	l, err := c.dialAny()
	c.mu.Lock()
	if l != nil && c.mu.closed {
		c.mu.Unlock()
		l.close()
		c.mu.Lock()
		l, err = nil, ErrClosed
	}
	if l != nil {
		c.mu.link = l
		c.mu.links[l] = struct{}{}
	}
	d.err = err
	c.mu.dialing = nil
	c.mu.Unlock()
	close(d.done)
}

func (c *Client) dialAny() (*link, error) {
	c.mu.Lock()
	first := c.mu.next
	c.mu.Unlock()
	var reasons []string
	kind := ErrUnreachable
	for i := range c.addrs {
		at := (first + i) % len(c.addrs)
		l, err := c.dialOne(c.addrs[at])
		if err == nil {
			c.mu.Lock()
			c.mu.next = at
			c.mu.Unlock()
			return l, nil
		}
		if c.ctx.Err() != nil {
			return nil, ErrClosed
		}
		reasons = append(reasons, fmt.Sprintf("%s: %v", c.addrs[at], err))
		if permanent(err) {
			kind = err // trying again does not help; what is wrong is said once
		}
	}
	if !errors.Is(kind, ErrUnreachable) {
		return nil, fmt.Errorf("client: %s: %w", c.addrs[first%len(c.addrs)], kind)
	}
	return nil, fmt.Errorf("%w: %s", kind, strings.Join(reasons, "; "))
}

// permanent reports whether a failed dial would fail again.
func permanent(err error) bool {
	for _, marker := range []error{base.ErrPermission, base.ErrInvalid, base.ErrVersion} {
		if errors.Is(err, marker) {
			return true
		}
	}
	return false
}

func (c *Client) dialOne(addr string) (*link, error) {
	ctx, cancel := context.WithTimeout(c.ctx, c.dialTime())
	defer cancel()
	c.counts.dials.Add(1)
	conn, err := c.dialer.Dial(ctx, addr)
	if err != nil {
		c.failures.Add(1)
		c.opts.Logger.Debug("dial failed", "addr", addr, "error", err)
		return nil, err
	}
	return c.newLink(addr, conn)
}

// redialTime is how long the first attempt to reach a node again may take.
const redialTime = time.Second

// dialTime is how long the next attempt may take. The first connection gets all the time there is. Those behind it begin
// with little, since a handshake that was begun before the node was there again is repeated later and later.
func (c *Client) dialTime() time.Duration {
	if c.counts.connections.Load() == 0 {
		return c.opts.DialTimeout
	}
	return min(c.opts.DialTimeout, redialTime*time.Duration(1+c.failures.Load()/3))
}

// newLink begins to use a connection.
func (c *Client) newLink(addr string, conn pwp.Conn) (*link, error) {
	p, err := pwp.NewClient(conn, &pwp.ClientOptions{Limits: c.opts.Limits})
	if err != nil {
		_ = conn.CloseWithError(wire.CloseNone, "")
		return nil, err
	}
	c.counts.connections.Add(1)
	c.failures.Store(0)
	c.opts.Logger.Debug("connected", "addr", addr, "peer", conn.Peer())
	l := &link{addr: addr, conn: conn, pwp: p}
	l.mu.pairs = map[use]*pwp.Pair{}
	if d, ok := conn.(interface{ Done() <-chan struct{} }); ok {
		l.done = d.Done()
	}
	if w, ok := conn.(watched); ok && l.done != nil {
		c.wg.Add(1) // by a dial, which is counted itself, or while the client is not closed
		go c.watch(l, w)
	}
	return l, nil
}

// release ends what acquire began.
func (c *Client) release(l *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l.users--
	c.closeIfUnusedLocked(l)
}

// retire takes a link out of use. The next request makes another connection, beginning with the next address.
func (c *Client) retire(l *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.retireLocked(l)
}

func (c *Client) retireLocked(l *link) {
	if l.retired {
		return
	}
	l.retired = true
	if c.mu.link == l {
		c.mu.link = nil
	}
	if next := c.replaced(l); next != nil {
		c.mu.link = next
		c.mu.links[next] = struct{}{}
	} else {
		c.counts.lost.Add(1)
		c.mu.next++
	}
	c.closeIfUnusedLocked(l)
}

// replaced returns what goes on where a link ended whose early data the node did not take: the same connection without it.
// Dialling again would offer the same ticket, and be refused again. nil: there is none.
func (c *Client) replaced(l *link) *link {
	early, ok := l.conn.(interface{ Replacement() *endpoint.Conn })
	if !ok || !l.ended() || c.mu.closed {
		return nil
	}
	conn := early.Replacement()
	if conn == nil {
		return nil
	}
	next, err := c.newLink(l.addr, conn)
	if err != nil {
		return nil
	}
	return next
}

// rejectionTime is how long the end of a connection is waited for whose first requests were sent away: longer than it takes
// to know whether the node took early data.
const rejectionTime = 200 * time.Millisecond

// waitForEnd waits until it is known what became of a link that never brought an answer.
func (l *link) waitForEnd() {
	if l.heard.Load() || l.done == nil {
		return
	}
	timer := time.NewTimer(rejectionTime)
	defer timer.Stop()
	select {
	case <-l.done:
	case <-timer.C:
	}
}

func (c *Client) closeIfUnusedLocked(l *link) {
	if _, live := c.mu.links[l]; !live || !l.retired || l.users > 0 || c.mu.closed {
		return
	}
	delete(c.mu.links, l)
	c.wg.Add(1)
	go func() {
		defer c.wg.Done()
		l.close()
	}()
}

// close cuts the connection and waits for its goroutines.
func (l *link) close() {
	_ = l.conn.CloseWithError(wire.CloseNone, "") // the peer need not answer
	_ = l.pwp.Close()
}

// pair returns the shared pair of a service, for requests that others may wait behind or, with bulk, for large ones.
func (l *link) pair(ctx context.Context, u use) (*pwp.Pair, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p := l.mu.pairs[u]; p != nil {
		return p, nil
	}
	p, err := l.pwp.Open(ctx, u.service, &pwp.PairOptions{Bulk: u.bulk})
	if err != nil {
		return nil, err
	}
	l.mu.pairs[u] = p
	return p, nil
}

// streamPair returns a pair for one stream alone. putStreamPair or Abort follows.
func (l *link) streamPair(ctx context.Context) (*pwp.Pair, error) {
	l.mu.Lock()
	if n := len(l.mu.idle); n > 0 {
		p := l.mu.idle[n-1]
		l.mu.idle = l.mu.idle[:n-1]
		l.mu.Unlock()
		return p, nil
	}
	l.mu.Unlock()
	return l.pwp.Open(ctx, wire.ServiceKVStore, &pwp.PairOptions{Bulk: true})
}

// putStreamPair keeps a pair whose stream has ended for the next one.
func (l *link) putStreamPair(p *pwp.Pair) {
	l.mu.Lock()
	keep := len(l.mu.idle) < maxIdlePairs
	if keep {
		l.mu.idle = append(l.mu.idle, p)
	}
	l.mu.Unlock()
	if !keep {
		p.Abort()
	}
}
