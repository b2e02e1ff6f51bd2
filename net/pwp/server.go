package pwp

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/net/pwp/pair"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// Handler answers requests of a service. ServePWP runs on a goroutine of its own, many at a time; r and what it hands
// out are valid until it returns. An error becomes the request's answer, as wire.ErrorOf makes it. Without an error the
// request ends with what was given to Reply, or else with the end of a stream.
type Handler interface {
	ServePWP(r *Request) error
}

// HandlerFunc is a function as a Handler.
type HandlerFunc func(r *Request) error

// ServePWP calls f.
func (f HandlerFunc) ServePWP(r *Request) error { return f(r) }

// Service is what a Server does for a service type.
type Service struct {
	Handler Handler
	// Early reports whether requests of that type may be run from early data, which an attacker can send again: only
	// those that change nothing. Others wait until the handshake is done. nil is none.
	Early func(wire.MessageType) bool
	// Admit decides whether a connection may have the service now: by its certificate, or because the service is still
	// starting. The error goes with codes that have one. It must not block. nil is always wire.ServiceReady.
	Admit func(Conn) (wire.ServiceCode, *wire.Error)
	// Status is the health that anybody may ask for. It must not block. nil is healthy.
	Status func() wire.Status
}

// Server answers pairs of any number of connections. All methods may be called concurrently.
type Server struct {
	limits Limits
	log    *slog.Logger
	set    *linkSet
	ledger *ledger
	ctx    context.Context // of all ServeConn
	cancel context.CancelFunc

	mu struct {
		sync.RWMutex
		services map[wire.Service]*Service
		draining bool
		closed   bool
	}
	conns sync.WaitGroup
}

// NewServer returns a server without services. Close it. Errors: ErrOptions, with all faults.
func NewServer(opts *ServerOptions) (*Server, error) {
	if opts == nil {
		opts = &ServerOptions{}
	}
	limits, err := opts.Limits.filled()
	if err != nil {
		return nil, err
	}
	s := &Server{limits: limits, log: opts.Logger, set: newLinkSet(), ledger: &ledger{limit: limits.MessageBytes}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.mu.services = map[wire.Service]*Service{}
	return s, nil
}

// Handle gives the server a service, or another one for the same type. Pairs that are established keep what they have.
func (s *Server) Handle(t wire.Service, service Service) error {
	if service.Handler == nil || t == 0 {
		return fmt.Errorf("%w: service %v needs a handler and a number", base.ErrInvalid, t)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.services[t] = &service
	return nil
}

func (s *Server) service(t wire.Service) *Service {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.mu.services[t]
}

// serverConn is one connection of a server.
type serverConn struct {
	server   *Server
	conn     Conn
	early    <-chan struct{}
	ledger   *ledger // of received messages
	queued   *ledger // of answers that wait to be written
	requests atomic.Int64
	pairs    atomic.Int64
	held     atomic.Int64 // see Request.Hold
}

// ServeConn answers the pairs of conn until ctx is done, the connection ends, or the server is closed. It returns why.
// When it returns, all pairs of conn are cut; handlers may still be on their way out, Close waits for them.
func (s *Server) ServeConn(ctx context.Context, conn Conn) error {
	s.mu.RLock()
	closed := s.mu.closed
	if !closed {
		s.conns.Add(1)
	}
	s.mu.RUnlock()
	if closed {
		return ErrClosed
	}
	defer s.conns.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(s.ctx, cancel)
	defer stop()
	c := &serverConn{
		server: s, conn: conn, early: conn.HandshakeDone(),
		ledger: &ledger{limit: s.limits.MessageBytesPerConn, parent: s.ledger},
		queued: &ledger{limit: s.limits.QueuedBytesPerConn},
	}
	defer c.cut()
	for {
		request, err := conn.AcceptStream(ctx)
		if err != nil {
			return err
		}
		response, err := conn.OpenStream(ctx)
		if err != nil {
			discard(request, wire.CloseInternal)
			return err
		}
		if !request.ID().IsRequest() || response.ID() != request.ID().Response() {
			err := fmt.Errorf("%w: streams %d and %d are no pair", wire.ErrProtocol, request.ID(), response.ID())
			_ = conn.CloseWithError(wire.CloseBadValue, err.Error())
			return err
		}
		c.serve(request, response)
	}
}

// serve starts a pair.
func (c *serverConn) serve(request, response Stream) {
	response.CancelRead(wire.CloseNone) // the client sends nothing there
	if c.pairs.Add(1) > int64(c.server.limits.MaxPairsPerConn) {
		c.pairs.Add(-1)
		discard(request, wire.CloseOverloaded)
		response.Reset(wire.CloseOverloaded)
		return
	}
	p := &serverPair{conn: c}
	l := newLink(c.server.set, &c.server.limits, p, c.ledger, pair.Config{
		Role: pair.RoleServer, Stream: request.ID(),
		Service: func(t wire.Service) (wire.ServiceCode, *wire.Error) { return p.admit(t) },
		Status:  c.status,
		Full:    func() bool { return c.requests.Load() >= int64(c.server.limits.MaxRequestsPerConn) },
	})
	l.in, l.out, l.setup = request, response, request
	l.try, _ = response.(TryWriter)
	l.queued = c.queued
	p.link = l
	if !c.server.set.join(l, l.readLoop) {
		c.pairs.Add(-1)
		discard(request, wire.CloseShutdown)
		response.Reset(wire.CloseShutdown)
		return
	}
	c.server.mu.RLock()
	draining := c.server.mu.draining
	c.server.mu.RUnlock()
	if draining {
		l.drain()
	}
}

// cut ends what is left of the connection's pairs.
func (c *serverConn) cut() {
	for _, l := range c.server.set.snapshot() {
		if p, ok := l.side.(*serverPair); ok && p.conn == c {
			l.kill(wire.CloseShutdown, ErrClosed)
			c.server.set.leaveIfEnded(l)
		}
	}
}

func (c *serverConn) status(t wire.Service) wire.Status {
	service := c.server.service(t)
	switch {
	case service == nil:
		return wire.StatusUnhealthy
	case service.Status == nil:
		return wire.StatusHealthy
	}
	return service.Status()
}

func (l *link) drain() {
	l.mu.Lock()
	l.mu.m.Drain()
	l.kickLocked()
	l.mu.Unlock()
}

// Shutdown ends the server in good order: no new pairs and requests, an answer for each request that was taken, CLOSE.
// It returns when the last pair is gone, or when ctx is done, with its error; Close follows in either case.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.mu.draining = true
	s.mu.Unlock()
	for _, l := range s.set.snapshot() {
		l.drain()
	}
	select {
	case <-s.set.empty():
		return nil
	case <-ctx.Done():
		return fmt.Errorf("pwp: pairs still open: %w", context.Cause(ctx))
	}
}

// Close cuts all pairs, makes every ServeConn return, and waits for handlers. It does not close connections.
func (s *Server) Close() error {
	s.mu.Lock()
	s.mu.draining, s.mu.closed = true, true
	s.mu.Unlock()
	s.cancel()
	s.set.close()
	s.conns.Wait()
	return nil
}

// Contexts returns the live pairs, in no order.
func (s *Server) Contexts() []Context { return s.set.contexts() }

// MessageBytesInUse returns how many bytes of received messages the server holds; Limits.MessageBytes bounds it.
func (s *Server) MessageBytesInUse() int64 { return s.ledger.inUse() }
