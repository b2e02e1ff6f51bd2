package pwp

import (
	"context"
	"fmt"
	"sync"

	"github.com/shieldmaidens/pleiades/net/pwp/pair"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// Client opens pairs on one connection that this side dialled. All methods may be called concurrently.
type Client struct {
	conn   Conn
	limits Limits
	set    *linkSet
	ledger *ledger
	cancel context.CancelFunc
	calls  sync.Pool
	// opening is held from opening a stream until it is registered: a later stream shows the peer all earlier ones, so
	// the response to one that nobody knows yet could arrive.
	opening chan struct{}

	mu struct {
		sync.Mutex
		// waiting are the pairs whose response stream has not come, by its id.
		waiting map[wire.StreamID]*link
		// opened is one above the greatest response stream that may come.
		opened wire.StreamID
		pairs  int
		err    error // why the connection is of no more use
	}
}

// NewClient returns a client on conn, whose streams nobody else opens or accepts. Close it; conn stays the caller's.
// Errors: ErrOptions, with all faults.
func NewClient(conn Conn, opts *ClientOptions) (*Client, error) {
	if opts == nil {
		opts = &ClientOptions{}
	}
	limits, err := opts.Limits.filled()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &Client{
		conn: conn, limits: limits, set: newLinkSet(), cancel: cancel,
		ledger:  &ledger{limit: limits.MessageBytesPerConn},
		opening: make(chan struct{}, 1),
	}
	c.mu.waiting = map[wire.StreamID]*link{}
	c.set.wg.Add(1)
	go c.acceptLoop(ctx)
	return c, nil
}

// acceptLoop gives each response stream to its pair, by number.
func (c *Client) acceptLoop(ctx context.Context) {
	defer c.set.wg.Done()
	for {
		s, err := c.conn.AcceptStream(ctx)
		if err != nil {
			c.lost(fmt.Errorf("the connection is gone: %w", err))
			return
		}
		if err := s.CloseWrite(); err != nil { // this side sends nothing there
			s.Reset(wire.CloseNone)
		}
		c.mu.Lock()
		l := c.mu.waiting[s.ID()]
		delete(c.mu.waiting, s.ID())
		stranger := l == nil && s.ID() >= c.mu.opened
		c.mu.Unlock()
		if stranger {
			err := fmt.Errorf("%w: the server opened stream %d, which nobody asked for", wire.ErrProtocol, s.ID())
			_ = c.conn.CloseWithError(wire.CloseBadValue, err.Error())
			discard(s, wire.CloseBadValue)
			c.lost(err)
			return
		}
		if l == nil || !l.deliver(s) {
			discard(s, wire.CloseNone) // its pair has ended
		}
	}
}

// deliver gives a link its response stream; false: it has ended.
func (l *link) deliver(s Stream) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.ended {
		return false
	}
	l.waitIn <- s // room for the only one
	return true
}

// lost ends all pairs because the connection is gone.
func (c *Client) lost(err error) {
	c.mu.Lock()
	if c.mu.err == nil {
		c.mu.err = fmt.Errorf("%w: %v", ErrNotRun, err)
	}
	c.mu.Unlock()
	for _, l := range c.set.snapshot() {
		l.kill(wire.CloseShutdown, err)
		c.set.leaveIfEnded(l)
	}
}

// PairOptions say what a pair is for. nil is all defaults.
type PairOptions struct {
	// CheckVersion asks for the server's version as well; Context shows it.
	CheckVersion bool
	// Bulk allows requests over 64 KiB: the pair is for those, and short requests take another one.
	Bulk bool
}

// Open begins a pair. It waits only for the connection to grant a stream: requests may follow at once, in the same
// flight. A refusal of the service comes as the error of Ready and of every request. service 0 is a pair for Ping and
// Status alone. Errors: ErrClosed, ErrTooManyPairs, ErrNotRun when the connection
// is gone, those of ctx.
func (c *Client) Open(ctx context.Context, service wire.Service, opts *PairOptions) (*Pair, error) {
	if opts == nil {
		opts = &PairOptions{}
	}
	if err := c.reserve(); err != nil {
		return nil, err
	}
	p := &Pair{client: c, bulk: opts.Bulk, ready: make(chan struct{})}
	request, l, err := c.openStream(ctx, p)
	if err != nil {
		c.unreserve()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("pwp: opening a pair: %w", context.Cause(ctx))
		}
		return nil, fmt.Errorf("%w: opening a pair: %v", ErrNotRun, err)
	}
	c.mu.Lock()
	err = c.mu.err
	c.mu.Unlock()
	if err != nil || !c.set.join(l, l.readLoop, l.setupLoop) {
		discard(request, wire.CloseShutdown)
		c.mu.Lock()
		delete(c.mu.waiting, request.ID().Response())
		c.mu.Unlock()
		c.unreserve()
		if err == nil {
			err = ErrClosed
		}
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.mu.m.Start(pair.Opening{CheckVersion: opts.CheckVersion, Service: service}); err != nil {
		return nil, p.endedLocked() // killed between join and here
	}
	l.wakeWriterLocked() // the first request shall go along
	return p, nil
}

// openStream opens the request stream of p and registers its link for the response stream.
func (c *Client) openStream(ctx context.Context, p *Pair) (Stream, *link, error) {
	select {
	case c.opening <- struct{}{}:
		defer func() { <-c.opening }()
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	request, err := c.conn.OpenStream(ctx)
	if err != nil {
		return nil, nil, err
	}
	l := newLink(c.set, &c.limits, p, c.ledger, pair.Config{Role: pair.RoleClient, Stream: request.ID()})
	l.out, l.waitIn = request, make(chan Stream, 1)
	l.try, _ = request.(TryWriter)
	l.inlineInFlight = 1 // the one that is being sent
	p.link = l
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.waiting[request.ID().Response()] = l
	c.mu.opened = max(c.mu.opened, request.ID().Response()+1)
	return request, l, nil
}

func (c *Client) reserve() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.mu.err != nil:
		return c.mu.err
	case c.mu.pairs >= c.limits.MaxPairsPerConn:
		return fmt.Errorf("%w: %d", ErrTooManyPairs, c.mu.pairs)
	}
	c.mu.pairs++
	return nil
}

func (c *Client) unreserve() {
	c.mu.Lock()
	c.mu.pairs--
	c.mu.Unlock()
}

// Close cuts all pairs and waits for the client's goroutines. Requests under way get ErrLost.
func (c *Client) Close() error {
	c.mu.Lock()
	if c.mu.err == nil {
		c.mu.err = ErrClosed
	}
	c.mu.Unlock()
	c.cancel()
	c.set.close()
	return nil
}

// Contexts returns the live pairs, in no order.
func (c *Client) Contexts() []Context { return c.set.contexts() }

// setupLoop reads the server's half of the request stream: the response stream's id, and nothing else.
func (l *link) setupLoop() {
	defer l.set.wg.Done()
	var buf [wire.MaxFrameBytes]byte
	n := 0
	for {
		got, err := l.out.Read(buf[n:])
		n += got
		l.mu.Lock()
		used, ev := l.mu.m.ReceiveSetup(buf[:n])
		n = copy(buf[:], buf[used:n])
		if ev.Kind == pair.KindFail {
			l.blameLocked(fmt.Errorf("%w: %w", wire.ErrProtocol, ev.Err))
			l.kickLocked()
		}
		over := l.mu.m.State() == pair.StateOver
		if err != nil && closeCodeOf(err) == wire.CloseOverloaded && !over {
			l.blameLocked(err)
			l.killLocked(wire.CloseOverloaded)
		}
		l.mu.Unlock()
		if err != nil || over {
			l.out.CancelRead(wire.CloseNone)
			return
		}
	}
}
