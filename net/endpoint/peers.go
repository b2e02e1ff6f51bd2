package endpoint

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// PeerState says what the cache knows of one peer.
type PeerState struct {
	Addr, ALPN, Name string
	// Conn is the live connection, nil when there is none.
	Conn *Conn
	// Dialling says that a dial is under way.
	Dialling bool
	// Failures in a row: dials that failed, and connections that did not live long.
	Failures int
	// Until is when the peer may be dialled again; in the past: now.
	Until time.Time
	// Err is why there was no connection the last time, or why the last one ended; nil if that never happened.
	Err error
}

type peerKey struct{ addr, alpn, name string }

// peer is guarded by Endpoint.mu.
type peer struct {
	conn     *Conn
	dial     *dialling // under way
	failures int
	until    time.Time
	err      error
	used     time.Time
}

// dialling is one dial that any number of callers wait for.
type dialling struct {
	done chan struct{}
	conn *Conn
	err  error
}

// Peer returns the cached connection to a node, or dials one: one dial at a time for all who ask, on the endpoint's time
// and not on that of the first who asked. The connection is shared: nobody closes it, and pairs come from Conn.Client. After
// a failure the peer is left alone for a while, and Peer answers a *BackoffError at once. Other errors: those of Dial,
// ErrTooManyPeers.
func (e *Endpoint) Peer(ctx context.Context, addr string, opts *DialOptions) (*Conn, error) {
	o, err := opts.filled()
	if err != nil {
		return nil, err
	}
	var d *dialling
	for d == nil {
		var conn *Conn
		conn, d, err = e.peer(peerKey{addr, o.ALPN, o.Name}, o)
		switch {
		case err != nil:
			return nil, err
		case conn != nil && !conn.ending.Load():
			return conn, nil
		case conn == nil:
			continue // a dial to wait for
		}
		select {
		case <-conn.done:
		case <-ctx.Done():
			return nil, fmt.Errorf("dialling %s: %w", addr, context.Cause(ctx))
		}
	}
	select {
	case <-d.done:
		return d.conn, d.err
	case <-ctx.Done():
		return nil, fmt.Errorf("dialling %s: %w", addr, context.Cause(ctx))
	}
}

// peer returns a live connection, a dial to wait for, or why there is neither.
func (e *Endpoint) peer(key peerKey, o DialOptions) (*Conn, *dialling, error) {
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.mu.closed {
		return nil, nil, ErrClosed
	}
	p := e.mu.peers[key]
	if p == nil {
		if err := e.makeRoomLocked(); err != nil {
			return nil, nil, err
		}
		p = &peer{}
		e.mu.peers[key] = p
	}
	p.used = now
	e.lookLocked(p)
	switch {
	case p.conn != nil:
		return p.conn, nil, nil
	case p.dial != nil:
		return nil, p.dial, nil
	case now.Before(p.until):
		return nil, nil, &BackoffError{Addr: key.addr, Until: p.until, Cause: p.err}
	}
	d := &dialling{done: make(chan struct{})}
	p.dial = d
	e.wg.Go(func() { e.dialPeer(key, o, p, d) })
	return nil, d, nil
}

func (e *Endpoint) dialPeer(key peerKey, o DialOptions, p *peer, d *dialling) {
	d.conn, d.err = e.Dial(e.ctx, key.addr, &o)
	e.mu.Lock()
	p.dial = nil
	if d.err == nil {
		p.conn = d.conn
	} else if !errors.Is(d.err, ErrClosed) {
		e.failedLocked(p, d.err, time.Now())
	}
	e.mu.Unlock()
	close(d.done)
}

// lookLocked takes in that the connection of a peer has ended.
func (e *Endpoint) lookLocked(p *peer) {
	for p.conn != nil {
		select {
		case <-p.conn.done:
		default:
			return
		}
		c := p.conn
		p.conn = c.next
		if p.conn == nil {
			e.endedLocked(p, c)
		}
	}
}

// endedLocked: a connection that ended at once counts as a failure, for the peer may refuse us only after the dial. One that
// ended over a removed CA does not: the next one is made with other certificates.
func (e *Endpoint) endedLocked(p *peer, c *Conn) {
	p.err = c.err
	closed, ok := errors.AsType[*CloseError](c.err)
	blameless := ok && (!closed.Remote || closed.Code == wire.CloseUntrusted)
	if c.ended.Sub(c.born) < e.limits.MaxBackoff && !blameless {
		e.failedLocked(p, c.err, c.ended)
		return
	}
	p.failures = 0
}

func (e *Endpoint) failedLocked(p *peer, err error, at time.Time) {
	p.failures++
	p.err = err
	p.until = at.Add(backoff(&e.limits, p.failures, rand.Float64()))
}

// backoff returns how long a peer is left alone after its nth failure in a row; spread is in [0, 1).
func backoff(l *Limits, n int, spread float64) time.Duration {
	d := l.MaxBackoff
	if shift := n - 1; shift < 32 && l.MinBackoff<<shift < d {
		d = l.MinBackoff << shift
	}
	return min(time.Duration(float64(d)*(0.5+spread)), l.MaxBackoff)
}

// makeRoomLocked forgets the peer that was asked for longest ago and has no connection, if the cache is full.
func (e *Endpoint) makeRoomLocked() error {
	if len(e.mu.peers) < e.limits.MaxPeers {
		return nil
	}
	var oldest peerKey
	var found *peer
	for key, p := range e.mu.peers {
		e.lookLocked(p)
		if p.conn == nil && p.dial == nil && (found == nil || p.used.Before(found.used)) {
			oldest, found = key, p
		}
	}
	if found == nil {
		return fmt.Errorf("%w: %d", ErrTooManyPeers, len(e.mu.peers))
	}
	delete(e.mu.peers, oldest)
	return nil
}

// PeerStates returns what the cache knows of peers, in no order.
func (e *Endpoint) PeerStates() []PeerState {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]PeerState, 0, len(e.mu.peers))
	for key, p := range e.mu.peers {
		e.lookLocked(p)
		out = append(out, PeerState{
			Addr: key.addr, ALPN: key.alpn, Name: key.name, Conn: p.conn, Dialling: p.dial != nil,
			Failures: p.failures, Until: p.until, Err: p.err,
		})
	}
	return out
}
