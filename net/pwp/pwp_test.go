package pwp_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/pair"
	"github.com/shieldmaidens/pleiades/net/pwp/pwptest"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

func TestCallsOfAllSizes(t *testing.T) {
	for name, pipe := range map[string]pwptest.Options{
		"plain": {}, "one byte a read": {ReadBytes: 1}, "tiny window": {WindowBytes: 7},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, rigOptions{pipe: pipe})
			defer r.close()
			p, bulk := r.open(nil), r.open(&pwp.PairOptions{Bulk: true, CheckVersion: true})
			random := rand.New(rand.NewPCG(1, 2))
			for _, size := range []int{0, 1, 100, 480, 490, 500, 511, 512, 513, 4 << 10, 5000, 60 << 10, 1 << 20} {
				b := make([]byte, size)
				for i := range b {
					b[i] = byte(random.Uint32())
				}
				if size > 60<<10 {
					if pipe.ReadBytes > 0 || pipe.WindowBytes > 0 {
						b = b[:100<<10]
					}
					r.echo(bulk, b)
					_, _, err := p.Call(context.Background(), typeEcho, field3(b), nil)
					is(t, err, pwp.ErrBulk, base.ErrInvalid)
					continue
				}
				r.echo(p, b)
			}
			if v := bulk.Context().Version; v != wire.Version1 {
				t.Errorf("version %d", v)
			}
			check(t, p.Close(context.Background()))
			check(t, bulk.Close(context.Background()))
			eventually(t, "streams are done", func() bool { return r.cconn.Live() == 0 })
		})
	}
}

func TestManyInFlightAnsweredOutOfOrder(t *testing.T) {
	r := newRig(t, rigOptions{})
	defer r.close()
	p := r.open(nil)
	var wg sync.WaitGroup
	slow := make(chan error, 1)
	go func() {
		_, _, err := p.Call(context.Background(), typeGate, field3([]byte("slow")), nil)
		slow <- err
	}()
	<-r.started
	for worker := range 16 {
		wg.Go(func() {
			for i := range 50 {
				r.echo(p, fmt.Appendf(nil, "%d/%d", worker, i))
			}
		})
	}
	wg.Wait()
	select {
	case err := <-slow:
		t.Fatalf("the slow call returned: %v", err)
	default:
	}
	close(r.gate)
	check(t, <-slow)
	c := p.Context()
	if c.MessagesIn != 801 || c.MessagesOut != 801 || c.InFlight != 0 || c.Service != wire.ServiceKVStore ||
		c.State != pair.StateEstablished || c.BytesIn == 0 || c.BytesOut == 0 || c.Peer != "server" {
		t.Errorf("context %+v", c)
	}
	if s := r.server.Contexts(); len(s) != 1 || s[0].MessagesIn != 801 || s[0].Peer != "client" || s[0].Stream != 0 {
		t.Errorf("server's contexts %+v", s)
	}
}

// TestBothSidesFull has more under way in both directions than windows and queues hold together.
func TestBothSidesFull(t *testing.T) {
	r := newRig(t, rigOptions{
		pipe:   pwptest.Options{WindowBytes: 4 << 10},
		server: pwp.Limits{MaxQueuedBytes: 4 << 10}, client: pwp.Limits{MaxQueuedBytes: 4 << 10},
	})
	defer r.close()
	p := r.open(nil)
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 20 {
				r.echo(p, make([]byte, 16<<10))
			}
		})
	}
	wg.Wait()
}

func TestStreamsEndAndFlowControlHolds(t *testing.T) {
	r := newRig(t, rigOptions{
		pipe: pwptest.Options{WindowBytes: 1 << 10}, server: pwp.Limits{MaxQueuedBytes: 1 << 10},
		client: pwp.Limits{MaxStreamMessages: 4},
	})
	defer r.close()
	const total = 5000
	p := r.open(nil)
	s, err := p.Stream(context.Background(), typeCount, field3(binary.BigEndian.AppendUint32(nil, total)))
	check(t, err)
	_, _, err = s.Next()
	check(t, err)
	// Nobody takes any more: the server must come to a stop long before the end.
	var last uint64
	eventually(t, "the server stops sending", func() bool {
		in := p.Context().MessagesIn
		stopped := in == last
		last = in
		return stopped && in > 0
	})
	if sent := r.server.Contexts()[0].MessagesOut; sent > total/4 {
		t.Errorf("%d of %d were sent to a consumer that took one", sent, total)
	}
	for i := uint32(1); i < total; i++ {
		typ, msg, err := s.Next()
		if err != nil || typ != typeNumber || binary.BigEndian.Uint32(body(t, msg)) != i {
			t.Fatalf("message %d: %v % x %v", i, typ, msg, err)
		}
	}
	if _, _, err := s.Next(); err != io.EOF {
		t.Fatalf("at the end: %v", err)
	}
	check(t, s.Close())
	r.echo(p, []byte("the pair goes on"))
}

func TestStreamClosedEarly(t *testing.T) {
	r := newRig(t, rigOptions{client: pwp.Limits{MaxStreamMessages: 2}})
	defer r.close()
	p := r.open(nil)
	for range 20 {
		s, err := p.Stream(context.Background(), typeCount, field3(binary.BigEndian.AppendUint32(nil, 1<<31)))
		check(t, err)
		for range 3 {
			_, _, err = s.Next()
			check(t, err)
		}
		check(t, s.Close())
		r.echo(p, []byte("x"))
	}
	eventually(t, "the server ends them all", func() bool { return r.server.Contexts()[0].InFlight == 0 })
	eventually(t, "the client knows", func() bool { return p.Context().InFlight == 0 })
}

func TestErrorsCross(t *testing.T) {
	r := newRig(t, rigOptions{})
	defer r.close()
	p := r.open(nil)
	call := func(typ wire.MessageType) error {
		_, _, err := p.Call(context.Background(), typ, nil, nil)
		return err
	}
	is(t, call(typeFail), base.ErrConflict)
	if err := call(typeFail); err.Error() != "row 7: conflict" {
		t.Errorf("text %q", err)
	}
	is(t, call(typePanic), wire.ErrInternal)
	is(t, call(typeEmpty), pwp.ErrNoAnswer)
	s, err := p.Stream(context.Background(), typeFail, nil)
	check(t, err)
	_, _, err = s.Next()
	is(t, err, base.ErrConflict)
	check(t, s.Close())
	r.echo(p, []byte("still there"))
}

func TestCancelAndDeadline(t *testing.T) {
	r := newRig(t, rigOptions{})
	defer r.close()
	p := r.open(nil)
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() {
		_, _, err := p.Call(ctx, typeWait, nil, nil)
		result <- err
	}()
	<-r.started
	cancel()
	is(t, <-result, context.Canceled)
	eventually(t, "the handler ends", func() bool { return r.server.Contexts()[0].InFlight == 0 })

	ctx, cancel = context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	_, _, err := p.Call(ctx, typeWait, nil, nil)
	is(t, err, context.DeadlineExceeded)
	_, _, err = p.Call(ctx, typeEcho, nil, nil)
	is(t, err, context.DeadlineExceeded)
	eventually(t, "the handler ends", func() bool { return r.server.Contexts()[0].InFlight == 0 })
	eventually(t, "the client knows", func() bool { return p.Context().InFlight == 0 })
	r.echo(p, []byte("x"))
}

func TestFiveAnswersToAService(t *testing.T) {
	for code := wire.ServiceReady; code <= wire.ServiceNeverError; code++ {
		t.Run(code.String(), func(t *testing.T) {
			r := newRig(t, rigOptions{service: func(s *pwp.Service) {
				s.Admit = func(c pwp.Conn) (wire.ServiceCode, *wire.Error) {
					if !code.HasError() {
						return code, nil
					}
					return code, &wire.Error{Code: wire.CodePermission, Text: "no certificate from " + c.Peer()}
				}
			}})
			defer r.close()
			p := r.open(nil)
			_, _, err := p.Call(context.Background(), typeEcho, field3([]byte("x")), nil)
			ready := p.Ready(context.Background())
			if code == wire.ServiceReady {
				check(t, err)
				check(t, ready)
				return
			}
			for _, err := range []error{err, ready} {
				refused, ok := errors.AsType[*pwp.RefusedError](err)
				if !ok || refused.Code != code || (refused.Err != nil) != code.HasError() {
					t.Fatalf("%+v", err)
				}
				switch code {
				case wire.ServiceRetry, wire.ServiceRetryError:
					is(t, err, wire.ErrUnavailable, base.ErrOverloaded)
				case wire.ServiceNever:
					is(t, err, base.ErrNotFound)
				case wire.ServiceNeverError:
					is(t, err, base.ErrPermission)
				}
			}
			eventually(t, "the pair is gone", func() bool { return len(r.server.Contexts())+len(r.client.Contexts()) == 0 })
			eventually(t, "its streams are done", func() bool { return r.cconn.Live() == 0 })
		})
	}
}

func TestServicesThatAreNotThere(t *testing.T) {
	r := newRig(t, rigOptions{})
	defer r.close()
	for service, want := range map[wire.Service]error{wire.ServiceRaft: wire.ErrUnavailable, 0x77: base.ErrNotFound} {
		p, err := r.client.Open(context.Background(), service, nil)
		check(t, err)
		is(t, p.Ready(context.Background()), want)
	}
}

func TestStatusAndPing(t *testing.T) {
	r := newRig(t, rigOptions{})
	defer r.close()
	p, err := r.client.Open(context.Background(), 0, nil)
	check(t, err)
	for service, want := range map[wire.Service]wire.Status{
		wire.ServiceKVStore: wire.StatusHealthy, wire.ServiceRaft: wire.StatusUnhealthy, 0x77: wire.StatusUnhealthy,
	} {
		if got, err := p.Status(context.Background(), service); err != nil || got != want {
			t.Errorf("status of %v: %v, %v", service, got, err)
		}
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if took, err := p.Ping(context.Background()); err != nil || took <= 0 {
				t.Errorf("ping: %v, %v", took, err)
			}
		})
	}
	wg.Wait()
	if p.Context().RoundTrip <= 0 {
		t.Errorf("the context knows no round trip")
	}
	_, _, err = p.Call(context.Background(), typeEcho, nil, nil)
	is(t, err, pair.ErrUsage)
	check(t, p.Close(context.Background()))
	_, err = p.Ping(context.Background())
	is(t, err, base.ErrClosed)
}

func TestBounds(t *testing.T) {
	r := newRig(t, rigOptions{
		server: pwp.Limits{MaxRequestsPerPair: 100, MaxRequestsPerConn: 3, MaxPairsPerConn: 2},
		client: pwp.Limits{MaxRequestsPerPair: 5},
	})
	defer r.close()
	p := r.open(nil)
	results := make(chan error, 8)
	call := func() {
		_, _, err := p.Call(context.Background(), typeGate, nil, nil)
		results <- err
	}
	for range 3 {
		go call()
		<-r.started
	}
	_, _, err := p.Call(context.Background(), typeEcho, nil, nil)
	is(t, err, base.ErrOverloaded)
	second := r.open(nil)
	check(t, second.Ready(context.Background()))
	third := r.open(nil)
	_, _, err = third.Call(context.Background(), typeEcho, nil, nil)
	is(t, err, pwp.ErrNotRun, wire.ErrUnavailable, base.ErrOverloaded)
	check(t, second.Close(context.Background()))
	close(r.gate)
	for range 3 {
		check(t, <-results)
	}
	r.echo(p, []byte("x"))
	r.echo(r.open(nil), []byte("there is room again"))
}

func TestOptionsAreChecked(t *testing.T) {
	_, err := pwp.NewServer(&pwp.ServerOptions{Limits: &pwp.Limits{MaxMessageBytes: -1, StallTimeout: time.Millisecond}})
	is(t, err, pwp.ErrOptions, base.ErrInvalid)
	for _, name := range []string{"MaxMessageBytes", "StallTimeout"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
	_, err = pwp.NewClient(nil, &pwp.ClientOptions{Limits: &pwp.Limits{MaxQueuedBytes: -1}})
	is(t, err, pwp.ErrOptions)
}
