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

// rawFrame is what a call of 64 bytes has on the wire: prelude, request id, body.
const rawFrame = 16 + 2 + 64

// BenchmarkRawEcho measures quic-go alone: requests of all goroutines on one stream, echoed by a server that writes back
// what it read.
func BenchmarkRawEcho(b *testing.B) {
	dir := authority(b)
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	check(b, err)
	defer socket.Close()
	conf := &quic.Config{KeepAlivePeriod: 5e9}
	server := &quic.Transport{Conn: socket, ConnectionIDLength: 8}
	defer server.Close()
	l, err := server.Listen(source(b, dir, certs.NodeLeaf).ServerTLS(endpoint.ALPNClient), conf)
	check(b, err)
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		c, err := l.Accept(context.Background())
		if err != nil {
			return
		}
		s, err := c.AcceptStream(context.Background())
		if err != nil {
			return
		}
		buf := make([]byte, 64<<10)
		for {
			n, err := s.Read(buf)
			if n > 0 {
				_, err = s.Write(buf[:n])
			}
			if err != nil {
				return
			}
		}
	})
	tlsConf := source(b, dir, root).ClientTLS(endpoint.ALPNClient, certs.Peer{})
	c, stop := dialRaw(b, tlsConf, l.Addr(), conf)
	defer stop()
	s, err := c.OpenStreamSync(context.Background())
	check(b, err)
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
