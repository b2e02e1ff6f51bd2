package endpoint_test

import (
	"crypto/tls"
	"net"
	"slices"
	"sync"
	"testing"
)

// tap is a UDP socket of a client that keeps what goes out, holds back what comes in, and can be muted.
type tap struct {
	*net.UDPConn // only for what it does not have methods of its own
	mu           sync.Mutex
	changed      sync.Cond
	sent         [][]byte
	recording    bool
	holding      bool
	muteOnAnswer bool
	muted        bool
}

// plain hides the methods by which quic-go reads and writes many packets at once.
type plain struct{ net.PacketConn }

func newTap(t testing.TB) *tap {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(t, err)
	p := &tap{UDPConn: socket}
	p.changed.L = &p.mu
	t.Cleanup(func() { p.set(func() { p.holding = false }) })
	return p
}

func (p *tap) set(fn func()) {
	p.mu.Lock()
	fn()
	p.changed.Broadcast()
	p.mu.Unlock()
}

func (p *tap) WriteTo(b []byte, to net.Addr) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.recording {
		p.sent = append(p.sent, slices.Clone(b))
	}
	if p.muted {
		return len(b), nil
	}
	return p.UDPConn.WriteTo(b, to)
}

func (p *tap) ReadFrom(b []byte) (int, net.Addr, error) {
	n, from, err := p.UDPConn.ReadFrom(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.holding && err == nil {
		p.changed.Wait()
	}
	p.muted = p.muted || p.muteOnAnswer
	return n, from, err
}

// tickets is a session cache that says when a ticket has come.
type tickets struct {
	tls.ClientSessionCache
	came chan struct{}
}

func newTickets() *tickets {
	return &tickets{tls.NewLRUClientSessionCache(16), make(chan struct{}, 100)}
}

func (c *tickets) Put(key string, state *tls.ClientSessionState) {
	c.ClientSessionCache.Put(key, state)
	if state != nil {
		c.came <- struct{}{}
	}
}
