package client

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
)

// Client is a connection to a constellation, made anew when it breaks. All methods may be called concurrently.
type Client struct {
	opts   Options
	addrs  []string
	dialer Dialer
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // dials, and connections that are being closed

	slots chan struct{}       // one for each request under way
	bulk  *semaphore.Weighted // bytes of large requests under way

	// Lock order: mu, then a session's. Neither is held while anything is waited for.
	mu struct {
		sync.Mutex
		closed  bool
		link    *link // nil: there is none
		links   map[*link]struct{}
		dialing *dial // the dial that is under way
		next    int   // the address to begin with
		session *session
		opening *opening
	}
	counts counts
	// failures of dials since the last that succeeded.
	failures atomic.Int64
}

// Metrics count what a client did since it was opened.
type Metrics struct {
	// Calls ended, Failed of them with an error, Retries is how often one was sent again.
	Calls, Failed, Retries uint64
	// Dials were tried, Connections made and Lost.
	Dials, Connections, Lost uint64
	// Sessions opened, and those found to have expired.
	Sessions, SessionsExpired uint64
	// InFlight requests are under way now.
	InFlight int
}

type counts struct {
	calls, failed, retries, dials, connections, lost, sessions, expired atomic.Uint64
}

// Open connects to the first of addrs ("host:port") that answers. When the connection breaks, the next request makes
// another one, to the next address. ctx is for the first connection only. Close the client. Errors: ErrOptions,
// ErrUnreachable, what the certificates are refused for (base.ErrPermission), those of ctx.
func Open(ctx context.Context, addrs []string, opts *Options) (*Client, error) {
	o, err := opts.filled()
	if err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("%w: no address", ErrOptions)
	}
	c := &Client{
		opts: o, addrs: append([]string(nil), addrs...), dialer: o.Dialer,
		slots: make(chan struct{}, o.MaxInFlight), bulk: semaphore.NewWeighted(o.MaxBulkBytes),
	}
	if c.dialer == nil {
		if c.dialer, err = newQUIC(&o); err != nil {
			return nil, err
		}
	}
	c.mu.links = map[*link]struct{}{}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	l, err := c.acquire(ctx)
	if err != nil {
		return nil, closeWith(err, c)
	}
	c.release(l)
	return c, nil
}

func closeWith(err error, c *Client) error {
	_ = c.Close() // err is the reason that counts
	return err
}

// Close ends the session and cuts the connections; requests under way get an error. It waits for what the client has
// started. Closing again does nothing.
func (c *Client) Close() error {
	c.mu.Lock()
	if c.mu.closed {
		c.mu.Unlock()
		return nil
	}
	c.mu.closed = true
	s := c.mu.session
	c.mu.session = nil
	l := c.mu.link
	if s != nil && l != nil {
		l.users++
	}
	c.mu.Unlock()
	if s != nil && l != nil {
		c.endSession(l, s)
		c.release(l)
	}
	c.cancel()
	c.mu.Lock()
	all := make([]*link, 0, len(c.mu.links))
	for l := range c.mu.links {
		all = append(all, l)
	}
	clear(c.mu.links)
	c.mu.link = nil
	c.mu.Unlock()
	for _, l := range all {
		l.close()
	}
	c.wg.Wait()
	return c.dialer.Close()
}

// Metrics returns the client's counters.
func (c *Client) Metrics() Metrics {
	return Metrics{
		Calls: c.counts.calls.Load(), Failed: c.counts.failed.Load(), Retries: c.counts.retries.Load(),
		Dials: c.counts.dials.Load(), Connections: c.counts.connections.Load(), Lost: c.counts.lost.Load(),
		Sessions: c.counts.sessions.Load(), SessionsExpired: c.counts.expired.Load(), InFlight: len(c.slots),
	}
}

// Addr returns the address of the node that the client is connected to, empty when there is none.
func (c *Client) Addr() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.link == nil {
		return ""
	}
	return c.mu.link.addr
}
