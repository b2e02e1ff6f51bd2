package endpoint_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/shieldmaidens/pleiades/net/certs"
	"github.com/shieldmaidens/pleiades/net/endpoint"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// bystander calls a node all the time, until its stop is called, and fails the test when a call fails.
func bystander(t testing.TB, n *node, dir string) (stop func()) {
	t.Helper()
	client := open(t, &endpoint.Options{Certs: source(t, dir, root)})
	p := pair(t, dial(t, client, n.addr(), nil))
	call(t, p, typeWrite, "first")
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-quit:
				return
			default:
			}
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			_, _, err := p.Call(ctx, typeWrite, nil, nil)
			cancel()
			if err != nil {
				t.Errorf("a bystander: %v", err)
				return
			}
		}
	}()
	return func() {
		close(quit)
		<-done
		check(t, p.Close(context.Background()))
	}
}

// refusedByNode dials with the certificates of a directory, and returns why the node ended it. TLS 1.3 may let the dial
// itself succeed.
func refusedByNode(t *testing.T, n *node, s *certs.Source, o *endpoint.DialOptions) error {
	t.Helper()
	client := open(t, &endpoint.Options{Certs: s})
	c, err := client.Dial(context.Background(), n.addr(), o)
	if err != nil {
		return err
	}
	return ended(t, c)
}

// spliced is a directory with the CA of one and the certificate of another.
func spliced(t testing.TB, caOf, leafOf, leaf string) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range []string{filepath.Join(caOf, "ca.crt"), filepath.Join(leafOf, leaf+".crt"), filepath.Join(leafOf, leaf+".key")} {
		b, err := os.ReadFile(f)
		check(t, err)
		check(t, os.WriteFile(filepath.Join(dir, filepath.Base(f)), b, 0o600))
	}
	check(t, os.Chmod(dir, 0o700))
	return dir
}

func TestHostileCertificates(t *testing.T) {
	dir, strangers := authority(t), authority(t)
	now := time.Now()
	clock := func() time.Time { return now }
	n := serve(t, &endpoint.Options{Certs: source(t, dir, certs.NodeLeaf)})
	stop := bystander(t, n, dir)
	defer stop()

	t.Run("the client has another CA", func(t *testing.T) {
		err := refusedByNode(t, n, source(t, strangers, root), nil)
		is(t, err, endpoint.ErrPeerCertificate, certs.ErrUnknownCA)
	})
	t.Run("the node does not know the client's CA", func(t *testing.T) {
		// The client trusts the node: its own certificate is the wrong one. The directory would refuse that when it is
		// opened, so both CAs are in its file.
		both := spliced(t, dir, strangers, string(root))
		ours, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
		check(t, err)
		theirs, err := os.ReadFile(filepath.Join(strangers, "ca.crt"))
		check(t, err)
		check(t, os.WriteFile(filepath.Join(both, "ca.crt"), append(ours, theirs...), 0o600))
		is(t, refusedByNode(t, n, source(t, both, root), nil), endpoint.ErrOwnCertificate, certs.ErrRefused)
	})
	t.Run("the client's certificate has expired", func(t *testing.T) {
		_, err := certs.CreateClient(dir, &certs.LeafOptions{Name: "late", TTL: time.Hour, Now: yesterday})
		check(t, err)
		late, err := certs.Open(dir, certs.ClientLeaf("late"), &certs.SourceOptions{Now: yesterday})
		check(t, err)
		defer late.Close()
		is(t, refusedByNode(t, n, late, nil), endpoint.ErrOwnCertificate)
	})
	t.Run("the node's certificate has expired", func(t *testing.T) {
		later := now.Add(2 * 365 * 24 * time.Hour)
		s, err := certs.Open(dir, root, &certs.SourceOptions{Now: clock})
		check(t, err)
		defer s.Close()
		client := open(t, &endpoint.Options{Certs: s})
		now = later
		_, err = client.Dial(context.Background(), n.addr(), nil)
		now = time.Now()
		is(t, err, certs.ErrExpired)
	})
	t.Run("a client on the protocol of nodes", func(t *testing.T) {
		err := refusedByNode(t, n, source(t, dir, root), &endpoint.DialOptions{ALPN: endpoint.ALPNNode})
		is(t, err, endpoint.ErrOwnCertificate, certs.ErrRefused)
	})
	t.Run("another node than the expected one", func(t *testing.T) {
		err := refusedByNode(t, n, source(t, dir, root), &endpoint.DialOptions{Name: "n2"})
		is(t, err, endpoint.ErrPeerCertificate, certs.ErrWrongName)
	})
	t.Run("another protocol", func(t *testing.T) {
		conf := source(t, dir, root).ClientTLS("h3", certs.Peer{})
		socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		check(t, err)
		tr := &quic.Transport{Conn: socket}
		_, err = tr.Dial(context.Background(), net.UDPAddrFromAddrPort(n.Addr()), conf, nil)
		if err == nil {
			t.Error("h3 is spoken here")
		}
		check(t, tr.Close())
		check(t, socket.Close())
	})
	eventually(t, "the node counted whom it refused", func() bool {
		f := n.Metrics().Failures
		return f.PeerCertificate >= 3 && f.OwnCertificate >= 1
	})
}

func TestNobodyThere(t *testing.T) {
	dir := authority(t)
	client := open(t, &endpoint.Options{
		Certs: source(t, dir, root), Limits: &endpoint.Limits{HandshakeTimeout: 50 * time.Millisecond},
	})
	silent, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(t, err)
	defer silent.Close()
	_, err = client.Dial(context.Background(), silent.LocalAddr().String(), nil)
	is(t, err, endpoint.ErrUnreachable)
	for _, addr := range []string{"127.0.0.1", "127.0.0.1:0", "127.0.0.1:http!", "[::1"} {
		_, err = client.Dial(context.Background(), addr, nil)
		is(t, err, endpoint.ErrAddress)
	}
	_, err = client.Accept(context.Background())
	is(t, err, endpoint.ErrNotListening)
}

// A peer that vanishes without a word is gone after the idle timeout, on both sides.
func TestPeerVanishes(t *testing.T) {
	dir := authority(t)
	limits := &endpoint.Limits{IdleTimeout: 300 * time.Millisecond, KeepAlive: 100 * time.Millisecond}
	n := serve(t, &endpoint.Options{Certs: source(t, dir, certs.NodeLeaf), Limits: limits})
	stop := bystander(t, n, dir)
	tap := newTap(t)
	client := open(t, &endpoint.Options{Certs: source(t, dir, root), PacketConn: plain{tap}, Limits: limits})
	c := dial(t, client, n.addr(), nil)
	call(t, pair(t, c), typeRead, "here")
	var s *endpoint.Conn
	for s = range n.conns {
		if s.RemoteAddr() == client.Addr() {
			break
		}
	}
	tap.set(func() { tap.muted = true })
	is(t, ended(t, s), endpoint.ErrGone)
	is(t, ended(t, c), endpoint.ErrGone)
	stop()
}

// A node that was restarted without a word tells old peers at once, by a stateless reset.
func TestPeerRestarts(t *testing.T) {
	dir := authority(t)
	key, tap := [32]byte{1}, newTap(t)
	n := serve(t, &endpoint.Options{
		Certs: source(t, dir, certs.NodeLeaf), Listen: "tap", PacketConn: plain{tap}, StatelessResetKey: key,
	})
	client := open(t, &endpoint.Options{Certs: source(t, dir, root)})
	c := dial(t, client, n.addr(), nil)
	p := pair(t, c)
	call(t, p, typeRead, "here")
	tap.set(func() { tap.muted = true }) // nobody hears that it stops
	check(t, n.Close(context.Background()))
	again := serve(t, &endpoint.Options{Certs: source(t, dir, certs.NodeLeaf), Listen: n.addr(), StatelessResetKey: key})
	_, _, err := p.Call(context.Background(), typeRead, nil, nil)
	is(t, err, pwp.ErrLost)
	is(t, ended(t, c), endpoint.ErrRestarted)
	call(t, pair(t, dial(t, client, again.addr(), nil)), typeRead, "there")
}

// idlePairs is how many pairs a hostile peer holds.
const idlePairs = 10_000

// hostile makes this program a peer that opens idlePairs pairs to the node at this address, with the certificates of the
// directory behind it, and holds them until its standard input ends.
const hostile = "PLEIADES_TEST_HOSTILE"

func TestIdlePairs(t *testing.T) {
	if to := os.Getenv(hostile); to != "" {
		holdIdlePairs(t, to)
		return
	}
	if testing.Short() || raceEnabled {
		t.Skip("10,000 pairs; memory means nothing under the race detector")
	}
	dir := authority(t)
	n := serve(t, &endpoint.Options{Certs: source(t, dir, certs.NodeLeaf)})
	stop := bystander(t, n, dir)
	idle := heap()
	peer := exec.Command(os.Args[0], "-test.run=^TestIdlePairs$", "-test.v")
	peer.Env = append(os.Environ(), hostile+"="+n.addr()+" "+dir)
	in, err := peer.StdinPipe()
	check(t, err)
	out, err := peer.StdoutPipe()
	check(t, err)
	check(t, peer.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "holding") {
	}
	held := int64(len(n.server.Contexts()))
	eventually(t, "the set-ups are written", func() bool { return heap()-idle < 64<<20 })
	t.Logf("%s; the node has %d of them and %d KiB above idle", lines.Text(), held, (heap()-idle)>>10)
	if held < 1000 {
		t.Error("the node has few of the pairs")
	}
	check(t, in.Close())
	for lines.Scan() {
	}
	check(t, peer.Wait())
	eventually(t, "the pairs are gone", func() bool { return len(n.server.Contexts()) == 1 })
	stop()
}

// holdIdlePairs is the hostile peer. It opens a further pair only when the node granted a stream, and reports how many
// were refused with the code of overload.
func holdIdlePairs(t *testing.T, to string) {
	addr, dir, _ := strings.Cut(to, " ")
	client := open(t, &endpoint.Options{Certs: source(t, dir, root), Limits: &endpoint.Limits{MaxStreams: 2 * idlePairs}})
	c := dial(t, client, addr, nil)
	var refused atomic.Int64
	var wg sync.WaitGroup
	for range idlePairs {
		s, err := c.OpenStream(context.Background())
		check(t, err)
		_, _ = s.Write([]byte{0x01, 0x03, 0x10, 0x03})
		back, err := c.AcceptStream(context.Background())
		check(t, err)
		wg.Go(func() {
			var b [16]byte
			for {
				if _, err := back.Read(b[:]); err != nil {
					if e, ok := errors.AsType[*pwp.StreamError](err); ok && e.Remote && e.Code == wire.CloseOverloaded {
						refused.Add(1)
						s.CancelRead(wire.CloseNone)
						_ = back.CloseWrite()
					}
					return
				}
			}
		})
	}
	fmt.Printf("holding %d pairs, %d refused as overload\n", idlePairs, refused.Load())
	_, _ = io.Copy(io.Discard, os.Stdin)
	check(t, c.CloseWithError(wire.CloseNone, ""))
	wg.Wait()
}

// TestReaderThatNeverReads asks for floods and reads nothing: the node holds at most what the windows allow, and others
// are served meanwhile.
func TestReaderThatNeverReads(t *testing.T) {
	dir := authority(t)
	n := serve(t, &endpoint.Options{Certs: source(t, dir, certs.NodeLeaf)})
	stop := bystander(t, n, dir)
	client := open(t, &endpoint.Options{Certs: source(t, dir, root)})
	c := dial(t, client, n.addr(), nil)
	idle := heap()
	const floods = 100
	flood := wire.AppendMessage([]byte{0x01, 0x03, 0x10, 0x03}, typeFlood, wire.Envelope{ID: 1}, nil)
	for range floods {
		s, err := c.OpenStream(context.Background())
		check(t, err)
		_, err = s.Write(flood)
		check(t, err)
	}
	stuck := func() bool { // all that the node may hold for a connection waits for its reader
		queued := 0
		for _, p := range n.server.Contexts() {
			queued += p.QueuedBytes
		}
		return queued > 10<<20
	}
	eventually(t, "the floods wait for their reader", stuck)
	if grown := heap() - idle; grown > 64<<20 && !raceEnabled {
		t.Errorf("%d MiB for a reader that never reads", grown>>20)
	} else {
		t.Logf("%d KiB, both sides", grown>>10)
	}
	check(t, c.CloseWithError(wire.CloseNone, ""))
	eventually(t, "the pairs are gone", func() bool { return len(n.server.Contexts()) <= 1 })
	stop()
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}
