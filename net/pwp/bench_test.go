package pwp_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/shieldmaidens/pleiades/net/pwp"
)

// BenchmarkCall measures a call and its answer over memory, client and server in one process: what the protocol costs
// without QUIC.
func BenchmarkCall(b *testing.B) {
	for _, size := range []int{64, 4 << 10, 64<<10 - 64, 1 << 20} {
		for _, inFlight := range []int{1, 64} {
			b.Run(fmt.Sprintf("size=%d/inflight=%d", size, inFlight), func(b *testing.B) {
				r := newRig(b, rigOptions{})
				defer r.close()
				p := r.open(&pwp.PairOptions{Bulk: true})
				request := field3(make([]byte, size))
				b.SetBytes(int64(2 * size))
				b.ReportAllocs()
				var left atomic.Int64
				var wg sync.WaitGroup
				b.ResetTimer()
				left.Store(int64(b.N))
				for range inFlight {
					wg.Go(func() {
						var dst []byte
						for left.Add(-1) >= 0 {
							_, msg, err := p.Call(context.Background(), typeEcho, request, dst[:0])
							if err != nil {
								b.Error(err)
								return
							}
							dst = msg
						}
					})
				}
				wg.Wait()
			})
		}
	}
}

// BenchmarkPair measures a pair for one call: set-up in one flight, call, close.
func BenchmarkPair(b *testing.B) {
	r := newRig(b, rigOptions{})
	defer r.close()
	b.ReportAllocs()
	for b.Loop() {
		p := r.open(nil)
		if _, _, err := p.Call(context.Background(), typeEcho, nil, nil); err != nil {
			b.Fatal(err)
		}
		if err := p.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStream measures one message of a stream of responses.
func BenchmarkStream(b *testing.B) {
	r := newRig(b, rigOptions{})
	defer r.close()
	p := r.open(nil)
	b.ReportAllocs()
	b.ResetTimer()
	s, err := p.Stream(context.Background(), typeCount, field3([]byte{byte(b.N >> 24), byte(b.N >> 16), byte(b.N >> 8), byte(b.N)}))
	if err != nil {
		b.Fatal(err)
	}
	for range b.N {
		if _, _, err := s.Next(); err != nil {
			b.Fatal(err)
		}
	}
	_ = s.Close()
}
