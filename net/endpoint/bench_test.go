package endpoint_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quic-go/quic-go"
	"golang.org/x/sys/unix"

	"github.com/shieldmaidens/pleiades/net/certs"
	"github.com/shieldmaidens/pleiades/net/endpoint"
)

// each runs fn b.N times on n goroutines, which fn is told.
func each(b *testing.B, n int, fn func(worker int) error) {
	b.Helper()
	b.ReportAllocs()
	var left atomic.Int64
	left.Store(int64(b.N))
	var wg sync.WaitGroup
	b.ResetTimer()
	before := cpu()
	for worker := range n {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				if err := fn(worker); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(cpu()-before)/float64(b.N), "cpu-ns/op")
}

// cpu returns the time that this process has had, in nanoseconds. On a machine that others use it says more than the clock.
func cpu() int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return u.Utime.Nano() + u.Stime.Nano()
}

// BenchmarkCall measures a call of 64 bytes and its answer over QUIC on loopback, client and server in one process.
// BenchmarkRawEcho is what there is to beat: the same bytes on one stream of quic-go.
func BenchmarkCall(b *testing.B) {
	dir := authority(b)
	n := serve(b, &endpoint.Options{Certs: source(b, dir, certs.NodeLeaf)})
	client := open(b, &endpoint.Options{Certs: source(b, dir, root)})
	c := dial(b, client, n.addr(), nil)
	p := pair(b, c)
	request := field3(make([]byte, 62))
	for _, inFlight := range []int{1, 64} {
		b.Run(fmt.Sprintf("inflight=%d", inFlight), func(b *testing.B) {
			dst := make([][]byte, inFlight)
			before := c.Stats()
			each(b, inFlight, func(worker int) (err error) {
				_, dst[worker], err = p.Call(context.Background(), typeRead, request, dst[worker][:0])
				return err
			})
			after := c.Stats()
			b.ReportMetric(float64(after.PacketsSent+after.PacketsReceived-before.PacketsSent-before.PacketsReceived)/float64(b.N), "packets/op")
		})
	}
}

// BenchmarkLarge measures an answer of 1 MiB to a short request, one at a time.
func BenchmarkLarge(b *testing.B) {
	dir := authority(b)
	n := serve(b, &endpoint.Options{Certs: source(b, dir, certs.NodeLeaf)})
	client := open(b, &endpoint.Options{Certs: source(b, dir, root)})
	p := pair(b, dial(b, client, n.addr(), nil))
	b.SetBytes(1 << 20)
	var dst []byte
	each(b, 1, func(int) (err error) {
		_, dst, err = p.Call(context.Background(), typeLarge, nil, dst[:0])
		return err
	})
}

// BenchmarkRawLarge is the same on a stream of quic-go.
func BenchmarkRawLarge(b *testing.B) {
	large := make([]byte, 1<<20)
	_, s, stop := rawServer(b, func(s *quic.Stream) error {
		if _, err := io.ReadFull(s, make([]byte, 18)); err != nil {
			return err
		}
		_, err := s.Write(large)
		return err
	})
	defer stop()
	b.SetBytes(1 << 20)
	dst := make([]byte, 1<<20)
	each(b, 1, func(int) error {
		if _, err := s.Write(dst[:18]); err != nil {
			return err
		}
		_, err := io.ReadFull(s, dst)
		return err
	})
}

// rawServer starts quic-go with a server that calls fn again and again for the only stream of the only client. It returns
// the client's ends of both.
func rawServer(b *testing.B, fn func(*quic.Stream) error) (*quic.Conn, *quic.Stream, func()) {
	b.Helper()
	dir := authority(b)
	conf := &quic.Config{KeepAlivePeriod: 5e9, InitialStreamReceiveWindow: 512 << 10, InitialConnectionReceiveWindow: 1 << 20}
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(b, err)
	server := &quic.Transport{Conn: socket, ConnectionIDLength: 8}
	l, err := server.Listen(source(b, dir, certs.NodeLeaf).ServerTLS(endpoint.ALPNClient), conf)
	check(b, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		c, err := l.Accept(context.Background())
		if err != nil {
			return
		}
		s, err := c.AcceptStream(context.Background())
		for err == nil {
			err = fn(s)
		}
	})
	c, hangUp := dialRaw(b, source(b, dir, root).ClientTLS(endpoint.ALPNClient, certs.Peer{}), l.Addr(), conf)
	s, err := c.OpenStreamSync(context.Background())
	check(b, err)
	return c, s, func() {
		hangUp()
		_ = server.Close()
		_ = socket.Close()
		wg.Wait()
	}
}

// rawFrame is what a call of 64 bytes has on the wire: prelude, request id, body.
const rawFrame = 16 + 2 + 64

// BenchmarkRawEcho measures quic-go alone: requests of all goroutines on one stream, echoed by a server that writes back
// what it read.
func BenchmarkRawEcho(b *testing.B) {
	buf := make([]byte, 64<<10)
	c, s, stop := rawServer(b, func(s *quic.Stream) error {
		n, err := s.Read(buf)
		if err != nil {
			return err
		}
		_, err = s.Write(buf[:n])
		return err
	})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	var write sync.Mutex
	done := make([]chan struct{}, 64)
	for i := range done {
		done[i] = make(chan struct{}, 1)
	}
	wg.Go(func() {
		r := bufio.NewReaderSize(s, 64<<10)
		var frame [rawFrame]byte
		for {
			if _, err := io.ReadFull(r, frame[:]); err != nil {
				return
			}
			done[binary.BigEndian.Uint64(frame[:])] <- struct{}{}
		}
	})
	for _, inFlight := range []int{1, 64} {
		b.Run(fmt.Sprintf("inflight=%d", inFlight), func(b *testing.B) {
			frames := make([][rawFrame]byte, inFlight)
			before := c.ConnectionStats()
			each(b, inFlight, func(worker int) error {
				binary.BigEndian.PutUint64(frames[worker][:], uint64(worker))
				write.Lock()
				_, err := s.Write(frames[worker][:])
				write.Unlock()
				if err == nil {
					<-done[worker]
				}
				return err
			})
			after := c.ConnectionStats()
			b.ReportMetric(float64(after.PacketsSent+after.PacketsReceived-before.PacketsSent-before.PacketsReceived)/float64(b.N), "packets/op")
		})
	}
}

func dialRaw(t testing.TB, tlsConf *tls.Config, to net.Addr, conf *quic.Config) (*quic.Conn, func()) {
	t.Helper()
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(t, err)
	tr := &quic.Transport{Conn: socket, ConnectionIDLength: 8}
	c, err := tr.Dial(context.Background(), to, tlsConf, conf)
	check(t, err)
	return c, func() {
		_ = c.CloseWithError(0, "")
		_ = tr.Close()
		_ = socket.Close()
	}
}
