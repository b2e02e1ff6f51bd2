package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// call is one case: what a call carries, and how many are under way.
type call struct {
	Name string
	// RequestBytes is the size of the key, ResponseBytes that of the value.
	RequestBytes, ResponseBytes int
	InFlight                    int
	// Connect makes a connection for each call; Ticket lets it resume an earlier one.
	Connect, Ticket bool
}

var calls = []call{
	{Name: "64B/1", RequestBytes: 64, ResponseBytes: 64, InFlight: 1},
	{Name: "64B/64", RequestBytes: 64, ResponseBytes: 64, InFlight: 64},
	{Name: "1MiB/1", RequestBytes: 64, ResponseBytes: 1 << 20, InFlight: 1},
	{Name: "1MiB/8", RequestBytes: 64, ResponseBytes: 1 << 20, InFlight: 8},
	{Name: "connect", RequestBytes: 64, ResponseBytes: 64, InFlight: 4, Connect: true},
	{Name: "connect-ticket", RequestBytes: 64, ResponseBytes: 64, InFlight: 4, Connect: true, Ticket: true},
}

func callNamed(name string) (call, error) {
	i := slices.IndexFunc(calls, func(c call) bool { return c.Name == name })
	if i < 0 {
		return call{}, fmt.Errorf("no case %q", name)
	}
	return calls[i], nil
}

// caller makes calls on one connection.
type caller interface {
	// call sends a key and returns how many bytes the value that came back has. It may be called concurrently.
	call(ctx context.Context, key []byte) (int, error)
	close() error
}

// dialer makes connections. It keeps tickets only if the case wants them.
type dialer func(ctx context.Context) (caller, error)

// figures are what a client measured.
type figures struct {
	Calls   int64   `json:"calls"`
	Seconds float64 `json:"seconds"`
	// P50 and P99 are microseconds.
	P50 float64 `json:"p50_micros"`
	P99 float64 `json:"p99_micros"`
}

// drive runs a case for a duration after a warm-up of a quarter of it.
func drive(ctx context.Context, c call, dial dialer, duration time.Duration) (figures, error) {
	var shared caller
	if !c.Connect {
		var err error
		if shared, err = dial(ctx); err != nil {
			return figures{}, err
		}
		defer shared.close()
	} else if c.Ticket { // so that there is one
		first, err := dial(ctx)
		if err != nil {
			return figures{}, err
		}
		if _, err := first.call(ctx, make([]byte, c.RequestBytes)); err != nil {
			return figures{}, err
		}
		if err := first.close(); err != nil {
			return figures{}, err
		}
	}
	var measuring atomic.Bool
	stop := make(chan struct{})
	samples := make([][]time.Duration, c.InFlight)
	errs := make([]error, c.InFlight)
	var wg sync.WaitGroup
	for i := range c.InFlight {
		wg.Go(func() {
			key := make([]byte, c.RequestBytes)
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				copy(key, fmt.Sprintf("%d/%d", i, n))
				began := time.Now()
				if err := one(ctx, c, shared, dial, key); err != nil {
					errs[i] = err
					return
				}
				if measuring.Load() {
					samples[i] = append(samples[i], time.Since(began))
				}
			}
		})
	}
	wait(ctx, duration/4)
	measuring.Store(true)
	began := time.Now()
	wait(ctx, duration)
	measuring.Store(false)
	elapsed := time.Since(began)
	close(stop)
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return figures{}, err
		}
	}
	all := slices.Concat(samples...)
	if len(all) == 0 {
		return figures{}, fmt.Errorf("no call ended within %v", duration)
	}
	slices.Sort(all)
	at := func(q float64) float64 { return float64(all[int(q*float64(len(all)-1))].Nanoseconds()) / 1e3 }
	return figures{Calls: int64(len(all)), Seconds: elapsed.Seconds(), P50: at(0.5), P99: at(0.99)}, nil
}

func one(ctx context.Context, c call, shared caller, dial dialer, key []byte) error {
	conn := shared
	if c.Connect {
		var err error
		if conn, err = dial(ctx); err != nil {
			return err
		}
		defer conn.close()
	}
	n, err := conn.call(ctx, key)
	if err == nil && n != c.ResponseBytes {
		err = fmt.Errorf("the answer has %d bytes, want %d", n, c.ResponseBytes)
	}
	return err
}

func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
