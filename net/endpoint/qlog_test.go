package endpoint_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/shieldmaidens/pleiades/net/certs"
	"github.com/shieldmaidens/pleiades/net/endpoint"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// event is one line of a qlog file, as far as tests look at it.
type event struct {
	Name string `json:"name"`
	Data struct {
		New    string `json:"new"`
		Header struct {
			PacketType string `json:"packet_type"`
		} `json:"header"`
		Frames []frame `json:"frames"`
	} `json:"data"`
}

type frame struct {
	Type   string `json:"frame_type"`
	Stream int64  `json:"stream_id"`
	Offset int64  `json:"offset"`
	Length int64  `json:"length"`
}

// streamFrame returns the event's first frame with bytes of the stream.
func (e *event) streamFrame(stream int64) (frame, bool) {
	i := slices.IndexFunc(e.Data.Frames, func(f frame) bool { return f.Type == "stream" && f.Stream == stream && f.Length > 0 })
	if i < 0 {
		return frame{}, false
	}
	return e.Data.Frames[i], true
}

// events reads the only qlog file of one side that use says yes to.
func events(t testing.TB, dir, side string, use func([]event) bool) []event {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_"+side+".sqlog"))
	check(t, err)
	var found [][]event
	for _, name := range files {
		b, err := os.ReadFile(name)
		check(t, err)
		var all []event
		for line := range bytes.SplitSeq(b, []byte("\n")) {
			line = bytes.TrimPrefix(line, []byte{0x1e})
			if len(line) == 0 {
				continue
			}
			var e event
			check(t, json.Unmarshal(line, &e))
			all = append(all, e)
		}
		if use(all) {
			found = append(found, all)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d of %d qlog files of the %s are the one", len(found), len(files), side)
	}
	return found[0]
}

// index returns where in a log the first event is that ok says yes to, or fails.
func index(t testing.TB, log []event, what string, ok func(*event) bool) int {
	t.Helper()
	for i := range log {
		if ok(&log[i]) {
			return i
		}
	}
	t.Fatalf("the qlog has no %s", what)
	return -1
}

// TestSixteenBytes counts, on the wire at the level of streams, what it takes until a service is established.
func TestSixteenBytes(t *testing.T) {
	dir, logs := authority(t), t.TempDir()
	n := serve(t, &endpoint.Options{Certs: source(t, dir, certs.NodeLeaf)})
	client, err := endpoint.Open(&endpoint.Options{Certs: source(t, dir, root), QLogDir: logs})
	check(t, err)
	p := pair(t, dial(t, client, n.addr(), nil))
	check(t, p.Ready(context.Background()))
	check(t, p.Close(context.Background())) // each side's CLOSE is a byte more
	check(t, client.Close(context.Background()))

	type half struct {
		sent   bool
		stream int64
	}
	end := map[half]int64{}
	for _, e := range events(t, logs, "client", func([]event) bool { return true }) {
		for _, f := range e.Data.Frames {
			if f.Type == "stream" {
				h := half{e.Name == "transport:packet_sent", f.Stream}
				end[h] = max(end[h], f.Offset+f.Length)
			}
		}
	}
	const closeByte = 1
	got := [...]int64{end[half{true, 0}] - closeByte, end[half{false, 0}], end[half{false, 1}] - closeByte, end[half{true, 1}]}
	if got != [...]int64{4, 9, 3, 0} {
		t.Fatalf("client on N, server on N, server on N+1, client on N+1: %v bytes, want 4, 9, 3, 0: 16", got)
	}
	t.Logf("set-up: %d + %d + %d = %d stream bytes", got[0], got[1], got[2], got[0]+got[1]+got[2])
}

// TestFirstAnswerWithoutAWait shows in qlog that on a warm ticket the first request rides in the first flight, and that the
// answer needs nothing else of the client: what the client sends later is lost, so the server's handshake cannot end.
func TestFirstAnswerWithoutAWait(t *testing.T) {
	dir, logs := authority(t), t.TempDir()
	n := serve(t, &endpoint.Options{Certs: source(t, dir, certs.NodeLeaf), Early: true, QLogDir: logs})
	cache, wireTap := newTickets(), newTap(t)
	client, err := endpoint.Open(&endpoint.Options{
		Certs: source(t, dir, root), Early: true, Sessions: cache, PacketConn: plain{wireTap}, QLogDir: logs,
	})
	check(t, err)
	warm(t, client, n, cache)

	wireTap.set(func() { wireTap.muteOnAnswer, wireTap.holding = true, true })
	c := dial(t, client, n.addr(), nil)
	p, answered := pair(t, c), make(chan error)
	go func() {
		_, _, err := p.Call(context.Background(), typeRead, field3([]byte("Maia")), nil)
		answered <- err
	}()
	eventually(t, "the request is run", func() bool { return n.reads.Load() == 2 })
	if c.UsedEarly() {
		t.Fatal("early data is known to be accepted before the server was heard")
	}
	wireTap.set(func() { wireTap.holding = false })
	check(t, <-answered)
	s := <-n.conns
	select {
	case <-s.HandshakeDone():
		t.Fatal("the server's handshake is complete though it heard nothing but the first flight")
	default:
	}
	if id := s.Identity(); id.Name != certs.DefaultClient {
		t.Fatalf("early data of %v", id)
	}
	wireTap.set(func() { wireTap.muteOnAnswer, wireTap.muted = false, false })
	check(t, c.Confirm(context.Background()))
	<-s.HandshakeDone()
	if !c.UsedEarly() || !s.UsedEarly() || client.Metrics().EarlyAccepted != 1 || n.Metrics().EarlyAccepted != 1 {
		t.Fatalf("early: %v, %v", c.UsedEarly(), s.UsedEarly())
	}
	check(t, client.Close(context.Background()))
	ended(t, s)
	check(t, n.Close(context.Background()))

	early := func(log []event) bool {
		return slices.ContainsFunc(log, func(e event) bool { return e.Data.Header.PacketType == "0RTT" })
	}
	log := events(t, logs, "client", early)
	request := index(t, log, "request in a 0-RTT packet", func(e *event) bool {
		f, ok := e.streamFrame(0)
		return e.Name == "transport:packet_sent" && e.Data.Header.PacketType == "0RTT" && ok && f.Length > 4
	})
	heard := index(t, log, "packet of the server", func(e *event) bool { return e.Name == "transport:packet_received" })
	log = events(t, logs, "server", early)
	answer := index(t, log, "answer", func(e *event) bool {
		f, ok := e.streamFrame(1)
		return e.Name == "transport:packet_sent" && ok && f.Offset+f.Length > 3
	})
	complete := index(t, log, "completed handshake", func(e *event) bool {
		return e.Name == "quic:connection_state_updated" && e.Data.New == "handshake_complete"
	})
	if request > heard || answer > complete {
		t.Fatalf("client: request is event %d, the server is heard in %d; server: answer %d, handshake complete %d",
			request, heard, answer, complete)
	}
	t.Logf("client: request in event %d, server heard in %d; server: answer in event %d, handshake complete in %d",
		request, heard, answer, complete)
}

// warm gets a ticket, and ends the connection that brought it.
func warm(t testing.TB, client *endpoint.Endpoint, n *node, cache *tickets) {
	t.Helper()
	c := dial(t, client, n.addr(), nil)
	call(t, pair(t, c), typeRead, "warm")
	<-cache.came
	check(t, c.CloseWithError(wire.CloseNone, ""))
	ended(t, <-n.conns)
}
