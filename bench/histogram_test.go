package bench

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestHistogramQuantiles(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var h, parts [2]histogram
	var all []uint64
	for range 50_000 {
		v := uint64(1) << rng.IntN(38)
		v += rng.Uint64N(v)
		all = append(all, v)
		h[0].record(time.Duration(v))
		parts[rng.IntN(2)].record(time.Duration(v))
	}
	slices.Sort(all)
	h[1].merge(&parts[0])
	h[1].merge(&parts[1])
	if h[0] != h[1] {
		t.Error("merging two halves differs from recording all in one")
	}
	for _, q := range []float64{.5, .95, .99, .999, 1} {
		exact := all[max(int(q*float64(len(all)))-1, 0)]
		got := uint64(h[0].quantile(q))
		if got < exact || float64(got) > float64(exact)*(1+1.0/histSub)+1 {
			t.Errorf("quantile %v is %d, exactly %d", q, got, exact)
		}
	}
	if h[0].latency().Max != time.Duration(all[len(all)-1]) {
		t.Error("the maximum is not exact")
	}
}

func TestHistogramBucketsTile(t *testing.T) {
	next := uint64(0)
	for i := range histBuckets {
		if histBucket(next) != i || histBucket(histUpper(i)) != i {
			t.Fatalf("bucket %d: begins at %d (in %d), ends at %d (in %d)", i, next, histBucket(next), histUpper(i), histBucket(histUpper(i)))
		}
		next = histUpper(i) + 1
	}
	if next != 1<<histTop || histBucket(1<<63) != histBuckets-1 {
		t.Errorf("the buckets end at %d", next)
	}
}
