package pair_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/net/pwp/pair"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// FuzzHostile gives one machine bytes that no peer of ours would send: the first byte chooses the role and the size of
// the pieces. Nothing may panic, every failure has a close code, and what the machine sends is always well formed.
func FuzzHostile(f *testing.F) {
	flight := []byte{0x01, 0x03, 0x05, 0x01, 0x10, 0x03}
	flight = wire.AppendMessage(flight, 1, wire.Envelope{ID: 1}, nil)
	flight = wire.AppendMessage(flight, wire.TypeCancel, wire.Envelope{ID: 1}, nil)
	flight = wire.AppendStatusRequest(flight, 3)
	flight = wire.AppendLatencyStart(flight, 9)
	flight = append(flight, 0xE1, 0x05, 0xE0, 0xFF)
	f.Add(byte(0), flight)
	answer := []byte{0x01, 0x06, 0x01, 0x11, 0x00}
	answer = wire.AppendMessage(answer, 2, wire.Envelope{ID: 2}, nil)
	answer = wire.AppendErrorMessage(answer, &wire.Error{ID: 1, Code: 2})
	answer = append(append(wire.AppendLatencyStop(answer, 7), 0x13, 0x00), 0xFF)
	f.Add(byte(1), answer)
	f.Add(byte(1), wire.AppendErrorMessage([]byte{0x01, 0x06, 0x01, 0x11, 0x02}, &wire.Error{Code: 15}))
	f.Fuzz(func(t *testing.T, mode byte, b []byte) {
		h := newHarness(config())
		e := h.server
		if mode&1 == 1 {
			e = h.client
			check(t, e.m.Start(pair.Opening{CheckVersion: true, Service: wire.ServiceKVStore}))
			for range 2 {
				_, err := e.m.Request(1, 0, nil, false, "call")
				check(t, err)
			}
			check(t, e.m.RequestStatus(wire.ServiceRaft))
			check(t, e.m.StartTest(7))
		}
		e.main, e.finished = b, true
		for h.step(e, 1+int(mode>>1)) {
			for id := range e.alive { // answer at once, so that ids come back
				if err := e.m.Respond(id, 2, nil, true); err != nil && !errors.Is(err, base.ErrClosed) {
					t.Fatal(err)
				}
				delete(e.alive, id)
			}
		}
		for _, ev := range e.events {
			if ev.Kind == pair.KindFail && (ev.Err == nil || ev.CloseCode == wire.CloseNone || ev.CloseCode == wire.CloseInternal) {
				t.Fatalf("untyped failure: %+v", ev)
			}
		}
		if e.m.InFlight() > 2 || !e.told && e.m.State() != pair.StateOver {
			t.Fatalf("state %v, %d in flight", e.m.State(), e.m.InFlight())
		}
		wellFormed(t, e.m.Take(nil).Main)
	})
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// wellFormed fails unless b is frames and messages, and CLOSE is the last of them if it is there.
func wellFormed(t *testing.T, b []byte) {
	t.Helper()
	closed := false
	for len(b) > 0 {
		if closed {
			t.Fatalf("% x behind CLOSE", b)
		}
		if wire.Magic(b[0]) == wire.MagicPayloadType {
			p, n, err := wire.ParsePrelude(b)
			check(t, err)
			check(t, p.Verify(b[n:n+int(p.SizeBytes)]))
			b = b[n+int(p.SizeBytes):]
			continue
		}
		frame, n, err := wire.Parse(b)
		check(t, err)
		closed = frame.Magic == wire.MagicClose
		b = b[n:]
	}
}

// FuzzInterleave drives two honest machines with any operations in any order, and any interleaving of what arrives. Two
// honest peers never accuse each other, and every request gets exactly one last answer, or a reason why not.
func FuzzInterleave(f *testing.F) {
	f.Add([]byte{0x03, 0x10, 0x10, 0x40, 0x80, 0x20, 0x50, 0x41, 0x60, 0x81, 0x91})
	f.Add([]byte{0x03, 0x10, 0x11, 0x40, 0x31, 0x80, 0x40, 0x70, 0x41, 0xA0, 0x41, 0x40})
	f.Add([]byte{0x01, 0x10, 0x40, 0x41})
	f.Add([]byte{0x83, 0x10, 0xB0, 0xC1, 0xD0, 0xD1, 0xE0, 0x40, 0x41, 0x40, 0xF0})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) == 0 || len(script) > 4096 {
			return
		}
		i := newInterleaving(t, script[0])
		for _, op := range script[1:] {
			i.run(op)
		}
		i.finish()
	})
}

// interleaving is two machines and what their owners know.
type interleaving struct {
	*testing.T
	h       *harness
	sent    map[wire.RequestID]string // without a last answer yet; the value is what the owner expects
	drained bool
	tests   uint64
	seen    [2]int // events already looked at, of client and server
}

func newInterleaving(t *testing.T, first byte) *interleaving {
	cfg := config()
	cfg.MaxRequests = 8
	i := &interleaving{T: t, h: newHarness(cfg), sent: map[wire.RequestID]string{}}
	check(t, i.h.client.m.Start(pair.Opening{CheckVersion: first&0x80 != 0, Service: wire.Service(first & 7)}))
	return i
}

// run does the operation that the high half of op names, with the low half as its argument.
func (i *interleaving) run(op byte) {
	c, s, arg := i.h.client.m, i.h.server.m, op&15
	switch op >> 4 {
	case 1:
		stream := arg&1 == 1
		id, err := c.Request(1+wire.MessageType(arg&1), 0, make([]byte, 0, arg), stream, fmt.Sprint(len(i.sent)))
		if err == nil {
			i.sent[id] = "answer"
		} else {
			i.may(err, base.ErrClosed, base.ErrOverloaded, pair.ErrUsage)
		}
	case 2, 3:
		if id := i.pick(i.sent, arg); id != 0 {
			c.Cancel(id)
			delete(i.sent, id)
		}
	case 4, 5, 6:
		e := i.h.server
		if arg&1 == 1 {
			e = i.h.client
		}
		i.h.flush(i.h.peer(e))
		for range 1 + int(arg>>1) {
			i.h.step(e, 1+int(arg>>1))
		}
	case 7, 8:
		i.answer(arg)
	case 9:
		if arg > 12 {
			c.Close()
		}
	case 10:
		if arg > 12 {
			s.Drain()
			i.drained = true
		}
	case 11:
		i.tests++
		i.may(c.StartTest(wire.LatencyID(i.tests)), nil, base.ErrClosed, base.ErrOverloaded)
	case 12:
		i.tests++
		i.may(s.StartTest(wire.LatencyID(i.tests)), nil, base.ErrClosed, base.ErrOverloaded, pair.ErrUsage)
	case 13:
		i.may(c.RequestStatus(wire.Service(arg)), nil, base.ErrClosed, base.ErrOverloaded)
	case 14:
		i.may(c.Heartbeat(), nil, base.ErrClosed)
		i.may(s.Heartbeat(), nil, base.ErrClosed, pair.ErrUsage)
	}
	i.look()
}

func (i *interleaving) may(err error, allowed ...error) {
	for _, a := range allowed {
		if err == a || a != nil && errors.Is(err, a) {
			return
		}
	}
	i.Fatalf("unexpected: %v\n%s", err, i.h.log.String())
}

func (i *interleaving) pick(from map[wire.RequestID]string, arg byte) wire.RequestID {
	for id := wire.RequestID(1); id < 300; id++ {
		if _, ok := from[id]; ok {
			if arg == 0 {
				return id
			}
			arg--
		}
	}
	return 0
}

// answer lets the server's owner answer one of its requests. As in every service, the type of a request says whether it
// has one response, here 1, or many and an end, here 2; an error may end both.
func (i *interleaving) answer(arg byte) {
	e := i.h.server
	for id := wire.RequestID(1); id < 300; id++ {
		typ, alive := e.alive[id]
		if !alive {
			continue
		}
		var err error
		switch {
		case arg%4 == 3:
			err = e.m.RespondError(id, base.ErrNotFound)
		case typ == 1:
			err = e.m.Respond(id, 2, binary.BigEndian.AppendUint16([]byte{0x1a, 2}, uint16(id)), true)
		case arg%4 == 0:
			err = e.m.End(id)
		default:
			i.may(e.m.Respond(id, 2, nil, false), nil, base.ErrClosed)
			return
		}
		i.may(err, nil, base.ErrClosed)
		delete(e.alive, id)
		return
	}
}

// look checks the events that are new.
func (i *interleaving) look() {
	for n, e := range []*end{i.h.client, i.h.server} {
		for ; i.seen[n] < len(e.events); i.seen[n]++ {
			ev := e.events[i.seen[n]]
			switch {
			case ev.Kind == pair.KindFail:
				i.Fatalf("%s accuses its honest peer: %v\n%s", e.name, ev.Err, i.h.log.String())
			case ev.Last, ev.Kind == pair.KindService && ev.Code != wire.ServiceReady && e == i.h.client:
				if ev.Kind == pair.KindService {
					clear(i.sent)
					continue
				}
				if _, ok := i.sent[ev.ID]; !ok && ev.Kind != pair.KindLate {
					i.Fatalf("a second last answer for request %d\n%s", ev.ID, i.h.log.String())
				}
				delete(i.sent, ev.ID)
			}
		}
	}
}

// finish lets everything arrive and everything be answered, and closes the pair.
func (i *interleaving) finish() {
	for range 3 {
		i.h.settle(1 << 20)
		for range 16 {
			i.answer(0)
		}
		i.look()
	}
	i.h.client.m.Close()
	i.h.settle(1 << 20)
	i.look()
	if n := len(i.sent); n > 0 && !i.drained {
		i.Fatalf("%d requests without an answer, and nobody drained\n%s", n, i.h.log.String())
	}
	if len(i.sent) > 0 && !i.h.client.m.NotRun() {
		i.Fatalf("requests without an answer are not known not to have been run\n%s", i.h.log.String())
	}
	for _, e := range []*end{i.h.client, i.h.server} {
		if e.m.InFlight() != 0 && e.m.State() != pair.StateOver {
			i.Fatalf("%s still has %d in flight\n%s", e.name, e.m.InFlight(), i.h.log.String())
		}
	}
	if !i.h.client.finished || !i.h.server.finished {
		i.Fatalf("a half is not finished\n%s", i.h.log.String())
	}
	if strings.Contains(i.h.log.String(), "sends: error about 0: code 16") {
		i.Fatalf("an accusation\n%s", i.h.log.String())
	}
}
