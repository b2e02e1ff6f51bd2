package endpoint_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/net/certs"
	"github.com/shieldmaidens/pleiades/net/endpoint"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

func TestPeerIsDialledOnce(t *testing.T) {
	dir := authority(t)
	n := serve(t, &endpoint.Options{Certs: source(t, dir, certs.NodeLeaf)})
	client := open(t, &endpoint.Options{Certs: source(t, dir, root)})
	const callers = 50
	conns := make([]*endpoint.Conn, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			c, err := client.Peer(context.Background(), n.addr(), nil)
			if err != nil {
				t.Error(err)
			}
			conns[i] = c
		})
	}
	wg.Wait()
	for _, c := range conns {
		if c == nil || c != conns[0] {
			t.Fatal("callers have different connections")
		}
	}
	call(t, pair(t, conns[0]), typeRead, "shared")
	if m := client.Metrics(); m.Dials != 1 || m.Connections != 1 {
		t.Fatalf("%+v", m)
	}
	if s := client.PeerStates(); len(s) != 1 || s[0].Conn != conns[0] || s[0].Addr != n.addr() || s[0].Err != nil {
		t.Fatalf("%+v", s)
	}
}

// A caller that gives up does not take the dial of the others with it.
func TestDialOutlivesItsFirstCaller(t *testing.T) {
	dir := authority(t)
	n := serve(t, &endpoint.Options{Certs: source(t, dir, certs.NodeLeaf)})
	tap := newTap(t)
	client := open(t, &endpoint.Options{Certs: source(t, dir, root), PacketConn: plain{tap}})
	tap.set(func() { tap.holding = true })
	ctx, cancel := context.WithCancel(context.Background())
	first := make(chan error)
	go func() {
		_, err := client.Peer(ctx, n.addr(), nil)
		first <- err
	}()
	eventually(t, "the dial", func() bool {
		s := client.PeerStates()
		return len(s) == 1 && s[0].Dialling
	})
	cancel()
	is(t, <-first, context.Canceled)
	tap.set(func() { tap.holding = false })
	c, err := client.Peer(context.Background(), n.addr(), nil)
	check(t, err)
	call(t, pair(t, c), typeRead, "still")
	if m := client.Metrics(); m.Dials != 1 {
		t.Fatalf("%+v", m)
	}
}

func TestFailedPeerIsLeftAlone(t *testing.T) {
	dir := authority(t)
	limits := &endpoint.Limits{HandshakeTimeout: 100 * time.Millisecond, MinBackoff: 20 * time.Second, MaxBackoff: 40 * time.Second}
	client := open(t, &endpoint.Options{Certs: source(t, dir, root), Limits: limits})
	silent, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(t, err)
	defer silent.Close()
	addr := silent.LocalAddr().String()
	_, err = client.Peer(context.Background(), addr, nil)
	is(t, err, endpoint.ErrUnreachable)
	_, err = client.Peer(context.Background(), addr, nil)
	is(t, err, endpoint.ErrBackoff)
	wait, ok := errors.AsType[*endpoint.BackoffError](err)
	if left := time.Until(wait.Until); !ok || left < 5*time.Second || left > 30*time.Second {
		t.Fatalf("%v: %v", err, left)
	}
	is(t, wait.Cause, endpoint.ErrUnreachable)
	if m := client.Metrics(); m.Dials != 1 || m.Failures.Unreachable != 1 {
		t.Fatalf("%+v", m)
	}
}

// A node that lets us in and throws us out at once counts as one that failed; one that was up for long is dialled again.
func TestPeerThatThrowsUsOut(t *testing.T) {
	dir := authority(t)
	n := serve(t, &endpoint.Options{Certs: source(t, dir, certs.NodeLeaf)})
	client := open(t, &endpoint.Options{Certs: source(t, dir, root)})
	c, err := client.Peer(context.Background(), n.addr(), nil)
	check(t, err)
	check(t, (<-n.conns).CloseWithError(wire.CloseShutdown, "going down"))
	is(t, ended(t, c), endpoint.ErrPeerClosed)
	_, err = client.Peer(context.Background(), n.addr(), nil)
	is(t, err, endpoint.ErrBackoff)
	s := client.PeerStates()
	closed, ok := errors.AsType[*endpoint.CloseError](s[0].Err)
	if !ok || closed.Code != wire.CloseShutdown || !closed.Remote || closed.Reason != "going down" || s[0].Failures != 1 {
		t.Fatalf("%+v", s[0])
	}
	eventually(t, "the end of the backoff", func() bool {
		c, err = client.Peer(context.Background(), n.addr(), nil)
		return err == nil
	})
	call(t, pair(t, c), typeRead, "back")
}

func TestPeersAreBounded(t *testing.T) {
	dir := authority(t)
	limits := &endpoint.Limits{MaxPeers: 2, HandshakeTimeout: 50 * time.Millisecond}
	a := serve(t, &endpoint.Options{Certs: source(t, dir, certs.NodeLeaf)})
	b := serve(t, &endpoint.Options{Certs: source(t, dir, certs.NodeLeaf)})
	client := open(t, &endpoint.Options{Certs: source(t, dir, root), Limits: limits})
	_, err := client.Peer(context.Background(), a.addr(), nil)
	check(t, err)
	_, err = client.Peer(context.Background(), "127.0.0.1:1", nil) // fails, and makes room
	if err == nil {
		t.Fatal("somebody is at port 1")
	}
	_, err = client.Peer(context.Background(), b.addr(), nil)
	check(t, err)
	_, err = client.Peer(context.Background(), "127.0.0.1:2", nil)
	is(t, err, endpoint.ErrTooManyPeers)
}
