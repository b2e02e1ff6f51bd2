package bench

import (
	"math/bits"
	"time"
)

// histogram counts latencies in buckets whose width is at most 1/32 of their value: from 0 to an hour in
// nanoseconds, 12 KiB, no allocation while recording.
//
//	0..63 ns    one bucket a nanosecond
//	2^k..       32 buckets for each further power of two
type histogram struct {
	counts [histBuckets]uint64
	n      uint64
	sum    uint64
	max    uint64
}

const (
	histSubBits = 5
	histSub     = 1 << histSubBits
	histTop     = 42 // 2^42 ns is 73 minutes
	histBuckets = (histTop - histSubBits + 1) * histSub
)

func histBucket(v uint64) int {
	v = min(v, 1<<histTop-1)
	if v < 2*histSub {
		return int(v)
	}
	shift := bits.Len64(v) - histSubBits - 1
	return shift*histSub + int(v>>shift)
}

// histUpper returns the highest value of a bucket.
func histUpper(i int) uint64 {
	if i < 2*histSub {
		return uint64(i)
	}
	shift := i/histSub - 1
	return (uint64(i-shift*histSub)+1)<<shift - 1
}

func (h *histogram) record(d time.Duration) {
	v := uint64(max(d, 0))
	h.counts[histBucket(v)]++
	h.n++
	h.sum += v
	h.max = max(h.max, v)
}

func (h *histogram) merge(o *histogram) {
	for i, c := range o.counts {
		h.counts[i] += c
	}
	h.n += o.n
	h.sum += o.sum
	h.max = max(h.max, o.max)
}

// quantile returns a value that the share q of all records does not exceed; it is at most 1/32 above
// the exact one.
func (h *histogram) quantile(q float64) time.Duration {
	rank := uint64(q * float64(h.n))
	if float64(rank) < q*float64(h.n) {
		rank++
	}
	seen := uint64(0)
	for i, c := range h.counts {
		if seen += c; seen >= max(rank, 1) {
			return time.Duration(min(histUpper(i), h.max))
		}
	}
	return time.Duration(h.max)
}

// Latency is how long single operations took. Quantiles are at most 3 % above the exact ones. In JSON
// the unit is nanoseconds.
type Latency struct {
	Mean time.Duration `json:"mean_ns"`
	P50  time.Duration `json:"p50_ns"`
	P95  time.Duration `json:"p95_ns"`
	P99  time.Duration `json:"p99_ns"`
	P999 time.Duration `json:"p999_ns"`
	Max  time.Duration `json:"max_ns"`
}

func (h *histogram) latency() Latency {
	if h.n == 0 {
		return Latency{}
	}
	return Latency{
		Mean: time.Duration(h.sum / h.n), P50: h.quantile(.50), P95: h.quantile(.95),
		P99: h.quantile(.99), P999: h.quantile(.999), Max: time.Duration(h.max),
	}
}
