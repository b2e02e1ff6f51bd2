package endpoint

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/net/certs"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// Conn is one connection, accepted or dialled. It implements pwp.Conn.
type Conn struct {
	e       *Endpoint
	qc      *quic.Conn
	alpn    string
	dialled bool
	early   bool // it began with early data
	born    time.Time
	want    certs.Peer // whom a dialled connection is to reach
	unwatch func() bool
	done    chan struct{}
	ending  atomic.Bool // done will be closed in a moment: streams fail already

	// Written before done is closed, and not afterwards.
	err   error
	ended time.Time
	next  *Conn // goes on where this one ended with ErrEarlyRejected

	// gate keeps users of a connection whose early data was rejected from the streams of its replacement.
	gate sync.RWMutex

	mu struct {
		sync.Mutex
		identity  certs.Identity
		finished  bool
		rejected  bool
		client    *pwp.Client
		datagrams chan []byte
	}
}

var _ pwp.Conn = (*Conn)(nil)

// identityOf returns who the other side is, as far as it has shown a certificate.
func identityOf(state *tls.ConnectionState) (certs.Identity, error) {
	if len(state.PeerCertificates) == 0 {
		return certs.Identity{}, fmt.Errorf("%w: it showed none", ErrPeerCertificate)
	}
	return certs.IdentityOf(state.PeerCertificates[0])
}

// AcceptStream implements pwp.Conn.
func (c *Conn) AcceptStream(ctx context.Context) (pwp.Stream, error) {
	s, err := c.stream(ctx, c.qc.AcceptStream)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// OpenStream implements pwp.Conn.
func (c *Conn) OpenStream(ctx context.Context) (pwp.Stream, error) {
	s, err := c.stream(ctx, c.qc.OpenStreamSync)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (c *Conn) stream(ctx context.Context, get func(context.Context) (*quic.Stream, error)) (*stream, error) {
	if c.dialled && c.early {
		c.gate.RLock()
		defer c.gate.RUnlock()
		if c.isRejected() {
			return nil, ErrEarlyRejected
		}
	}
	s, err := get(ctx)
	if err != nil {
		if ctx.Err() == nil {
			c.ending.Store(true)
		}
		return nil, reasonOf(err)
	}
	return &stream{s: s}, nil
}

func (c *Conn) isRejected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.rejected
}

// Peer names the other side: its identity and address.
func (c *Conn) Peer() string {
	addr := c.RemoteAddr().String()
	if id := c.Identity(); id.Name != "" {
		return id.Role.String() + " " + id.Name + " (" + addr + ")"
	}
	return addr
}

// Identity returns who the other side is, by its certificate. On a dialled connection with early data it is zero until the
// server has shown its certificate: see Confirm.
func (c *Conn) Identity() certs.Identity {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.identity.Name == "" {
		state := c.qc.ConnectionState()
		c.mu.identity, _ = identityOf(&state.TLS)
	}
	return c.mu.identity
}

// ALPN returns ALPNClient or ALPNNode.
func (c *Conn) ALPN() string { return c.alpn }

// RemoteAddr returns the peer's address. It may change while the connection lives: clients move.
func (c *Conn) RemoteAddr() netip.AddrPort { return addrPortOf(c.qc.RemoteAddr()) }

// HandshakeDone implements pwp.Conn: nil unless this side accepted early data. At a client nothing that arrives is a replay.
func (c *Conn) HandshakeDone() <-chan struct{} {
	if c.dialled || !c.early {
		return nil
	}
	return c.qc.HandshakeComplete()
}

// Confirm waits until the peer has taken part in the handshake; before that a dialled connection with early data may talk to
// nobody. Errors: those of Err, those of ctx.
func (c *Conn) Confirm(ctx context.Context) error {
	select {
	case <-c.qc.HandshakeComplete():
		return nil
	case <-c.done:
		return c.Err()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// UsedEarly reports whether early data was sent and accepted. It is false while that is not known.
func (c *Conn) UsedEarly() bool {
	select {
	case <-c.qc.HandshakeComplete():
	default:
		if c.dialled {
			return false
		}
	}
	return c.early && !c.isRejected() && c.qc.ConnectionState().Used0RTT
}

// Replacement returns the connection that goes on where this one ended with ErrEarlyRejected; else nil.
func (c *Conn) Replacement() *Conn {
	select {
	case <-c.done:
		return c.next
	default:
		return nil
	}
}

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns why the connection has ended, nil while it lives: a *CloseError when one side closed it on purpose, else a
// sentinel of this package with what is known.
func (c *Conn) Err() error {
	select {
	case <-c.done:
		return c.err
	default:
		return nil
	}
}

// CloseWithError ends the connection and tells the peer. reason is cut after 256 bytes. nil when it has ended already.
func (c *Conn) CloseWithError(code wire.CloseCode, reason string) error {
	const maxReasonBytes = 256
	if len(reason) > maxReasonBytes {
		reason = reason[:maxReasonBytes]
	}
	if c.isRejected() {
		return nil // the QUIC connection belongs to the replacement
	}
	c.ending.Store(true)
	err := c.qc.CloseWithError(quic.ApplicationErrorCode(code), reason)
	<-c.done
	return err
}

// finish notes why the connection ended. It is called once: by what adopt set up, or by who took that back.
func (c *Conn) finish(err error) {
	if err = reasonOf(err); err == nil {
		err = ErrClosed
	}
	if c.dialled && errors.Is(err, ErrGone) {
		select {
		case <-c.qc.HandshakeComplete():
		default:
			err = ErrUnreachable
		}
	}
	c.err, c.ended = err, time.Now()
	c.mu.Lock()
	c.mu.finished = true
	client := c.mu.client
	c.mu.Unlock()
	c.e.ended(c, err)
	close(c.done)
	if client != nil {
		_ = client.Close()
	}
}

// Client returns the one pwp.Client of a dialled connection, which all who share the connection use; it is closed when the
// connection ends. Errors: ErrOptions, those of Err, base.ErrInvalid on an accepted connection.
func (c *Conn) Client() (*pwp.Client, error) {
	if !c.dialled {
		return nil, fmt.Errorf("%w: endpoint: only the side that dialled opens pairs", base.ErrInvalid)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.client != nil {
		return c.mu.client, nil
	}
	if c.mu.finished {
		<-c.done
		return nil, c.err
	}
	client, err := pwp.NewClient(c, &pwp.ClientOptions{Limits: c.e.pairs})
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrOptions, err)
	}
	c.mu.client = client
	return client, nil
}

// reverify checks the peer's certificate against the CAs of now.
func (c *Conn) reverify() error {
	state := c.qc.ConnectionState()
	if len(state.TLS.PeerCertificates) == 0 {
		return nil // its handshake is under way, and verifies against the CAs of now
	}
	want := c.want
	if !c.dialled {
		want.Role = c.Identity().Role
	}
	_, err := c.e.certs.VerifyPeer(state.TLS.PeerCertificates[0], want)
	return err
}

// watchEarly sees whether the server takes the early data of a dialled connection, and if not makes the replacement.
func (c *Conn) watchEarly() {
	defer c.e.wg.Done()
	select {
	case <-c.qc.HandshakeComplete():
	case <-c.done:
		return
	}
	c.e.count.handshakes.Add(1)
	if c.qc.ConnectionState().Used0RTT {
		c.e.count.earlyAccepted.Add(1)
		return
	}
	c.e.count.earlyRejected.Add(1)
	c.mu.Lock()
	c.mu.rejected = true
	c.mu.Unlock()
	c.gate.Lock() // those who were at a stream have been sent away by QUIC
	qc, err := c.qc.NextConnection(c.e.ctx)
	c.gate.Unlock()
	if !c.unwatch() {
		return // it ended meanwhile, and finish runs
	}
	defer c.e.wg.Done() // of what unwatch stopped
	if err == nil {
		c.next = c.e.adopt(qc, &Conn{dialled: true, want: c.want})
		err = quic.Err0RTTRejected
	}
	c.finish(err)
}
