package main

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"

	"github.com/quic-go/quic-go"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
)

const quicProtocol = "bench/1"

// quicConfig has the windows of net/endpoint, so that only the protocol differs.
func quicConfig() *quic.Config {
	return &quic.Config{
		MaxIncomingStreams: 1 << 20, InitialStreamReceiveWindow: 1 << 20, MaxStreamReceiveWindow: 8 << 20,
		InitialConnectionReceiveWindow: 2 << 20, MaxConnectionReceiveWindow: 24 << 20, Allow0RTT: true,
	}
}

var (
	quicShared = system{name: "quic-shared", serve: serveQUIC(true), dial: dialQUIC(true)}
	quicStream = system{name: "quic-stream", serve: serveQUIC(false), dial: dialQUIC(false)}
)

func serveQUIC(shared bool) func(context.Context, string, int, func(string)) error {
	return func(ctx context.Context, certs string, valueBytes int, listening func(string)) error {
		conf, err := serverTLS(certs, quicProtocol)
		if err != nil {
			return err
		}
		udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return err
		}
		tr := &quic.Transport{Conn: udp}
		defer tr.Close()
		l, err := tr.ListenEarly(conf, quicConfig())
		if err != nil {
			return err
		}
		a := newAnswerer(valueBytes)
		listening(udp.LocalAddr().String())
		for {
			conn, err := l.Accept(ctx)
			if err != nil {
				return errUnlessDone(ctx, err)
			}
			go serveStreams(ctx, conn, a, shared) // ends with the connection, which ends with the process
		}
	}
}

func errUnlessDone(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func serveStreams(ctx context.Context, conn *quic.Conn, a answerer, shared bool) {
	for {
		stream, err := conn.AcceptStream(ctx)
		if err != nil {
			return
		}
		go func() {
			defer stream.Close()
			if shared {
				var out []byte
				_ = frames(stream, func(msg []byte, more bool) error {
					var err error
					out = append(out, 0, 0, 0, 0)
					at := len(out)
					if out, err = a.answer(out, msg); err != nil {
						return err
					}
					binary.BigEndian.PutUint32(out[at-4:], uint32(len(out)-at))
					if more && len(out) < 32<<10 {
						return nil
					}
					_, err = stream.Write(out)
					out = out[:0]
					return err
				})
				return
			}
			msg, err := io.ReadAll(stream)
			if err != nil {
				return
			}
			out, err := a.answer(nil, msg)
			if err != nil {
				return
			}
			_, _ = stream.Write(out)
		}()
	}
}

// frames reads messages with a length of 4 bytes before each, and says whether another one has arrived already.
func frames(r io.Reader, fn func(msg []byte, more bool) error) error {
	buf := make([]byte, 64<<10)
	from, to := 0, 0
	for {
		for to-from >= 4 {
			n := int(binary.BigEndian.Uint32(buf[from:]))
			if to-from < 4+n {
				if len(buf) < 4+n {
					bigger := make([]byte, 2*(4+n))
					to = copy(bigger, buf[from:to])
					buf, from = bigger, 0
				}
				break
			}
			end := from + 4 + n
			more := to-end >= 4 && to-end >= 4+int(binary.BigEndian.Uint32(buf[end:]))
			if err := fn(buf[from+4:end], more); err != nil {
				return err
			}
			from = end
		}
		if from > 0 {
			to = copy(buf, buf[from:to])
			from = 0
		}
		n, err := r.Read(buf[to:])
		to += n
		if n == 0 && err != nil {
			return err
		}
	}
}

func dialQUIC(shared bool) func(string, string, bool) (dialer, func(), error) {
	return func(certs, addr string, ticket bool) (dialer, func(), error) {
		conf, err := clientTLS(certs, quicProtocol)
		if err != nil {
			return nil, nil, err
		}
		conf.ServerName = "127.0.0.1"
		if ticket {
			conf.ClientSessionCache = tls.NewLRUClientSessionCache(64)
		}
		to, err := net.ResolveUDPAddr("udp", addr)
		if err != nil {
			return nil, nil, err
		}
		udp, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return nil, nil, err
		}
		tr := &quic.Transport{Conn: udp}
		return func(ctx context.Context) (caller, error) {
			conn, err := tr.DialEarly(ctx, to, conf, quicConfig())
			if err != nil {
				return nil, err
			}
			if !shared {
				return streamCaller{conn}, nil
			}
			stream, err := conn.OpenStreamSync(ctx)
			if err != nil {
				return nil, err
			}
			c := &sharedCaller{conn: conn, stream: stream, waiting: map[uint64]chan result{}}
			c.done.Go(c.receive)
			return c, nil
		}, func() { tr.Close() }, nil
	}
}

// streamCaller makes each call on a stream of its own.
type streamCaller struct{ conn *quic.Conn }

func (s streamCaller) call(ctx context.Context, key []byte) (int, error) {
	stream, err := s.conn.OpenStreamSync(ctx)
	if err != nil {
		return 0, err
	}
	msg, err := appendMessage(nil, &kvstorev1.GetRequest{RequestId: 1, Key: key})
	if err != nil {
		return 0, err
	}
	if _, err := stream.Write(msg); err != nil {
		return 0, err
	}
	if err := stream.Close(); err != nil {
		return 0, err
	}
	answer, err := io.ReadAll(stream)
	if err != nil {
		return 0, err
	}
	return valueBytes(answer)
}

func (s streamCaller) close() error { return s.conn.CloseWithError(0, "") }

type result struct {
	bytes int
	err   error
}

// sharedCaller makes all calls on one stream. Whoever finds nobody writing writes what others added meanwhile, too.
type sharedCaller struct {
	conn   *quic.Conn
	stream *quic.Stream
	done   sync.WaitGroup

	mu      sync.Mutex
	next    uint64
	waiting map[uint64]chan result
	queue   []byte
	spare   []byte
	writing bool
}

func (s *sharedCaller) call(ctx context.Context, key []byte) (int, error) {
	answer := make(chan result, 1)
	s.mu.Lock()
	s.next++
	s.waiting[s.next] = answer
	s.queue = append(s.queue, 0, 0, 0, 0)
	at := len(s.queue)
	var err error
	if s.queue, err = appendMessage(s.queue, &kvstorev1.GetRequest{RequestId: s.next, Key: key}); err != nil {
		s.mu.Unlock()
		return 0, err
	}
	binary.BigEndian.PutUint32(s.queue[at-4:], uint32(len(s.queue)-at))
	if !s.writing {
		s.writing = true
		for len(s.queue) > 0 && err == nil {
			out := s.queue
			s.queue = s.spare[:0]
			s.mu.Unlock()
			_, err = s.stream.Write(out)
			s.mu.Lock()
			s.spare = out
		}
		s.writing = false
	}
	s.mu.Unlock()
	if err != nil {
		return 0, err
	}
	select {
	case r := <-answer:
		return r.bytes, r.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (s *sharedCaller) receive() {
	err := frames(s.stream, func(msg []byte, _ bool) error {
		var resp kvstorev1.GetResponse
		if err := resp.UnmarshalVTUnsafe(msg); err != nil {
			return err
		}
		s.mu.Lock()
		answer := s.waiting[resp.RequestId]
		delete(s.waiting, resp.RequestId)
		s.mu.Unlock()
		if answer == nil {
			return errors.New("an answer that nobody waits for")
		}
		answer <- result{bytes: len(resp.Value)}
		return nil
	})
	s.mu.Lock()
	for _, answer := range s.waiting {
		answer <- result{err: err}
	}
	clear(s.waiting)
	s.mu.Unlock()
}

func (s *sharedCaller) close() error {
	err := s.conn.CloseWithError(0, "")
	s.done.Wait()
	return err
}
