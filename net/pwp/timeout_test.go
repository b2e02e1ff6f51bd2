package pwp_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/pwptest"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// raw is a pair as a stranger's client has it: two streams and bytes.
type raw struct {
	t        testing.TB
	conn     *pwptest.Conn
	request  pwp.Stream
	response pwp.Stream
}

// newRaw opens a pair on a connection that no Client uses. The response stream comes with the server's first byte.
func newRaw(t testing.TB, conn *pwptest.Conn) *raw {
	t.Helper()
	request, err := conn.OpenStream(context.Background())
	check(t, err)
	return &raw{t: t, conn: conn, request: request}
}

func (r *raw) send(b ...byte) {
	r.t.Helper()
	if _, err := r.request.Write(b); err != nil {
		r.t.Fatal(err)
	}
	r.accept()
}

func (r *raw) accept() {
	r.t.Helper()
	if r.response != nil {
		return
	}
	response, err := r.conn.AcceptStream(context.Background())
	check(r.t, err)
	_ = response.CloseWrite() // the server may have given it up already
	r.response = response
}

// drain reads the response stream to its end and returns what came, and the error if the end is not a clean one.
func (r *raw) drain() ([]byte, error) {
	b, err := io.ReadAll(r.response)
	return b, err
}

// refusal reads the stream to its end and returns the error about the pair before CLOSE.
func (r *raw) refusal() *wire.Error {
	r.t.Helper()
	b, err := r.drain()
	if err != nil || len(b) == 0 || b[len(b)-1] != byte(wire.MagicClose) {
		r.t.Fatalf("% x, %v: no CLOSE at the end", b, err)
	}
	return pairError(r.t, b)
}

// pairError finds the error about the pair in what a server sent, nil: there is none.
func pairError(t testing.TB, b []byte) *wire.Error {
	t.Helper()
	for len(b) > 0 {
		if p, n, err := wire.ParsePrelude(b); err == nil {
			msg := b[n : n+int(p.SizeBytes)]
			if e, err := wire.ParseError(msg); p.Type == wire.TypeError && err == nil && e.ID == 0 {
				return e
			}
			b = b[n+int(p.SizeBytes):]
			continue
		}
		_, n, err := wire.Parse(b)
		if err != nil {
			t.Fatalf("% x: %v", b, err)
		}
		b = b[n:]
	}
	return nil
}

// bare is a server and the other end of its connection, in a synctest bubble.
func bare(t *testing.T, limits pwp.Limits, pipe pwptest.Options, fn func(*testing.T, *rig)) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, gate: make(chan struct{}), started: make(chan wire.RequestID, 100), served: make(chan error, 1)}
		r.cconn, r.sconn = pwptest.Pipe(&pipe)
		var err error
		r.server, err = pwp.NewServer(&pwp.ServerOptions{Limits: &limits})
		check(t, err)
		check(t, r.server.Handle(wire.ServiceKVStore, pwp.Service{Handler: pwp.HandlerFunc(r.handle)}))
		go func() { r.served <- r.server.ServeConn(context.Background(), r.sconn) }()
		fn(t, r)
		check(t, r.server.Close())
		<-r.served
		if n := r.server.MessageBytesInUse(); n != 0 {
			t.Errorf("%d bytes of messages are still charged", n)
		}
	})
}

// within fails unless fn, which waits, takes between lo and hi of the bubble's time.
func within(t testing.TB, lo, hi time.Duration, fn func()) {
	t.Helper()
	start := time.Now()
	fn()
	if took := time.Since(start); took < lo || took > hi {
		t.Errorf("took %v, want %v to %v", took, lo, hi)
	}
}

// pass lets the bubble's time pass.
func pass(d time.Duration) { <-time.After(d) }

func TestSetupTimeout(t *testing.T) {
	for name, first := range map[string][]byte{"HELLO": {0x01}, "version": {0x01, 0x05, 0x01}} {
		t.Run(name, func(t *testing.T) {
			bare(t, pwp.Limits{SetupTimeout: 4 * time.Second}, pwptest.Options{}, func(t *testing.T, r *rig) {
				p := newRaw(t, r.cconn)
				p.send(first...)
				within(t, 4*time.Second, 6*time.Second, func() {
					if e := p.refusal(); e == nil || e.Code != wire.CodeDeadline || wire.CloseCode(e.Detail) != wire.CloseSetupTimeout {
						t.Errorf("%+v", e)
					}
				})
				if _, err := p.request.Write([]byte{1}); closeCode(err) != wire.CloseSetupTimeout {
					t.Errorf("the request stream says %v", err)
				}
			})
		})
	}
}

func closeCode(err error) wire.CloseCode {
	if e, ok := errors.AsType[*pwp.StreamError](err); ok && e.Remote {
		return e.Code
	}
	return wire.CloseNone
}

func TestMessageThatDoesNotEnd(t *testing.T) {
	whole := wire.AppendMessage(nil, typeEcho, wire.Envelope{ID: 1}, field3(make([]byte, 100)))
	for name, part := range map[string][]byte{
		"magic byte": whole[:1], "prelude": whole[:12], "no payload": whole[:16], "half": whole[:60],
	} {
		t.Run(name, func(t *testing.T) {
			bare(t, pwp.Limits{MessageTimeout: 3 * time.Second}, pwptest.Options{}, func(t *testing.T, r *rig) {
				p := newRaw(t, r.cconn)
				p.send(0x01, 0x03, 0x10, 0x03)
				within(t, 0, 0, func() { p.send(whole...) })
				p.send(part...)
				within(t, 3*time.Second, 5*time.Second, func() {
					if e := p.refusal(); e == nil || wire.CloseCode(e.Detail) != wire.CloseMessageTimeout {
						t.Errorf("%+v", e)
					}
				})
			})
		})
	}
}

func TestIdlePairStays(t *testing.T) {
	bare(t, pwp.Limits{}, pwptest.Options{}, func(t *testing.T, r *rig) {
		p := newRaw(t, r.cconn)
		p.send(0x01, 0x03, 0x10, 0x03)
		pass(24 * time.Hour)
		p.send(wire.AppendMessage(nil, typeEcho, wire.Envelope{ID: 1}, nil)...)
		p.send(0xFF)
		_ = p.request.CloseWrite() // after CLOSE the server may have cut this half already
		b, err := p.drain()
		check(t, err)
		if want := append([]byte{0x01, 0x11, 0x00}, wire.AppendMessage(nil, typeEchoed, wire.Envelope{ID: 1}, nil)...); string(b) != string(append(want, 0xFF)) {
			t.Errorf("got % x", b)
		}
	})
}

func TestReaderThatNeverReads(t *testing.T) {
	bare(t, pwp.Limits{StallTimeout: 5 * time.Second, MaxQueuedBytes: 4 << 10}, pwptest.Options{WindowBytes: 4 << 10}, func(t *testing.T, r *rig) {
		p := newRaw(t, r.cconn)
		p.send(0x01, 0x03, 0x10, 0x03)
		p.send(wire.AppendMessage(nil, typeCount, wire.Envelope{ID: 1}, field3(binary.BigEndian.AppendUint32(nil, 1<<30)))...)
		pass(2 * time.Second)
		if c := r.server.Contexts(); len(c) != 1 || c[0].QueuedBytes > 9<<10 { // one queue is being written, one waits
			t.Errorf("contexts %+v", c)
		}
		pass(6 * time.Second)
		if c := r.server.Contexts(); len(c) != 0 {
			t.Errorf("contexts %+v", c)
		}
		if _, err := p.drain(); closeCode(err) != wire.CloseSlowReader {
			t.Errorf("the response stream says %v", err)
		}
	})
}

// TestQuestionsWithoutReadingAnswers floods a server with latency tests: it stops reading instead of collecting answers.
func TestQuestionsWithoutReadingAnswers(t *testing.T) {
	bare(t, pwp.Limits{StallTimeout: 5 * time.Second, MaxQueuedBytes: 4 << 10}, pwptest.Options{WindowBytes: 4 << 10}, func(t *testing.T, r *rig) {
		p := newRaw(t, r.cconn)
		p.send(0x01, 0x03)
		var err error
		for sent := 0; err == nil; sent++ {
			if sent > 10_000 {
				t.Fatal("the server takes any number of questions")
			}
			_, err = p.request.Write(wire.AppendLatencyStart(nil, 1))
		}
		if closeCode(err) != wire.CloseSlowReader {
			t.Errorf("the request stream says %v", err)
		}
	})
}

func TestHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{})
		defer r.close()
		p := r.open(nil)
		check(t, p.SetHeartbeat(2*time.Second))
		r.echo(p, nil)
		before := p.Context()
		pass(60 * time.Second)
		after := p.Context()
		if in, out := after.BytesIn-before.BytesIn, after.BytesOut-before.BytesOut; in < 25 || in > 31 || out < 25 || out > 31 {
			t.Errorf("in a minute %d heartbeats in and %d out, every 2 s", in, out)
		}
		r.echo(p, []byte("alive"))

		r.sconn.Stall(true) // the server hears nothing any more
		pass(12 * time.Second)
		_, _, err := p.Call(context.Background(), typeEcho, nil, nil)
		is(t, err, wire.ErrUnavailable)
		if c := r.server.Contexts(); len(c) != 0 {
			t.Errorf("the server keeps %+v", c)
		}
	})
}

func TestHeartbeatsOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{})
		defer r.close()
		p := r.open(nil)
		check(t, p.SetHeartbeat(time.Second))
		pass(5 * time.Second)
		check(t, p.SetHeartbeat(0))
		pass(2 * time.Second)
		before := p.Context()
		pass(time.Hour)
		if after := p.Context(); after.BytesIn != before.BytesIn || after.BytesOut != before.BytesOut {
			t.Errorf("bytes in an hour: %d in, %d out", after.BytesIn-before.BytesIn, after.BytesOut-before.BytesOut)
		}
		r.echo(p, nil)
	})
}

func TestShutdownAnswersWhatItTook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{})
		defer r.close()
		p, idle := r.open(nil), r.open(nil)
		check(t, idle.Ready(context.Background()))
		result := make(chan error, 1)
		go func() {
			_, _, err := p.Call(context.Background(), typeGate, nil, nil)
			result <- err
		}()
		<-r.started
		down := make(chan error, 1)
		go func() { down <- r.server.Shutdown(context.Background()) }()
		synctest.Wait()
		_, _, err := p.Call(context.Background(), typeEcho, nil, nil)
		is(t, err, wire.ErrUnavailable, base.ErrOverloaded)
		_, _, err = idle.Call(context.Background(), typeEcho, nil, nil)
		is(t, err, wire.ErrUnavailable)
		late, err := r.client.Open(context.Background(), wire.ServiceKVStore, nil)
		check(t, err)
		_, _, err = late.Call(context.Background(), typeEcho, nil, nil)
		is(t, err, wire.ErrUnavailable)
		close(r.gate)
		check(t, <-result)
		check(t, <-down)
	})
}

func TestShutdownIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{})
		defer r.close()
		p := r.open(nil)
		result := make(chan error, 1)
		go func() {
			_, _, err := p.Call(context.Background(), typeWait, nil, nil)
			result <- err
		}()
		<-r.started
		ctx, cancel := context.WithTimeout(context.Background(), 7*time.Second)
		defer cancel()
		within(t, 7*time.Second, 7*time.Second, func() { is(t, r.server.Shutdown(ctx), context.DeadlineExceeded) })
		check(t, r.server.Close())
		is(t, <-result, pwp.ErrLost, base.ErrUnknownOutcome)
	})
}

func TestEarlyData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{
			pipe:    pwptest.Options{Early: true},
			service: func(s *pwp.Service) { s.Early = func(t wire.MessageType) bool { return t == typeEcho } },
		})
		defer r.close()
		p := r.open(nil)
		r.echo(p, []byte("reads run early"))
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, _, err := p.Call(ctx, typeFail, nil, nil)
		is(t, err, context.DeadlineExceeded)
		result := make(chan error, 1)
		go func() {
			_, _, err := p.Call(context.Background(), typeGate, nil, nil)
			result <- err
		}()
		synctest.Wait()
		if len(r.started) != 0 {
			t.Fatal("a write ran before the handshake was done")
		}
		r.sconn.FinishHandshake()
		<-r.started
		close(r.gate)
		check(t, <-result)
	})
}

func TestPeerThatDoesNotEndItsPair(t *testing.T) {
	bare(t, pwp.Limits{CloseTimeout: 3 * time.Second}, pwptest.Options{}, func(t *testing.T, r *rig) {
		p := newRaw(t, r.cconn)
		p.send(0x01, 0x03, 0x10, 0x03, 0xFF) // CLOSE, and the half stays open
		pass(6 * time.Second)
		if c := r.server.Contexts(); len(c) != 0 {
			t.Errorf("contexts %+v", c)
		}
	})
}
