package pwptest

import (
	"context"
	"errors"
	"sync"

	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// Options shape a connection. The zero value of each field is its default; nil Options are all defaults.
type Options struct {
	// WindowBytes is how much one half holds before its writer waits. Default 512 KiB, as QUIC stacks have it.
	WindowBytes int
	// MaxStreams is how many streams each side may have open. Default 100,000.
	MaxStreams int
	// ReadBytes is the most that one Read returns. Default no bound; 1 is a reader's worst day.
	ReadBytes int
	// Early makes the server's end begin before the handshake is done; FinishHandshake ends that.
	Early bool
}

// Conn is one end. It implements pwp.Conn.
type Conn struct {
	name   string
	opts   Options
	peer   *Conn
	accept chan *Stream
	credit chan struct{}
	done   chan struct{} // shared by both ends
	shared *shared
	next   wire.StreamID
	open   sync.Mutex // one OpenStream at a time, so that numbers and order agree
	unseen []*Stream  // the peer's ends of streams that it cannot see yet; guarded by shared.mu

	handshake chan struct{}
}

var _ pwp.Conn = (*Conn)(nil)

// shared is what both ends know.
type shared struct {
	mu      sync.Mutex
	streams map[wire.StreamID]*[2]*Stream
	stalled map[*Conn]bool
	closed  bool
	code    wire.CloseCode
	reason  string
}

// Pipe returns the two ends of a new connection.
func Pipe(opts *Options) (client, server *Conn) {
	var o Options
	if opts != nil {
		o = *opts
	}
	if o.WindowBytes <= 0 {
		o.WindowBytes = 512 << 10
	}
	if o.MaxStreams <= 0 {
		o.MaxStreams = 100_000
	}
	sh := &shared{streams: map[wire.StreamID]*[2]*Stream{}, stalled: map[*Conn]bool{}}
	done := make(chan struct{})
	end := func(name string, first wire.StreamID) *Conn {
		return &Conn{
			name: name, opts: o, next: first, shared: sh, done: done,
			accept: make(chan *Stream, o.MaxStreams), credit: make(chan struct{}, o.MaxStreams),
		}
	}
	client, server = end("client", 0), end("server", 1)
	client.peer, server.peer = server, client
	if o.Early {
		server.handshake = make(chan struct{})
	}
	return client, server
}

// errClosed is what a closed connection answers.
var errClosed = errors.New("pwptest: the connection is closed")

// AcceptStream implements pwp.Conn.
func (c *Conn) AcceptStream(ctx context.Context) (pwp.Stream, error) {
	select {
	case s := <-c.accept:
		c.shared.mu.Lock()
		s.accepted = true
		c.shared.mu.Unlock()
		s.in.done() // it may have been done before anybody took it
		return s, nil
	case <-c.done:
		return nil, errClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// OpenStream implements pwp.Conn. As with QUIC, the peer sees the stream with its first byte, or when it is finished or
// cut, and then all streams that were opened before it as well.
func (c *Conn) OpenStream(ctx context.Context) (pwp.Stream, error) {
	c.open.Lock()
	defer c.open.Unlock()
	select {
	case c.credit <- struct{}{}:
	case <-c.done:
		return nil, errClosed
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	c.shared.mu.Lock()
	defer c.shared.mu.Unlock()
	if c.shared.closed {
		return nil, errClosed
	}
	id := c.next
	c.next += 4
	there, back := newHalf(c.opts), newHalf(c.opts)
	mine := &Stream{id: id, conn: c, in: back, out: there}
	theirs := &Stream{id: id, conn: c.peer, in: there, out: back}
	there.done = func() { c.halfDone(id, there, back) }
	back.done = func() { c.halfDone(id, there, back) }
	there.stalled, back.stalled = c.shared.stalled[c.peer], c.shared.stalled[c]
	c.shared.streams[id] = &[2]*Stream{mine, theirs}
	mine.show = func() { c.show(id) }
	c.unseen = append(c.unseen, theirs)
	return mine, nil
}

// show lets the peer accept the stream id and those before it.
func (c *Conn) show(id wire.StreamID) {
	c.shared.mu.Lock()
	defer c.shared.mu.Unlock()
	for len(c.unseen) > 0 && c.unseen[0].id <= id {
		c.peer.accept <- c.unseen[0] // there is room: it has as many places as there are credits
		c.unseen = c.unseen[1:]
	}
}

// halfDone gives the credit back when both halves are done.
func (c *Conn) halfDone(id wire.StreamID, a, b *half) {
	if !a.isDone() || !b.isDone() {
		return
	}
	c.shared.mu.Lock()
	defer c.shared.mu.Unlock()
	if s, live := c.shared.streams[id]; live && s[1].accepted {
		delete(c.shared.streams, id)
		<-c.credit
	}
}

// Live returns how many streams are not done yet, of both sides.
func (c *Conn) Live() int {
	c.shared.mu.Lock()
	defer c.shared.mu.Unlock()
	return len(c.shared.streams)
}

// Peer implements pwp.Conn.
func (c *Conn) Peer() string { return c.peer.name }

// HandshakeDone implements pwp.Conn.
func (c *Conn) HandshakeDone() <-chan struct{} { return c.handshake }

// FinishHandshake ends the handshake of a server's end that was made with Options.Early, once.
func (c *Conn) FinishHandshake() { close(c.handshake) }

// CloseWithError implements pwp.Conn: all streams are cut in both directions.
func (c *Conn) CloseWithError(code wire.CloseCode, reason string) error {
	c.shared.mu.Lock()
	if c.shared.closed {
		c.shared.mu.Unlock()
		return nil
	}
	c.shared.closed, c.shared.code, c.shared.reason = true, code, reason
	c.shared.mu.Unlock()
	close(c.done)
	c.Cut(code)
	return nil
}

// Closed returns the code and reason that the connection was closed with, and whether it was.
func (c *Conn) Closed() (wire.CloseCode, string, bool) {
	c.shared.mu.Lock()
	defer c.shared.mu.Unlock()
	return c.shared.code, c.shared.reason, c.shared.closed
}

// Cut resets every stream in both directions, as a peer that gives up does. The connection stays.
func (c *Conn) Cut(code wire.CloseCode) {
	for _, s := range c.all() {
		for _, end := range s {
			end.Reset(code)
			end.CancelRead(code)
		}
	}
}

// Stall makes what arrives at this end invisible to its reader, for streams that are open and those to come, until it is
// called with false: a reader that never reads.
func (c *Conn) Stall(stalled bool) {
	c.shared.mu.Lock()
	c.shared.stalled[c] = stalled
	c.shared.mu.Unlock()
	for _, s := range c.all() {
		for _, end := range s {
			if end.conn == c {
				end.in.stall(stalled)
			}
		}
	}
}

func (c *Conn) all() []*[2]*Stream {
	c.shared.mu.Lock()
	defer c.shared.mu.Unlock()
	out := make([]*[2]*Stream, 0, len(c.shared.streams))
	for _, s := range c.shared.streams {
		out = append(out, s)
	}
	return out
}
