package client_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/client"
	"github.com/shieldmaidens/pleiades/internal/nodetest"
)

// relay passes datagrams between clients and a node, until it is told to swallow them: to a client, a node behind it that
// is mute has been killed.
type relay struct {
	socket *net.UDPConn
	node   *net.UDPAddr
	mute   atomic.Bool
	wg     sync.WaitGroup

	mu  sync.Mutex
	out map[string]*net.UDPConn // by the address of the client
}

func newRelay(t *testing.T, addr string) *relay {
	t.Helper()
	node, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{socket: socket, node: node, out: map[string]*net.UDPConn{}}
	r.wg.Go(r.run)
	t.Cleanup(func() {
		_ = socket.Close()
		r.mu.Lock()
		for _, out := range r.out {
			_ = out.Close()
		}
		r.mu.Unlock()
		r.wg.Wait()
	})
	return r
}

func (r *relay) addr() string { return r.socket.LocalAddr().String() }

func (r *relay) run() {
	buf := make([]byte, 2048)
	for {
		n, from, err := r.socket.ReadFromUDP(buf)
		if err != nil {
			return
		}
		if r.mute.Load() {
			continue
		}
		r.mu.Lock()
		out := r.out[from.String()]
		if out == nil {
			if out, err = net.DialUDP("udp", nil, r.node); err != nil {
				r.mu.Unlock()
				return
			}
			r.out[from.String()] = out
			r.wg.Go(func() { r.back(out, from) })
		}
		r.mu.Unlock()
		_, _ = out.Write(buf[:n])
	}
}

func (r *relay) back(out *net.UDPConn, to *net.UDPAddr) {
	buf := make([]byte, 2048)
	for {
		n, err := out.Read(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil && !r.mute.Load() {
			_, _ = r.socket.WriteToUDP(buf[:n], to)
		}
	}
}

// TestASilentNode has a node die without a word and stay dead: the calls end with an error that says so, after the time
// of Options.SilenceTimeout and no more.
func TestASilentNode(t *testing.T) {
	n := nodetest.Start(t, nil)
	r := newRelay(t, n.Addr())
	c := must[*client.Client](t)(client.Open(t.Context(), []string{r.addr()},
		&client.Options{Certs: n.Certs(), SilenceTimeout: 3 * time.Second, RetryFor: -1}))
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b := c.Bucket("")
	must[client.WriteResult](t)(b.Put(ctx, []byte("a"), nil, nil))
	r.mute.Store(true)
	start := time.Now()
	_, err := b.Put(ctx, []byte("a"), nil, nil)
	took := time.Since(start)
	if !errors.Is(err, client.ErrUnknownOutcome) || errors.Is(err, context.DeadlineExceeded) || took > 15*time.Second || took < time.Second {
		t.Errorf("a put to a node that was killed: %v after %v", err, took)
	}
	start = time.Now()
	_, err = b.Get(ctx, []byte("a"))
	if took := time.Since(start); !errors.Is(err, base.ErrUnavailable) && !errors.Is(err, base.ErrUnknownOutcome) || took > 15*time.Second {
		t.Errorf("a get from a node that was killed: %v after %v", err, took)
	}
}

// TestASilentNodeAndAnother has a second address: calls under way go there, and are done once.
func TestASilentNodeAndAnother(t *testing.T) {
	n := nodetest.Start(t, nil)
	r := newRelay(t, n.Addr())
	c := must[*client.Client](t)(client.Open(t.Context(), []string{r.addr(), n.Addr()},
		&client.Options{Certs: n.Certs(), SilenceTimeout: time.Minute}))
	defer c.Close()
	b := c.Bucket("")
	must[client.WriteResult](t)(b.Put(t.Context(), []byte("a"), nil, nil))
	if c.Addr() != r.addr() {
		t.Fatalf("connected to %s", c.Addr())
	}
	r.mute.Store(true)
	start := time.Now()
	res, err := b.Put(t.Context(), []byte("a"), nil, nil)
	if took := time.Since(start); err != nil || res.Version != 2 || took > 20*time.Second {
		t.Errorf("version %d, %v after %v", res.Version, err, took)
	}
	if c.Addr() != n.Addr() {
		t.Errorf("connected to %s", c.Addr())
	}
}

// TestANodeThatComesBack has a node that is away for a moment and does not know its connections afterwards, as one that
// was killed and started again: whoever waits is served soon after.
func TestANodeThatComesBack(t *testing.T) {
	n := nodetest.Start(t, nil)
	first, second := newRelay(t, n.Addr()), newRelay(t, n.Addr())
	c := must[*client.Client](t)(client.Open(t.Context(), []string{first.addr(), second.addr()},
		&client.Options{Certs: n.Certs(), SilenceTimeout: time.Minute}))
	defer c.Close()
	b := c.Bucket("")
	must[client.WriteResult](t)(b.Put(t.Context(), []byte("a"), nil, nil))
	first.mute.Store(true)
	second.mute.Store(true)
	answered := make(chan time.Time, 1)
	go func() {
		if _, err := b.Get(t.Context(), []byte("a")); err != nil {
			t.Error(err)
		}
		answered <- time.Now()
	}()
	waitFor(t, func() bool { return c.Metrics().Dials >= 3 }) // it has noticed, and is looking for the node
	second.mute.Store(false)
	back := time.Now()
	if took := (<-answered).Sub(back); took > 10*time.Second {
		t.Errorf("answered %v after the node was back", took)
	}
}

// waitFor waits until ok.
func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("the test ended first")
		}
	}
}
