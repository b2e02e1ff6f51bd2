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
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// firstFlight makes a client send a write and a read as early data, and returns the datagrams that it sent before it heard
// anything. The write was run once, when the handshake was complete.
func firstFlight(t *testing.T, n *node, dir string) [][]byte {
	t.Helper()
	cache, tap := newTickets(), newTap(t)
	client := open(t, &endpoint.Options{Certs: source(t, dir, root), Early: true, Sessions: cache, PacketConn: plain{tap}})
	warm(t, client, n, cache)
	before := n.reads.Load()
	tap.set(func() { tap.recording, tap.holding = true, true })
	p := pair(t, dial(t, client, n.addr(), nil))
	answers := make(chan error, 2)
	for _, typ := range []wire.MessageType{typeWrite, typeRead} {
		sent := p.Context().MessagesOut
		go func() {
			_, _, err := p.Call(context.Background(), typ, field3([]byte("Merope")), nil)
			answers <- err
		}()
		eventually(t, "the request is on its way", func() bool { return p.Context().MessagesOut > sent })
	}
	eventually(t, "the read is run from early data", func() bool { return n.reads.Load() == before+1 })
	if n.writes.Load() != 0 {
		t.Fatal("the write was run before the handshake was complete")
	}
	var flight [][]byte
	tap.set(func() { flight, tap.recording, tap.holding = tap.sent, false, false })
	check(t, <-answers)
	check(t, <-answers)
	if n.writes.Load() != 1 {
		t.Fatalf("the write was run %d times", n.writes.Load())
	}
	return flight
}

// TestReplayedFirstFlightWritesNothing sends a captured first flight again, 100 times from new addresses, to servers that
// share the ticket keys. Every replay gets as far as the service: its read is run. Its write is not, 100 of 100.
func TestReplayedFirstFlightWritesNothing(t *testing.T) {
	const servers, replays = 20, 5
	dir := authority(t)
	keys := source(t, dir, certs.NodeLeaf) // one source: one set of ticket keys
	flight := firstFlight(t, serve(t, &endpoint.Options{Certs: keys, Early: true}), dir)

	// A replay has the connection ID of the original: a server takes the next one when it has given up the one before.
	limits := &endpoint.Limits{HandshakeTimeout: 200 * time.Millisecond}
	nodes := make([]*node, servers)
	for i := range nodes {
		nodes[i] = serve(t, &endpoint.Options{Certs: keys, Early: true, Limits: limits})
	}
	var wg sync.WaitGroup
	for _, n := range nodes {
		wg.Go(func() {
			for n.reads.Load() < replays {
				replay(t, n, flight)
			}
		})
	}
	wg.Wait()
	reads, writes := int64(0), int64(0)
	for _, n := range nodes {
		check(t, n.server.Close()) // waits for every handler
		reads, writes = reads+n.reads.Load(), writes+n.writes.Load()
	}
	if reads < servers*replays || writes != 0 {
		t.Fatalf("replays ran %d reads and %d writes", reads, writes)
	}
	t.Logf("replays of %d datagrams: %d reads, %d writes", len(flight), reads, writes)
}

// replay sends a first flight from a new address, and waits until the server has given up the connection. On a machine that
// is busy that may be before the request was run.
func replay(t *testing.T, n *node, flight [][]byte) {
	attacker, err := net.Dial("udp", n.addr())
	if err != nil {
		t.Error(err)
		return
	}
	defer attacker.Close()
	for _, b := range flight {
		if _, err := attacker.Write(b); err != nil {
			t.Error(err)
		}
	}
	select {
	case c := <-n.conns:
		<-c.Done()
		if err := c.Err(); !errors.Is(err, endpoint.ErrGone) && !errors.Is(err, endpoint.ErrUnreachable) {
			t.Error(err)
		}
	case <-time.After(time.Second): // the handshake was given up before anybody was let in
	}
}

// A server that was restarted has other ticket keys. What was sent early was not run, and the connection goes on without it.
func TestRejectedEarlyData(t *testing.T) {
	dir := authority(t)
	cache := newTickets()
	client := open(t, &endpoint.Options{Certs: source(t, dir, root), Early: true, Sessions: cache})
	before := serve(t, &endpoint.Options{Certs: source(t, dir, certs.NodeLeaf), Early: true})
	warm(t, client, before, cache)
	addr := before.addr()
	check(t, before.Close(context.Background()))
	after := serve(t, &endpoint.Options{Certs: source(t, dir, certs.NodeLeaf), Early: true, Listen: addr})

	c, err := client.Peer(context.Background(), addr, nil)
	check(t, err)
	_, _, err = pair(t, c).Call(context.Background(), typeRead, nil, nil)
	is(t, err, pwp.ErrNotRun)
	is(t, ended(t, c), endpoint.ErrEarlyRejected)
	next, err := client.Peer(context.Background(), addr, nil)
	check(t, err)
	if next != c.Replacement() || next == nil || next.UsedEarly() || c.UsedEarly() {
		t.Fatal("the connection did not go on")
	}
	call(t, pair(t, next), typeRead, "again")
	check(t, c.CloseWithError(wire.CloseNone, "")) // has no say any more
	call(t, pair(t, next), typeWrite, "and again")
	if m := client.Metrics(); m.EarlyRejected != 1 || m.Connections != 1 || after.Metrics().Accepted != 1 {
		t.Fatalf("%+v", m)
	}
}

// Between nodes there are no tickets, and so no early data, even where clients of the same socket have it.
func TestNoEarlyDataBetweenNodes(t *testing.T) {
	dir := authority(t)
	cache := newTickets()
	n := serve(t, &endpoint.Options{Certs: source(t, dir, certs.NodeLeaf), Early: true})
	other := open(t, &endpoint.Options{Certs: source(t, dir, certs.NodeLeaf), Early: true, Sessions: cache})
	for range 2 {
		c := dial(t, other, n.addr(), &endpoint.DialOptions{ALPN: endpoint.ALPNNode})
		call(t, pair(t, c), typeWrite, "Sterope")
		if s := <-n.conns; s.HandshakeDone() != nil || c.UsedEarly() {
			t.Fatal("early data between nodes")
		}
		check(t, c.CloseWithError(wire.CloseNone, ""))
	}
	select {
	case <-cache.came:
		t.Fatal("a ticket between nodes")
	default:
	}
}
