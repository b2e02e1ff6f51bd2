package client_test

import (
	"context"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/shieldmaidens/pleiades/client"
	"github.com/shieldmaidens/pleiades/internal/nodetest"
	"github.com/shieldmaidens/pleiades/net/endpoint"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// faulty dials over QUIC and loses answers: drop is asked before each piece that arrives on a response stream; when it says
// so, the connection is cut instead, so that the node has done what it was asked and the client does not hear of it.
type faulty struct {
	end  *endpoint.Endpoint
	drop atomic.Pointer[func() bool]
	lost atomic.Int64
}

var _ client.Dialer = (*faulty)(nil)

func newFaulty(t testing.TB, n *nodetest.Node) *faulty {
	t.Helper()
	end, err := endpoint.Open(&endpoint.Options{Certs: n.Certs()})
	if err != nil {
		t.Fatal(err)
	}
	return &faulty{end: end}
}

// set makes fn decide; nil: nothing is dropped.
func (f *faulty) set(fn func() bool) {
	if fn == nil {
		f.drop.Store(nil)
		return
	}
	f.drop.Store(&fn)
}

func (f *faulty) Dial(ctx context.Context, addr string) (pwp.Conn, error) {
	conn, err := f.end.Dial(ctx, addr, nil)
	if err != nil {
		return nil, err
	}
	return &faultyConn{conn, f}, nil
}

func (f *faulty) Close() error { return f.end.Close(context.Background()) }

type faultyConn struct {
	*endpoint.Conn
	f *faulty
}

func (c *faultyConn) AcceptStream(ctx context.Context) (pwp.Stream, error) {
	s, err := c.Conn.AcceptStream(ctx)
	if err != nil {
		return nil, err
	}
	return &faultyStream{s, c}, nil
}

type faultyStream struct {
	pwp.Stream
	c *faultyConn
}

func (s *faultyStream) Read(p []byte) (int, error) {
	n, err := s.Stream.Read(p)
	if drop := s.c.f.drop.Load(); err == nil && drop != nil && (*drop)() {
		s.c.f.lost.Add(1)
		_ = s.c.CloseWithError(wire.CloseNone, "a test loses the answer")
		return 0, &pwp.StreamError{Code: wire.CloseShutdown}
	}
	return n, err
}
