package endpoint_test

import (
	"context"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/shieldmaidens/pleiades/net/certs"
	"github.com/shieldmaidens/pleiades/net/endpoint"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The methods of the service that tests talk to. The body of a message is field 3, bytes.
const (
	typeRead  wire.MessageType = 0x01 // may be run from early data; answers 0x02 with the same body
	typeReply wire.MessageType = 0x02
	typeWrite wire.MessageType = 0x03 // may not
	typeFlood wire.MessageType = 0x05 // streams 0x06 until nobody reads
	typeDrop  wire.MessageType = 0x06
	typeLarge wire.MessageType = 0x07 // answers 0x08 with 1 MiB
	typeBulk  wire.MessageType = 0x08
)

// service counts what it ran.
type service struct{ reads, writes atomic.Int64 }

func (s *service) ServePWP(r *pwp.Request) error {
	switch r.Type() {
	case typeRead:
		s.reads.Add(1)
		return r.Reply(typeReply, onlyField3(r.Message()))
	case typeWrite:
		s.writes.Add(1)
		return r.Reply(typeReply, onlyField3(r.Message()))
	case typeLarge:
		return r.Reply(typeBulk, large)
	case typeFlood:
		drop := field3(make([]byte, 32<<10))
		for {
			if err := r.Send(typeDrop, drop); err != nil {
				return err
			}
		}
	}
	return errors.New("no such type")
}

var large = field3(make([]byte, 1<<20-20))

func field3(b []byte) []byte { return append(binary.AppendUvarint([]byte{0x1a}, uint64(len(b))), b...) }

// onlyField3 drops the envelope of a message whose fields are in order.
func onlyField3(msg []byte) []byte {
	for len(msg) > 0 && msg[0] != 0x1a {
		_, n := binary.Uvarint(msg[1:])
		msg = msg[1+n:]
	}
	return msg
}

// authority is a directory with a CA, a node and the client "root".
func authority(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	_, err := certs.CreateCA(dir, &certs.CAOptions{Now: yesterday}) // so that there can be certificates that have expired
	check(t, err)
	_, err = certs.CreateNode(dir, &certs.LeafOptions{Name: "n1", Now: yesterday})
	check(t, err)
	_, err = certs.CreateClient(dir, nil)
	check(t, err)
	return dir
}

func yesterday() time.Time { return time.Now().Add(-24 * time.Hour) }

var root = certs.ClientLeaf(certs.DefaultClient)

func source(t testing.TB, dir string, leaf certs.Leaf) *certs.Source {
	t.Helper()
	s, err := certs.Open(dir, leaf, nil)
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	return s
}

// open opens an endpoint that the end of the test closes.
func open(t testing.TB, o *endpoint.Options) *endpoint.Endpoint {
	t.Helper()
	e, err := endpoint.Open(o)
	check(t, err)
	t.Cleanup(func() { check(t, e.Close(context.Background())) })
	return e
}

// node is a listening endpoint with the test service behind it.
type node struct {
	*endpoint.Endpoint
	*service
	server *pwp.Server
	conns  chan *endpoint.Conn // every accepted connection, if somebody takes it
}

// serve opens an endpoint as o says, on loopback if it does not, and serves on it.
func serve(t testing.TB, o *endpoint.Options) *node {
	t.Helper()
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	n := &node{service: &service{}, conns: make(chan *endpoint.Conn, 1000)}
	var err error
	n.server, err = pwp.NewServer(nil)
	check(t, err)
	check(t, n.server.Handle(wire.ServiceKVStore, pwp.Service{
		Handler: n.service,
		Early:   func(t wire.MessageType) bool { return t == typeRead },
	}))
	n.Endpoint = open(t, o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := n.Accept(ctx)
			if err != nil {
				return
			}
			select {
			case n.conns <- c:
			default:
			}
			go func() { _ = n.server.ServeConn(ctx, c) }()
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		check(t, n.server.Close())
	})
	return n
}

func (n *node) addr() string { return n.Addr().String() }

// pair opens a pair for the test service on a dialled connection.
func pair(t testing.TB, c *endpoint.Conn) *pwp.Pair {
	t.Helper()
	client, err := c.Client()
	check(t, err)
	p, err := client.Open(context.Background(), wire.ServiceKVStore, nil)
	check(t, err)
	return p
}

func dial(t testing.TB, e *endpoint.Endpoint, addr string, o *endpoint.DialOptions) *endpoint.Conn {
	t.Helper()
	c, err := e.Dial(context.Background(), addr, o)
	check(t, err)
	return c
}

func call(t testing.TB, p *pwp.Pair, typ wire.MessageType, body string) {
	t.Helper()
	got, msg, err := p.Call(context.Background(), typ, field3([]byte(body)), nil)
	if err != nil || got != typeReply || string(onlyField3(msg)) != string(field3([]byte(body))) {
		t.Fatalf("call: %v % x, %v", got, msg, err)
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// is fails unless err matches all sentinels.
func is(t testing.TB, err error, sentinels ...error) {
	t.Helper()
	for _, s := range sentinels {
		if !errors.Is(err, s) {
			t.Fatalf("got %v, want %v", err, s)
		}
	}
}

// ended waits for the end of a connection and returns why.
func ended(t testing.TB, c *endpoint.Conn) error {
	t.Helper()
	select {
	case <-c.Done():
		return c.Err()
	case <-time.After(20 * time.Second):
		t.Fatal("the connection does not end")
		return nil
	}
}

// eventually waits for a condition that other goroutines bring about.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for !cond() {
		select {
		case <-poll.C:
		case <-deadline.C:
			t.Fatalf("never: %s", what)
		}
	}
}
