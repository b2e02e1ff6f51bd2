package node

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/client"
	"github.com/shieldmaidens/pleiades/net/certs"
	"github.com/shieldmaidens/pleiades/net/endpoint"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// mayAdd is how much an attack may take above what an idle node has.
const mayAdd = 64 << 20

// siege is a node under attack, with a client beside it that must not notice.
type siege struct {
	t     *testing.T
	n     *Node
	certs *certs.Source
	idle  int64

	watch struct {
		once    sync.Once
		stop    chan struct{}
		ended   sync.WaitGroup
		peak    int64
		slowest time.Duration
		calls   int
	}
}

// besiege starts a node with the settings of a small one, changed by set.
func besiege(t *testing.T, set func(*Settings)) *siege {
	t.Helper()
	settings := small(t.TempDir())
	if set != nil {
		set(settings)
	}
	s := &siege{t: t, n: begin(t, settings)}
	var err error
	if s.certs, err = certs.Open(s.n.CertsDir(), certs.ClientLeaf(certs.DefaultClient), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.certs.Close() })
	return s
}

// client returns a client as people use it.
func (s *siege) client(opts client.Options) *client.Client {
	s.t.Helper()
	opts.Certs = s.certs
	c, err := client.Open(s.t.Context(), []string{s.n.Addr()}, &opts)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// conn returns a connection of a peer that may do what it likes. It grants little, so that what it does not read stays at
// the node.
func (s *siege) conn() *endpoint.Conn {
	s.t.Helper()
	e, err := endpoint.Open(&endpoint.Options{Certs: s.certs, Limits: &endpoint.Limits{
		StreamWindowBytes: 16 << 10, ConnectionWindowBytes: 64 << 10, MaxStreamWindowBytes: 16 << 10, MaxConnectionWindowBytes: 64 << 10,
		MaxStreams: 20_000,
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := e.Dial(s.t.Context(), s.n.Addr(), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.CloseWithError(wire.CloseNone, ""); _ = e.Close(context.Background()) })
	return c
}

// raw opens a pair to a service and sends b behind its set-up. Nothing is read.
func (s *siege) raw(c *endpoint.Conn, service wire.Service, b []byte) pwp.Stream {
	s.t.Helper()
	stream, err := c.OpenStream(s.t.Context())
	if err == nil {
		_, err = stream.Write(append([]byte{0x01, 0x03, 0x10, byte(service)}, b...))
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return stream
}

// message is the bytes of a request.
func message(t testing.TB, typ wire.MessageType, id wire.RequestID, m interface{ MarshalVT() ([]byte, error) }) []byte {
	t.Helper()
	body, err := m.MarshalVT()
	if err != nil {
		t.Fatal(err)
	}
	return wire.AppendMessage(nil, typ, wire.Envelope{ID: id}, body)
}

// playTime is how long a pair may take to end once its client has ended.
const playTime = 15 * time.Second

// play sends b on a pair of its own, ends it, and returns all that the node says, with the error that ended it.
func (s *siege) play(c *endpoint.Conn, b []byte) ([]byte, error) {
	s.t.Helper()
	stream, err := c.OpenStream(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = stream.Write(b) // the node may have enough before the end
		_ = stream.CloseWrite()
		_, _ = io.Copy(io.Discard, stream)
	}()
	back, err := c.AcceptStream(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	_ = back.CloseWrite()
	stuck := time.AfterFunc(playTime, func() { _ = c.CloseWithError(wire.CloseInternal, "it does not end") })
	defer stuck.Stop()
	said, err := io.ReadAll(back)
	<-sent
	return said, err
}

// begin remembers what the idle node takes, and lets a client put, get and scan until the attack is over.
func (s *siege) begin() {
	s.t.Helper()
	bystander := s.client(client.Options{})
	bucket := bystander.BucketByID(1)
	s.bystand(bucket, 0)
	s.idle = memory(true)
	s.watch.stop = make(chan struct{})
	s.t.Cleanup(s.unwatch)
	s.watch.ended.Go(func() {
		for i := 1; ; i++ {
			select {
			case <-s.watch.stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			s.bystand(bucket, i)
			s.watch.calls = i
			s.watch.peak = max(s.watch.peak, memory(false)-s.idle)
		}
	})
}

func (s *siege) bystand(b *client.Bucket, i int) {
	from := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	key := []byte("bystander")
	_, err := b.Put(ctx, key, []byte(strconv.Itoa(i)), nil)
	if err == nil {
		var v client.Value
		if v, err = b.Get(ctx, key); err == nil && string(v.Data) != strconv.Itoa(i) {
			err = errors.New("it reads " + string(v.Data) + ", it wrote " + strconv.Itoa(i))
		}
	}
	if err != nil {
		s.t.Errorf("the bystander: %v", err)
	}
	s.watch.slowest = max(s.watch.slowest, time.Since(from))
}

func (s *siege) unwatch() {
	s.watch.once.Do(func() { close(s.watch.stop) })
	s.watch.ended.Wait()
}

// over ends the watch and judges it.
func (s *siege) over(attack string) {
	s.t.Helper()
	s.unwatch()
	left := memory(true) - s.idle
	s.t.Logf("%s: at most %d MiB above idle, %d MiB in the end; %d calls of a bystander, the slowest %v", attack,
		s.watch.peak>>20, left>>20, s.watch.calls, s.watch.slowest.Round(time.Millisecond))
	if s.watch.peak > mayAdd && !raceDetector {
		s.t.Errorf("%s: %d MiB above idle, want at most %d", attack, s.watch.peak>>20, mayAdd>>20)
	}
	if err := s.n.Err(); err != nil {
		s.t.Errorf("%s: a part of the node failed: %v", attack, err)
	}
}

// memory returns what the process takes: what is live, or what the system gave it, whichever says more about the attack.
func memory(settle bool) int64 {
	if settle {
		runtime.GC()
		debug.FreeOSMemory()
	}
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.Sys - m.HeapReleased)
	}
	pages, _ := strconv.ParseInt(strings.Fields(string(b))[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("it does not come: %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
