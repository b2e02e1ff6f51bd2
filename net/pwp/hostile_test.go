package pwp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/pwptest"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// recording is what a client sends in a conversation that has something of everything.
func recording() []byte {
	b := []byte{0x01, 0x05, 0x01, 0x03, 0x12, 0x03, 0x10, 0x03}
	b = wire.AppendMessage(b, typeEcho, wire.Envelope{ID: 1, Timeout: time.Second}, field3([]byte("\x00\x00\x00\x02first"))) // as typeCount it would be 2
	b = wire.AppendLatencyStart(b, 7)
	b = wire.AppendMessage(b, typeCount, wire.Envelope{ID: 2, Timeout: time.Second}, field3([]byte{0, 0, 0, 3}))
	b = wire.AppendHeartbeat(b)
	b = wire.AppendMessage(b, typeWait, wire.Envelope{ID: 3, Timeout: time.Second}, nil)
	b = wire.AppendMessage(b, wire.TypeCancel, wire.Envelope{ID: 3}, nil)
	b = wire.AppendMessage(b, typeFail, wire.Envelope{ID: 4, Timeout: time.Second}, nil)
	return wire.AppendClose(append(b, 0xE1, 0x00))
}

// play sends b as a client whose half ends behind it, and returns all that the server says, until it ends its half.
func play(t testing.TB, conn *pwptest.Conn, b []byte) ([]byte, error) {
	p := newRaw(t, conn)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = p.request.Write(b) // the server may have enough before the end
		_ = p.request.CloseWrite()
		_, _ = io.Copy(io.Discard, p.request)
	}()
	p.accept()
	answer, err := p.drain()
	<-done
	return answer, err
}

// TestEveryTruncation cuts a recorded conversation behind every byte. The server always ends the pair with CLOSE: with an
// error about the pair when a frame or message was cut, and without one at the border of two.
func TestEveryTruncation(t *testing.T) {
	whole := recording()
	borders := map[int]bool{}
	for n := 0; n < len(whole); {
		borders[n] = true
		if p, m, err := wire.ParsePrelude(whole[n:]); err == nil {
			n += m + int(p.SizeBytes)
			continue
		}
		_, m, err := wire.Parse(whole[n:])
		check(t, err)
		n += m
	}
	borders[len(whole)], borders[0] = true, false
	bare(t, pwp.Limits{}, pwptest.Options{}, func(t *testing.T, r *rig) {
		for n := range len(whole) + 1 {
			answer, err := play(t, r.cconn, whole[:n])
			if err != nil || answer[len(answer)-1] != 0xFF {
				t.Fatalf("cut to %d bytes: % x, %v", n, answer, err)
			}
			e := pairError(t, answer)
			switch {
			case borders[n] && e != nil:
				t.Fatalf("cut to %d bytes, between frames: %v", n, e)
			case !borders[n] && (e == nil || wire.CloseCode(e.Detail) != wire.CloseTruncated):
				t.Fatalf("cut to %d bytes: %+v", n, e)
			}
		}
		synctest.Wait()
		if n := r.cconn.Live(); n != 0 {
			t.Errorf("%d streams are left", n)
		}
	})
}

// TestEverySingleByteChange changes each byte of the conversation to every other value. Whatever comes of it, the pair
// ends, what the server says is well formed, its reason has a number, and the next client is not affected.
func TestEverySingleByteChange(t *testing.T) {
	whole := recording()
	step := 1
	if testing.Short() {
		step = 16
	}
	bare(t, pwp.Limits{}, pwptest.Options{}, func(t *testing.T, r *rig) {
		failures, fine := 0, 0
		for i := range whole {
			for delta := 1; delta < 256; delta += step {
				changed := bytes.Clone(whole)
				changed[i] ^= byte(delta)
				answer, err := play(t, r.cconn, changed)
				if err != nil || len(answer) == 0 || answer[len(answer)-1] != 0xFF {
					t.Fatalf("byte %d ^ %02x: % x, %v", i, delta, answer, err)
				}
				e := pairError(t, answer) // fails when it is not well formed
				switch {
				case e == nil:
					fine++
				case wire.CloseCode(e.Detail) <= wire.CloseInternal && e.Code != wire.CodeUnavailable:
					t.Fatalf("byte %d ^ %02x: %+v", i, delta, e)
				default:
					failures++
				}
			}
		}
		if answer, err := play(t, r.cconn, whole); err != nil || pairError(t, answer) != nil {
			t.Fatalf("the conversation as it is: % x, %v", answer, err)
		}
		synctest.Wait()
		if n := r.cconn.Live(); n != 0 {
			t.Errorf("%d streams are left", n)
		}
		if failures < 5*fine || fine == 0 {
			t.Errorf("%d changes failed and %d did not: the test does not test what it says", failures, fine)
		}
	})
}

func TestRandomBytes(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 11))
	bare(t, pwp.Limits{}, pwptest.Options{}, func(t *testing.T, r *rig) {
		for i := range 3000 {
			b := make([]byte, 1+random.IntN(200))
			for j := range b {
				b[j] = byte(random.Uint32())
			}
			if i%2 == 0 {
				b = append([]byte{0x01, 0x03, 0x10, 0x03}, b...)
			}
			answer, err := play(t, r.cconn, b)
			if err != nil || answer[len(answer)-1] != 0xFF {
				t.Fatalf("% x: % x, %v", b, answer, err)
			}
			pairError(t, answer)
		}
	})
}

// TestHostileServer gives a client the same treatment: calls end with a typed error, whatever comes back.
func TestHostileServer(t *testing.T) {
	answer := []byte{0x01, 0x11, 0x00}
	answer = wire.AppendMessage(answer, typeEchoed, wire.Envelope{ID: 1}, field3([]byte("x")))
	answer = wire.AppendClose(answer)
	setup := wire.AppendResponseStreamID(nil, 1)
	talk := func(t *testing.T, setup, answer []byte) error {
		cconn, sconn := pwptest.Pipe(nil)
		client, err := pwp.NewClient(cconn, nil)
		check(t, err)
		p, err := client.Open(context.Background(), wire.ServiceKVStore, nil)
		check(t, err)
		go func() {
			request, err := sconn.AcceptStream(context.Background())
			if err != nil {
				return
			}
			response, err := sconn.OpenStream(context.Background())
			if err != nil {
				return
			}
			_, _ = request.Write(setup)
			_ = request.CloseWrite()
			_, _ = response.Write(answer)
			_ = response.CloseWrite()
			_, _ = io.Copy(io.Discard, request)
		}()
		_, _, err = p.Call(context.Background(), typeEcho, nil, nil)
		synctest.Wait()
		if n := len(client.Contexts()); n != 0 && err != nil {
			pass(10 * time.Second)
			if n := len(client.Contexts()); n != 0 {
				t.Errorf("%d pairs are left: %v", n, err)
			}
		}
		check(t, client.Close())
		check(t, sconn.CloseWithError(wire.CloseNone, "the test is over"))
		return err
	}
	synctest.Test(t, func(t *testing.T) {
		check(t, talk(t, setup, answer))
		for n := range answer {
			if err := talk(t, setup, answer[:n]); err == nil && n < len(answer)-1 {
				t.Fatalf("answer cut to %d bytes: no error", n)
			}
		}
		for i := range answer {
			for delta := 1; delta < 256; delta += 7 {
				changed := bytes.Clone(answer)
				changed[i] ^= byte(delta)
				_ = talk(t, setup, changed) // ends, one way or another
			}
		}
		for _, wrong := range [][]byte{{0x02, 0, 0, 0, 0, 0, 0, 0, 5}, {0xE0}, append(bytes.Clone(setup), 0x01)} {
			cut := append([]byte{0x01, 0x11, 0x00}, make([]byte, 0)...)
			is(t, talk(t, wrong, cut), pwp.ErrLost)
		}
	})
}

func TestServerThatOpensStreamsOfItsOwn(t *testing.T) {
	cconn, sconn := pwptest.Pipe(nil)
	client, err := pwp.NewClient(cconn, nil)
	check(t, err)
	defer func() { check(t, client.Close()) }()
	s, err := sconn.OpenStream(context.Background())
	check(t, err)
	_, err = s.Write([]byte{1})
	check(t, err)
	eventually(t, "the connection is closed", func() bool {
		code, _, closed := cconn.Closed()
		return closed && code == wire.CloseBadValue
	})
	_, err = client.Open(context.Background(), wire.ServiceKVStore, nil)
	is(t, err, pwp.ErrNotRun)
}

// TestAnnouncedBytesAreNotAllocated has many pairs announce the largest message and send little of it. The limit on bytes
// of messages is far away: what holds memory down is that it grows with what arrives.
func TestAnnouncedBytesAreNotAllocated(t *testing.T) {
	const pairs, sent = 50, 70 << 10
	limits := pwp.Limits{MessageTimeout: time.Hour, MessageBytes: 1 << 34, MessageBytesPerConn: 1 << 34}
	bare(t, limits, pwptest.Options{}, func(t *testing.T, r *rig) {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for range pairs {
			p := newRaw(t, r.cconn)
			p.send(0x01, 0x03, 0x10, 0x03)
			p.send(wire.AppendPrelude(nil, wire.Prelude{Type: 1, SizeBytes: wire.DefaultMaxMessageBytes})...)
			p.send(make([]byte, sent)...)
		}
		synctest.Wait()
		runtime.GC()
		runtime.ReadMemStats(&after)
		if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > pairs*5*sent {
			t.Errorf("%d pairs that sent %d bytes each cost %d bytes", pairs, sent, grown)
		}
		if n := r.server.MessageBytesInUse(); n != pairs*wire.DefaultMaxMessageBytes {
			t.Errorf("%d bytes are charged: the test does not test what it says", n)
		}
		check(t, r.cconn.CloseWithError(wire.CloseNone, "enough"))
	})
}

// TestLedgerHoldsBackMessages has more large messages under way than the server holds: all of them arrive, in turn.
func TestLedgerHoldsBackMessages(t *testing.T) {
	const size = 200 << 10
	limits := pwp.Limits{MaxMessageBytes: 256 << 10, MessageBytesPerConn: 512 << 10, MessageBytes: 512 << 10}
	r := newRig(t, rigOptions{server: limits})
	defer r.close()
	var wg sync.WaitGroup
	for range 8 {
		p := r.open(&pwp.PairOptions{Bulk: true})
		wg.Go(func() {
			for range 5 {
				r.echo(p, make([]byte, size))
				if n := r.server.MessageBytesInUse(); n > limits.MessageBytes {
					t.Errorf("%d bytes are charged", n)
				}
			}
		})
	}
	wg.Wait()
	p := r.open(&pwp.PairOptions{Bulk: true})
	_, _, err := p.Call(context.Background(), typeEcho, field3(make([]byte, 300<<10)), nil)
	is(t, err, pwp.ErrLost)
	lost, ok := errors.AsType[*pwp.LostError](err)
	if !ok {
		t.Fatalf("%T", err)
	}
	reason, ok := errors.AsType[*wire.Error](lost.Cause)
	if !ok || wire.CloseCode(reason.Detail) != wire.CloseTooLarge {
		t.Fatalf("the reason is %+v", lost.Cause)
	}
}

func TestIdlePairsAreCheap(t *testing.T) {
	const pairs = 10_000
	limits := pwp.Limits{MaxPairsPerConn: 2 * pairs}
	r := newRig(t, rigOptions{server: limits, client: limits})
	defer r.close()
	measure := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc + m.StackInuse)
	}
	before := measure()
	for range pairs {
		p := r.open(nil)
		check(t, p.Ready(context.Background()))
	}
	r.echo(r.open(nil), []byte("others are served"))
	// Both ends and the transport between them are in this process.
	each := (measure() - before) / pairs
	t.Logf("an idle pair costs %d bytes, both ends and the transport together", each)
	if each > 24<<10 && !raceDetector { // which makes every stack larger
		t.Errorf("an idle pair costs %d bytes", each)
	}
}

// TestNoStreamCreditLeaks opens and closes many pairs on one connection with room for few at a time.
func TestNoStreamCreditLeaks(t *testing.T) {
	pairs := 100_000
	if testing.Short() {
		pairs = 5000
	}
	r := newRig(t, rigOptions{pipe: pwptest.Options{MaxStreams: 20}})
	defer r.close()
	const workers = 10
	var wg sync.WaitGroup
	for worker := range workers {
		wg.Go(func() {
			for i := range pairs / workers {
				p, err := r.client.Open(context.Background(), wire.ServiceKVStore, nil)
				if err != nil {
					t.Errorf("pair %d: %v", i, err)
					return
				}
				switch (i + worker) % 4 {
				case 0:
					p.Abort()
				case 1:
					_, _, _ = p.Call(context.Background(), typeEcho, nil, nil)
					p.Abort()
				default:
					if _, _, err := p.Call(context.Background(), typeEcho, nil, nil); err != nil {
						t.Errorf("pair %d: %v", i, err)
					}
					if err := p.Close(context.Background()); err != nil {
						t.Errorf("pair %d: %v", i, err)
					}
				}
			}
		})
	}
	wg.Wait()
	eventually(t, "all streams are done", func() bool { return r.cconn.Live() == 0 })
	eventually(t, "all contexts are gone", func() bool { return len(r.server.Contexts())+len(r.client.Contexts()) == 0 })
}

func TestConnectionCutUnderLoad(t *testing.T) {
	for round := range 20 {
		r := newRig(t, rigOptions{})
		p := r.open(nil)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for {
					if _, _, err := p.Call(context.Background(), typeEcho, field3([]byte("x")), nil); err != nil {
						return
					}
				}
			})
		}
		r.echo(p, fmt.Append(nil, round))
		if round%2 == 0 {
			check(t, r.sconn.CloseWithError(wire.CloseInternal, "gone"))
		} else {
			r.sconn.Cut(wire.CloseInternal)
		}
		wg.Wait()
		_, _, err := p.Call(context.Background(), typeEcho, nil, nil)
		is(t, err, pwp.ErrNotRun)
		r.close()
	}
}
