package endpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/shieldmaidens/pleiades/net/certs"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// Endpoint is one UDP socket with the connections on it.
type Endpoint struct {
	limits  Limits
	pairs   *pwp.Limits
	log     *slog.Logger
	certs   *certs.Source
	unhook  func() // ends certificatesChanged
	early   bool
	keylog  io.Writer
	qlogDir string

	socket   net.PacketConn
	tr       *quic.Transport
	listener *quic.EarlyListener // nil: dials only
	conf     *quic.Config
	sessions *sessions
	windows  windows
	count    counters

	// ctx is of everything that runs here; wg counts it.
	ctx      context.Context
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	accepted chan *Conn

	incoming   atomic.Int64 // connections of peers, in their handshake or later
	handshakes atomic.Int64 // of peers, under way

	// Lock order: Conn.mu before Endpoint.mu.
	mu struct {
		sync.Mutex
		closed bool
		conns  map[*Conn]struct{}
		peers  map[peerKey]*peer
	}
}

// Open opens the socket and begins to accept, if opts.Listen says so. Close it. Errors: ErrOptions,
// ErrListen, ErrAddress.
func Open(opts *Options) (*Endpoint, error) {
	if opts == nil || opts.Certs == nil {
		return nil, fmt.Errorf("%w: Certs is needed", ErrOptions)
	}
	limits, err := opts.Limits.filled()
	if err != nil {
		return nil, err
	}
	e := &Endpoint{
		limits: limits, pairs: opts.Pairs, log: opts.Logger, certs: opts.Certs, early: opts.Early,
		keylog: opts.Keylog, qlogDir: opts.QLogDir, sessions: newSessions(opts.Sessions),
		accepted: make(chan *Conn),
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	e.mu.conns = map[*Conn]struct{}{}
	e.mu.peers = map[peerKey]*peer{}
	e.windows.left.Store(limits.WindowGrowthBytes)
	if e.socket, err = openSocket(opts); err != nil {
		return nil, err
	}
	e.warnOfBuffers()
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.conf = e.quicConfig()
	e.tr = &quic.Transport{
		Conn: e.socket, ConnectionIDLength: connectionIDBytes, ConnContext: e.admit,
		VerifySourceAddress: func(net.Addr) bool { return e.handshakes.Load() > int64(e.limits.VerifyAbove) },
	}
	if opts.StatelessResetKey != [32]byte{} {
		key := quic.StatelessResetKey(opts.StatelessResetKey)
		e.tr.StatelessResetKey = &key
	}
	if opts.TokenKey != [32]byte{} {
		key := quic.TokenGeneratorKey(opts.TokenKey)
		e.tr.TokenGeneratorKey = &key
	}
	if opts.Listen != "" {
		if err := e.listen(); err != nil {
			e.cancel()
			_ = e.tr.Close()
			_ = e.socket.Close()
			return nil, err
		}
	}
	e.unhook = e.certs.OnChange(e.certificatesChanged)
	return e, nil
}

// connectionIDBytes is the length of our connection IDs. quic-go's four bytes collide after some ten thousand connections.
const connectionIDBytes = 8

func openSocket(opts *Options) (net.PacketConn, error) {
	if opts.PacketConn != nil {
		return opts.PacketConn, nil
	}
	var local *net.UDPAddr
	if opts.Listen != "" {
		var err error
		if local, err = net.ResolveUDPAddr("udp", opts.Listen); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrAddress, err)
		}
	}
	socket, err := net.ListenUDP("udp", local)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrListen, err)
	}
	return socket, nil
}

func (e *Endpoint) listen() error {
	server := e.certs.ServerTLS(ALPNNode, ALPNClient)
	if e.keylog != nil {
		server.KeyLogWriter = e.keylog
	}
	listener, err := e.tr.ListenEarly(server, e.conf)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrListen, err)
	}
	e.listener = listener
	e.wg.Add(1)
	go e.acceptLoop()
	return nil
}

// Addr returns the address of the socket, with the port that the system chose.
func (e *Endpoint) Addr() netip.AddrPort {
	if a, ok := e.socket.LocalAddr().(*net.UDPAddr); ok {
		p := a.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	p, _ := netip.ParseAddrPort(e.socket.LocalAddr().String())
	return p
}

// handshake is what is counted of an incoming connection until it is established.
type handshake struct {
	e    *Endpoint
	once sync.Once
}

func (h *handshake) over() { h.once.Do(func() { h.e.handshakes.Add(-1) }) }

type handshakeKey struct{}

// admit lets a peer begin a handshake, or not.
func (e *Endpoint) admit(ctx context.Context, _ *quic.ClientInfo) (context.Context, error) {
	if e.incoming.Add(1) > int64(e.limits.MaxConnections) {
		e.incoming.Add(-1)
		e.count.refused.Add(1)
		return nil, ErrRefused
	}
	h := &handshake{e: e}
	e.handshakes.Add(1)
	context.AfterFunc(ctx, func() {
		h.over()
		e.incoming.Add(-1)
	})
	return context.WithValue(ctx, handshakeKey{}, h), nil
}

func (e *Endpoint) acceptLoop() {
	defer e.wg.Done()
	for {
		qc, err := e.listener.Accept(e.ctx)
		if err != nil {
			return
		}
		e.wg.Go(func() { e.welcome(qc) })
	}
}

// welcome hands a connection to Accept when its peer is known.
func (e *Endpoint) welcome(qc *quic.Conn) {
	h, _ := qc.Context().Value(handshakeKey{}).(*handshake)
	state := qc.ConnectionState()
	early := state.Used0RTT // then the peer is known by its ticket
	if !early {
		select {
		case <-qc.HandshakeComplete():
		case <-qc.Context().Done():
			e.handshakeFailed(qc)
			return
		case <-e.ctx.Done():
			return // Close closes the transport
		}
	}
	if h != nil && !early {
		h.over()
	} else if h != nil {
		e.wg.Go(func() {
			select {
			case <-qc.HandshakeComplete():
				e.count.handshakes.Add(1)
			case <-qc.Context().Done():
			}
			h.over()
		})
	}
	c := e.adopt(qc, &Conn{early: early})
	if c == nil {
		return
	}
	if early {
		e.count.earlyAccepted.Add(1)
	} else {
		e.count.handshakes.Add(1)
	}
	e.count.accepted.Add(1)
	select {
	case e.accepted <- c:
	case <-c.done:
	case <-e.ctx.Done():
	}
}

func (e *Endpoint) handshakeFailed(qc *quic.Conn) {
	err := reasonOf(context.Cause(qc.Context()))
	e.count.failed(err)
	e.log.Info("a peer was not let in", "peer", qc.RemoteAddr().String(), "error", err)
}

// adopt makes qc one of the endpoint's connections; nil: the endpoint is closed, and so is qc.
func (e *Endpoint) adopt(qc *quic.Conn, c *Conn) *Conn {
	c.e, c.qc, c.born = e, qc, time.Now()
	c.done = make(chan struct{})
	state := qc.ConnectionState()
	c.alpn = state.TLS.NegotiatedProtocol
	c.mu.identity, _ = identityOf(&state.TLS)
	e.mu.Lock()
	if e.mu.closed {
		e.mu.Unlock()
		_ = qc.CloseWithError(quic.ApplicationErrorCode(wire.CloseShutdown), "")
		return nil
	}
	defer e.mu.Unlock()
	e.mu.conns[c] = struct{}{}
	e.wg.Add(1)
	c.unwatch = context.AfterFunc(qc.Context(), func() {
		defer e.wg.Done()
		c.finish(context.Cause(qc.Context()))
	})
	return c
}

// Accept waits for the next connection of a peer. Its certificate is verified, see Conn.Identity. Errors: ErrClosed,
// ErrNotListening, those of ctx.
func (e *Endpoint) Accept(ctx context.Context) (*Conn, error) {
	if e.listener == nil {
		return nil, ErrNotListening
	}
	select {
	case c := <-e.accepted:
		return c, nil
	case <-e.ctx.Done():
		return nil, ErrClosed
	case <-ctx.Done():
		return nil, fmt.Errorf("endpoint: accepting: %w", context.Cause(ctx))
	}
}

// live returns the connections that have not ended.
func (e *Endpoint) live() []*Conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make([]*Conn, 0, len(e.mu.conns))
	for c := range e.mu.conns {
		out = append(out, c)
	}
	return out
}

// certificatesChanged cuts off those whom a removed CA vouched for.
func (e *Endpoint) certificatesChanged(removedCAs bool) {
	if !removedCAs {
		return
	}
	e.sessions.forget()
	for _, c := range e.live() {
		if err := c.reverify(); err != nil {
			e.log.Warn("a peer is not trusted any more", "peer", c.Peer(), "error", err)
			_ = c.CloseWithError(wire.CloseUntrusted, "the certificate is not trusted any more")
		}
	}
}

// Close tells all peers that this side stops (wire.CloseShutdown), closes the socket and waits for everything that runs.
// Streams are cut: end them first (pwp.Server.Shutdown). ctx bounds the wait for a peer's last packets to be sent.
func (e *Endpoint) Close(ctx context.Context) error {
	e.mu.Lock()
	if e.mu.closed {
		e.mu.Unlock()
		return nil
	}
	e.mu.closed = true
	e.mu.Unlock()
	e.unhook()
	e.cancel()
	var closing sync.WaitGroup
	for _, c := range e.live() {
		closing.Go(func() { _ = c.CloseWithError(wire.CloseShutdown, "") })
	}
	all := make(chan struct{})
	go func() {
		defer close(all)
		closing.Wait()
	}()
	select {
	case <-all:
	case <-ctx.Done():
	}
	var errs []error
	if e.listener != nil {
		errs = append(errs, e.listener.Close())
	}
	errs = append(errs, e.tr.Close(), e.socket.Close())
	<-all
	e.wg.Wait()
	return errors.Join(errs...)
}
