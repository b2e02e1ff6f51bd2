package endpoint_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/net/certs"
	"github.com/shieldmaidens/pleiades/net/endpoint"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// everyPair says how many pairs TestNoStreamCreditLeaks opens and closes, when it is to be more than the usual number.
const everyPair = "PLEIADES_TEST_LONG"

// TestNoStreamCreditLeaks opens and closes many pairs on one connection that grants few streams at a time: every half has
// to end, or the credit of its stream does not come back.
func TestNoStreamCreditLeaks(t *testing.T) {
	pairs := 5000
	if os.Getenv(everyPair) != "" {
		pairs = 100_000
	}
	dir := authority(t)
	limits := &endpoint.Limits{MaxStreams: 16}
	n := serve(t, &endpoint.Options{Certs: source(t, dir, certs.NodeLeaf), Limits: limits})
	client := open(t, &endpoint.Options{Certs: source(t, dir, root), Limits: limits})
	c := dial(t, client, n.addr(), nil)
	pwpClient, err := c.Client()
	check(t, err)
	start := time.Now()
	const callers = 8
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			for i := range pairs / callers {
				p, err := pwpClient.Open(context.Background(), wire.ServiceKVStore, nil)
				if err != nil {
					t.Error(err)
					return
				}
				switch (i + caller) % 4 {
				case 0: // a service that is not there
					other, err := pwpClient.Open(context.Background(), wire.ServiceRaft, nil)
					if err == nil {
						_ = other.Close(context.Background())
					}
				case 1:
					p.Abort() // in the middle of the set-up
					continue
				}
				_, _, err = p.Call(context.Background(), typeRead, nil, nil)
				if err == nil {
					err = p.Close(context.Background())
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	eventually(t, "all pairs are gone", func() bool { return len(n.server.Contexts()) == 0 && len(pwpClient.Contexts()) == 0 })
	// As many pairs as streams are granted can be open at a time, still.
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for range limits.MaxStreams {
		p, err := pwpClient.Open(ctx, wire.ServiceKVStore, nil)
		check(t, err)
		check(t, p.Ready(ctx))
	}
	t.Logf("%d pairs in %v", pairs, time.Since(start).Round(time.Millisecond))
}

// Beyond MaxConnections a peer is told so, and room comes back.
func TestConnectionsAreBounded(t *testing.T) {
	dir := authority(t)
	n := serve(t, &endpoint.Options{Certs: source(t, dir, certs.NodeLeaf), Limits: &endpoint.Limits{MaxConnections: 2}})
	client := open(t, &endpoint.Options{Certs: source(t, dir, root)})
	a := dial(t, client, n.addr(), nil)
	call(t, pair(t, a), typeRead, "one")
	call(t, pair(t, dial(t, client, n.addr(), nil)), typeRead, "two")
	_, err := client.Dial(context.Background(), n.addr(), nil)
	is(t, err, endpoint.ErrRefused)
	check(t, a.CloseWithError(wire.CloseNone, ""))
	eventually(t, "room for another one", func() bool {
		c, err := client.Dial(context.Background(), n.addr(), nil)
		return err == nil && c != nil
	})
	eventually(t, "the counters", func() bool { m := n.Metrics(); return m.Refused > 0 && m.Handshaking == 0 })
}

// Under load a peer has to prove its address first: a Retry packet, which qlog shows.
func TestAddressIsVerifiedUnderLoad(t *testing.T) {
	for _, row := range []struct {
		above int
		want  bool
	}{{-1, true}, {64, false}} {
		dir, logs := authority(t), t.TempDir()
		n := serve(t, &endpoint.Options{Certs: source(t, dir, certs.NodeLeaf), Limits: &endpoint.Limits{VerifyAbove: row.above}})
		client, err := endpoint.Open(&endpoint.Options{Certs: source(t, dir, root), QLogDir: logs})
		check(t, err)
		call(t, pair(t, dial(t, client, n.addr(), nil)), typeRead, "proven")
		check(t, client.Close(context.Background()))
		files, err := filepath.Glob(filepath.Join(logs, "*_client.sqlog"))
		check(t, err)
		b, err := os.ReadFile(files[0])
		check(t, err)
		if got := bytes.Contains(b, []byte(`"packet_type":"retry"`)); got != row.want {
			t.Errorf("VerifyAbove %d: retry %v", row.above, got)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	_, err := endpoint.Open(nil)
	is(t, err, endpoint.ErrOptions)
	s := source(t, authority(t), root)
	_, err = endpoint.Open(&endpoint.Options{Certs: s, Limits: &endpoint.Limits{MaxStreams: -5, IdleTimeout: 48 * time.Hour}})
	is(t, err, endpoint.ErrOptions)
	if text := err.Error(); !strings.Contains(text, "MaxStreams") || !strings.Contains(text, "IdleTimeout") {
		t.Errorf("not all faults are named: %v", err)
	}
	_, err = endpoint.Open(&endpoint.Options{Certs: s, Listen: "127.0.0.1:99999"})
	is(t, err, endpoint.ErrAddress)
	busy := open(t, &endpoint.Options{Certs: s, Listen: "127.0.0.1:0"})
	_, err = endpoint.Open(&endpoint.Options{Certs: s, Listen: busy.Addr().String()})
	is(t, err, endpoint.ErrListen, syscall.EADDRINUSE)
	_, err = busy.Dial(context.Background(), busy.Addr().String(), &endpoint.DialOptions{ALPN: "h3"})
	is(t, err, endpoint.ErrOptions)
}

// What an endpoint's users hold ends when it is closed, and says so.
func TestCloseEndsEverything(t *testing.T) {
	dir := authority(t)
	n := serve(t, &endpoint.Options{Certs: source(t, dir, certs.NodeLeaf)})
	var log bytes.Buffer
	e, err := endpoint.Open(&endpoint.Options{
		Certs: source(t, dir, root), Listen: "127.0.0.1:0", Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	check(t, err)
	c := dial(t, e, n.addr(), nil)
	p := pair(t, c)
	call(t, p, typeRead, "up")
	accepting := make(chan error)
	go func() {
		_, err := e.Accept(context.Background())
		accepting <- err
	}()
	check(t, e.Close(context.Background()))
	check(t, e.Close(context.Background()))
	is(t, <-accepting, endpoint.ErrClosed)
	is(t, c.Err(), endpoint.ErrClosed)
	_, _, err = p.Call(context.Background(), typeRead, nil, nil)
	is(t, err, pwp.ErrNotRun)
	_, err = e.Dial(context.Background(), n.addr(), nil)
	is(t, err, endpoint.ErrClosed)
	_, err = e.Peer(context.Background(), n.addr(), nil)
	is(t, err, endpoint.ErrClosed)
	is(t, c.SendDatagram(nil), endpoint.ErrClosed)
	_, err = c.Client()
	check(t, err) // the client of before, which is closed
	closed := ended(t, <-n.conns)
	is(t, closed, endpoint.ErrPeerClosed)
	if strings.Contains(log.String(), "UDP buffers") != strings.Contains(log.String(), endpoint.BufferFix) {
		t.Errorf("a warning without its fix: %s", log.String())
	}
}
