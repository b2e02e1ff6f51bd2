package endpoint_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/shieldmaidens/pleiades/net/certs"
	"github.com/shieldmaidens/pleiades/net/endpoint"
)

func TestCallOverLoopback(t *testing.T) {
	dir := authority(t)
	n := serve(t, &endpoint.Options{Certs: source(t, dir, certs.NodeLeaf)})
	client := open(t, &endpoint.Options{Certs: source(t, dir, root)})
	c := dial(t, client, n.addr(), nil)
	if id := c.Identity(); id.Role != certs.RoleNode || id.Name != "n1" || c.ALPN() != endpoint.ALPNClient || c.UsedEarly() {
		t.Fatalf("dialled %v, %v, early %v", id, c.ALPN(), c.UsedEarly())
	}
	p := pair(t, c)
	call(t, p, typeRead, "Maia")
	call(t, p, typeWrite, "Electra")
	check(t, p.Close(context.Background()))
	s := <-n.conns
	if id := s.Identity(); id.Role != certs.RoleClient || id.Name != certs.DefaultClient || s.HandshakeDone() != nil {
		t.Fatalf("accepted %v", id)
	}
	if m := n.Metrics(); m.Connections != 1 || m.Accepted != 1 || m.Handshakes != 1 || m.BytesReceived == 0 {
		t.Fatalf("%+v", m)
	}
	if m := client.Metrics(); m.Connections != 1 || m.Dialled != 1 || m.Dials != 1 || m.BytesSent == 0 {
		t.Fatalf("%+v", m)
	}
}

// One socket accepts and dials, and nodes reach each other by name.
func TestNodesDialEachOther(t *testing.T) {
	dir := authority(t)
	a := serve(t, &endpoint.Options{Certs: source(t, dir, certs.NodeLeaf)})
	b := serve(t, &endpoint.Options{Certs: source(t, dir, certs.NodeLeaf)})
	o := &endpoint.DialOptions{ALPN: endpoint.ALPNNode, Name: "n1"}
	call(t, pair(t, dial(t, a.Endpoint, b.addr(), o)), typeRead, "there")
	call(t, pair(t, dial(t, b.Endpoint, a.addr(), o)), typeRead, "and back")
	if from := (<-b.conns).RemoteAddr(); from != a.Addr() {
		t.Fatalf("dialled from %v, not from %v", from, a.Addr())
	}
}

func TestDatagrams(t *testing.T) {
	dir := authority(t)
	n := serve(t, &endpoint.Options{Certs: source(t, dir, certs.NodeLeaf)})
	client := open(t, &endpoint.Options{Certs: source(t, dir, root), Limits: &endpoint.Limits{MaxDatagrams: 4}})
	c := dial(t, client, n.addr(), nil)
	call(t, pair(t, c), typeRead, "up")
	s := <-n.conns
	check(t, c.SendDatagram([]byte("Taygeta")))
	got, err := s.ReceiveDatagram(context.Background())
	check(t, err)
	if !bytes.Equal(got, []byte("Taygeta")) {
		t.Fatalf("%q", got)
	}
	is(t, c.SendDatagram(make([]byte, 9000)), endpoint.ErrDatagramSize)
	full := 0
	for range 100_000 {
		if err := c.SendDatagram(make([]byte, 1000)); err != nil {
			is(t, err, endpoint.ErrDatagramDropped)
			full++
			break
		}
	}
	if full == 0 || client.Metrics().DatagramsDropped == 0 {
		t.Fatal("100,000 datagrams found room in a queue of 4")
	}
}
