package pwp_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/pwptest"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The methods of the service that tests talk to. The body of a message is field 3, bytes.
const (
	typeEcho   wire.MessageType = 0x01 // answers 0x02 with the same body
	typeEchoed wire.MessageType = 0x02
	typeCount  wire.MessageType = 0x03 // streams as many 0x04 as the body says, each with its number
	typeNumber wire.MessageType = 0x04
	typeWait   wire.MessageType = 0x05 // waits until the context ends and answers its error
	typeFail   wire.MessageType = 0x07 // answers base.ErrConflict
	typePanic  wire.MessageType = 0x09
	typeEmpty  wire.MessageType = 0x0B // answers nothing at all
	typeGate   wire.MessageType = 0x0D // waits for the gate, then as typeEcho
)

// field3 encodes b as field 3.
func field3(b []byte) []byte {
	return append(binary.AppendUvarint([]byte{0x1a}, uint64(len(b))), b...)
}

// body returns field 3 of a message whose fields are 1 to 3.
func body(t testing.TB, msg []byte) []byte {
	t.Helper()
	for len(msg) > 0 && msg[0] != 0x1a {
		_, n := binary.Uvarint(msg[1:])
		msg = msg[1+n:]
	}
	if len(msg) == 0 {
		return nil
	}
	size, n := binary.Uvarint(msg[1:])
	if uint64(len(msg)-1-n) != size {
		t.Fatalf("field 3 of % x", msg)
	}
	return msg[1+n:]
}

// rig is a server with the test service and a client, over memory.
type rig struct {
	t          testing.TB
	server     *pwp.Server
	client     *pwp.Client
	cconn      *pwptest.Conn
	sconn      *pwptest.Conn
	gate       chan struct{}
	started    chan wire.RequestID // a handler of typeGate or typeWait has begun
	served     chan error
	stopServer context.CancelFunc
}

type rigOptions struct {
	pipe    pwptest.Options
	server  pwp.Limits
	client  pwp.Limits
	service func(*pwp.Service)
}

func newRig(t testing.TB, o rigOptions) *rig {
	t.Helper()
	r := &rig{t: t, gate: make(chan struct{}), started: make(chan wire.RequestID, 10_000), served: make(chan error, 1)}
	r.cconn, r.sconn = pwptest.Pipe(&o.pipe)
	var err error
	r.server, err = pwp.NewServer(&pwp.ServerOptions{Limits: &o.server})
	check(t, err)
	service := pwp.Service{Handler: pwp.HandlerFunc(r.handle)}
	if o.service != nil {
		o.service(&service)
	}
	check(t, r.server.Handle(wire.ServiceKVStore, service))
	ctx, cancel := context.WithCancel(context.Background())
	r.stopServer = cancel
	go func() { r.served <- r.server.ServeConn(ctx, r.sconn) }()
	r.client, err = pwp.NewClient(r.cconn, &pwp.ClientOptions{Limits: &o.client})
	check(t, err)
	return r
}

// close ends everything; what leaks is found by goleak, and here by counting streams.
func (r *rig) close() {
	r.t.Helper()
	check(r.t, r.client.Close())
	check(r.t, r.server.Close())
	r.stopServer()
	<-r.served
	if n := r.server.MessageBytesInUse(); n != 0 {
		r.t.Errorf("%d bytes of messages are still charged", n)
	}
	if n := len(r.server.Contexts()) + len(r.client.Contexts()); n != 0 {
		r.t.Errorf("%d contexts are left", n)
	}
}

func (r *rig) handle(q *pwp.Request) error {
	switch q.Type() {
	case typeEcho:
		return q.Reply(typeEchoed, onlyField3(q.Message()))
	case typeGate:
		r.note(q)
		select {
		case <-r.gate:
		case <-q.Context().Done():
			return context.Cause(q.Context())
		}
		return q.Reply(typeEchoed, onlyField3(q.Message()))
	case typeCount:
		n := binary.BigEndian.Uint32(body(r.t, q.Message()))
		for i := range n {
			if err := q.Send(typeNumber, field3(binary.BigEndian.AppendUint32(nil, i))); err != nil {
				return err
			}
		}
		return nil
	case typeWait:
		r.note(q)
		<-q.Context().Done()
		return context.Cause(q.Context())
	case typeFail:
		return fmt.Errorf("row 7: %w", base.ErrConflict)
	case typePanic:
		panic("on purpose")
	}
	return nil
}

// note says that a handler has begun, to those who listen.
func (r *rig) note(q *pwp.Request) {
	select {
	case r.started <- q.ID():
	default:
	}
}

// onlyField3 drops the envelope of a message whose fields are in order.
func onlyField3(msg []byte) []byte {
	for len(msg) > 0 && msg[0] != 0x1a {
		_, n := binary.Uvarint(msg[1:])
		msg = msg[1+n:]
	}
	return msg
}

func (r *rig) open(opts *pwp.PairOptions) *pwp.Pair {
	r.t.Helper()
	p, err := r.client.Open(context.Background(), wire.ServiceKVStore, opts)
	check(r.t, err)
	return p
}

func (r *rig) echo(p *pwp.Pair, b []byte) {
	r.t.Helper()
	typ, msg, err := p.Call(context.Background(), typeEcho, field3(b), nil)
	if err != nil || typ != typeEchoed || !bytes.Equal(body(r.t, msg), b) {
		r.t.Fatalf("echo of %d bytes: %v, %d bytes, %v", len(b), typ, len(msg), err)
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
