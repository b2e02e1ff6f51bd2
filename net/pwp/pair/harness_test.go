package pair_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/shieldmaidens/pleiades/net/pwp/pair"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// end is one side of a harness with what it has received and not yet used.
type end struct {
	name  string
	m     *pair.Machine
	setup []byte // arrived on the request stream, at the client
	main  []byte // arrived on the peer's half
	need  *wire.Prelude
	// finished: the peer finished its half; told: the machine knows.
	finished, told bool
	owners         int
	alive          map[wire.RequestID]wire.MessageType // requests that a server runs
	log            *strings.Builder
	events         []pair.Event
}

// harness connects two machines through memory. It is single-threaded and moves bytes only when told.
type harness struct {
	client, server *end
	log            strings.Builder
	bytes          [2]int // sent by client, by server
}

func newHarness(cfg pair.Config) *harness {
	h := &harness{}
	c, s := cfg, cfg
	c.Role, s.Role = pair.RoleClient, pair.RoleServer
	h.client = &end{name: "client", m: pair.New(c), log: &h.log}
	h.server = &end{name: "server", m: pair.New(s), log: &h.log, alive: map[wire.RequestID]wire.MessageType{}}
	return h
}

func (h *harness) peer(e *end) *end {
	if e == h.client {
		return h.server
	}
	return h.client
}

// flush takes a side's output, writes it down, and lets it arrive at the other.
func (h *harness) flush(e *end) {
	if !e.m.Pending() {
		return
	}
	o := e.m.Take(nil)
	p := h.peer(e)
	if len(o.Setup) > 0 {
		fmt.Fprintf(&h.log, "%s sends on N: %s\n", e.name, strings.Join(dissect(o.Setup), ", "))
		p.setup = append(p.setup, o.Setup...)
	}
	for _, line := range dissect(o.Main) {
		fmt.Fprintf(&h.log, "%s sends: %s\n", e.name, line)
	}
	p.main = append(p.main, o.Main...)
	if e == h.client {
		h.bytes[0] += len(o.Main)
	} else {
		h.bytes[1] += len(o.Main) + len(o.Setup)
	}
	if o.Finish {
		fmt.Fprintf(&h.log, "%s finishes its half\n", e.name)
		p.finished = true
	}
	if o.Stop {
		fmt.Fprintf(&h.log, "%s stops reading: %v\n", e.name, o.StopCode)
	}
}

// dissect names the frames and messages in b.
func dissect(b []byte) []string {
	var out []string
	for len(b) > 0 {
		if p, n, err := wire.ParsePrelude(b); err == nil && uint64(len(b)-n) >= p.SizeBytes {
			msg := b[n : n+int(p.SizeBytes)]
			text := fmt.Sprintf("message %v [% x]", p.Type, msg)
			if p.Type == wire.TypeError {
				if e, err := wire.ParseError(msg); err == nil {
					text = fmt.Sprintf("error about %d: code %d, detail 0x%x, %q", e.ID, e.Code, e.Detail, e.Text)
				}
			}
			out = append(out, text)
			b = b[n+int(p.SizeBytes):]
			continue
		}
		f, n, err := wire.Parse(b)
		if err != nil {
			return append(out, fmt.Sprintf("% x", b))
		}
		out = append(out, f.String())
		b = b[n:]
	}
	return out
}

// step lets a side use at most one frame or message of what has arrived, of which it sees at most chunk bytes at first,
// then chunk more, as a reader of small pieces would. It reports whether anything happened.
func (h *harness) step(e *end, chunk int) bool {
	if e.need != nil {
		size := int(e.need.SizeBytes)
		if len(e.main) < size {
			return h.endOfStream(e)
		}
		msg := e.main[:size]
		checked := e.m.Check(*e.need, msg)
		e.need, e.main = nil, e.main[size:]
		h.note(e, e.m.Message(checked), msg)
		return true
	}
	if len(e.setup) > 0 {
		if n, ev := e.m.ReceiveSetup(e.setup); n > 0 || ev.Kind != pair.KindNone {
			e.setup = e.setup[n:]
			h.note(e, ev, nil)
			return true
		}
	}
	for seen := min(chunk, len(e.main)); seen > 0; seen = min(seen+chunk, len(e.main)) {
		n, ev := e.m.Receive(e.main[:seen:seen])
		if n > 0 || ev.Kind != pair.KindNone {
			e.main = e.main[n:]
			h.note(e, ev, nil)
			return true
		}
		if seen == len(e.main) {
			break
		}
	}
	return h.endOfStream(e)
}

func (h *harness) endOfStream(e *end) bool {
	if !e.finished || e.told {
		return false
	}
	e.told = true
	h.note(e, e.m.EndOfStream(len(e.main)), nil)
	return true
}

// note writes an event down and does what an owner has to.
func (h *harness) note(e *end, ev pair.Event, msg []byte) {
	e.events = append(e.events, ev)
	if ev.Kind == pair.KindNone {
		return
	}
	fmt.Fprintf(&h.log, "%s: %s\n", e.name, describe(ev, msg))
	switch ev.Kind {
	case pair.KindPrelude:
		p := ev.Prelude
		e.need = &p
	case pair.KindRequest:
		e.m.SetOwner(ev.ID, fmt.Sprintf("r%d", ev.ID))
		e.alive[ev.ID] = ev.Type
	case pair.KindClose, pair.KindFail:
		if e == h.client {
			var lost []string
			e.m.Abandon(func(owner any) { lost = append(lost, fmt.Sprint(owner)) })
			if len(lost) > 0 {
				fmt.Fprintf(&h.log, "client: %d requests have no answer, known not to have been run: %v\n", len(lost), e.m.NotRun())
			}
		}
	}
}

func describe(ev pair.Event, msg []byte) string {
	s := ev.Kind.String()
	switch ev.Kind {
	case pair.KindVersion, pair.KindStream, pair.KindTestAnswered, pair.KindTestDone:
		s += fmt.Sprintf(" %d", ev.Value)
	case pair.KindService:
		s += fmt.Sprintf(" %v: %v", ev.Service, ev.Code)
	case pair.KindStatus:
		s += fmt.Sprintf(" of %v: %v", ev.Service, wire.Status(ev.Value))
	case pair.KindPrelude:
		s += fmt.Sprintf(" of %v, %d bytes", ev.Prelude.Type, ev.Prelude.SizeBytes)
	case pair.KindRequest:
		s += fmt.Sprintf(" %d %v [% x]", ev.ID, ev.Type, msg)
		if ev.Timeout > 0 {
			s += fmt.Sprintf(" within %v", ev.Timeout)
		}
	case pair.KindCancel, pair.KindRefused, pair.KindLate:
		s += fmt.Sprintf(" %d", ev.ID)
	case pair.KindResponse:
		s += fmt.Sprintf(" %v to %v [% x] last=%v", ev.Type, ev.Owner, msg, ev.Last)
	case pair.KindError, pair.KindEnd:
		s += fmt.Sprintf(" to %v", ev.Owner)
	case pair.KindInterval:
		s += fmt.Sprintf(" %v", ev.Timeout)
	case pair.KindFail:
		s += fmt.Sprintf(" (%v, 0x%x)", ev.CloseCode, uint64(ev.CloseCode))
	}
	if ev.Err != nil {
		s += fmt.Sprintf(": %v", ev.Err)
		for _, marker := range []error{wire.ErrProtocol, wire.ErrUnavailable, wire.ErrInternal} {
			if errors.Is(ev.Err, marker) {
				s += fmt.Sprintf(" {%v}", marker)
			}
		}
	}
	return s
}

// settle moves bytes both ways until nothing happens any more.
func (h *harness) settle(chunk int) {
	for moved := true; moved; {
		h.flush(h.client)
		h.flush(h.server)
		moved = false
		for _, e := range []*end{h.server, h.client} {
			for h.step(e, chunk) {
				moved = true
				h.flush(e)
			}
		}
	}
}

func (h *harness) takeLog() string {
	s := h.log.String()
	h.log.Reset()
	return s
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "").Replace(s))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
