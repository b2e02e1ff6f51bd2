package versioning_test

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/versioning"
)

// benchRig is a rig on a real clock.
func benchRig(b *testing.B) (*rig, *versioning.Bucket) {
	b.Helper()
	r := newRig(b, nil)
	if err := r.clock.Close(); err != nil {
		b.Fatal(err)
	}
	clock, err := versioning.NewClock(r.eng, &hlc.Options{AcceptBound: true})
	if err != nil {
		b.Fatal(err)
	}
	store, err := versioning.Open(r.store.Shard(), clock, nil)
	if err != nil {
		b.Fatal(err)
	}
	r.clock, r.store = clock, store
	return r, r.bucket(1)
}

func benchKey(i int) []byte { return fmt.Appendf(nil, "key-%08d", i) }

var noSync = &versioning.PutOptions{NoSync: true}

// BenchmarkPut writes unsynced puts of 100 bytes to keys that have depth versions already. cache=cold
// means that no descriptor is cached.
func BenchmarkPut(b *testing.B) {
	value := make([]byte, 100)
	for _, c := range []struct {
		depth, max int
		rollover   versioning.Rollover
	}{
		{1, 255, versioning.Relabel},
		{10, 255, versioning.Relabel},
		{10, 10, versioning.Relabel},
		{255, 255, versioning.Relabel},
		{10, 10, versioning.Cascade},
		{255, 255, versioning.Cascade},
	} {
		for _, cache := range []string{"warm", "cold"} {
			b.Run(fmt.Sprintf("depth=%d/max=%d/rollover=%v/cache=%s", c.depth, c.max, c.rollover, cache), func(b *testing.B) {
				r, bucket := benchRig(b)
				ctx := context.Background()
				if err := bucket.SetSettings(ctx, versioning.Settings{MaxVersions: c.max, Rollover: c.rollover}); err != nil {
					b.Fatal(err)
				}
				const width = 64
				for i := range width {
					batch := r.store.NewBatch()
					for range c.depth {
						if err := batch.Put(bucket, benchKey(i), value, nil); err != nil {
							b.Fatal(err)
						}
					}
					if _, err := batch.Commit(ctx, nil); err != nil {
						b.Fatal(err)
					}
				}
				if cache == "cold" {
					// Every key in the one shard of the smallest cache, which holds none of this size.
					store, err := versioning.Open(r.store.Shard(), r.clock, &versioning.Options{Cache: mustCache(b, 32<<10)})
					if err != nil {
						b.Fatal(err)
					}
					r.store = store
					bucket = r.bucket(1)
				}
				b.ResetTimer()
				var reads, writes int
				for i := 0; b.Loop(); i++ {
					res, err := bucket.Put(ctx, benchKey(i%width), value, noSync)
					if err != nil {
						b.Fatal(err)
					}
					reads, writes = reads+res.Reads, writes+res.Writes
				}
				b.ReportMetric(float64(reads)/float64(b.N), "reads/op")
				b.ReportMetric(float64(writes)/float64(b.N), "writes/op")
			})
		}
	}
}

// BenchmarkPutSynced writes durable puts from many goroutines, to keys of their own or all to one.
func BenchmarkPutSynced(b *testing.B) {
	value := make([]byte, 100)
	for _, goroutines := range []int{1, 64, 256} {
		for _, hot := range []bool{false, true} {
			b.Run(fmt.Sprintf("goroutines=%d/one-key=%t", goroutines, hot), func(b *testing.B) {
				_, bucket := benchRig(b)
				b.SetParallelism(max(1, goroutines/2))
				var n atomic.Int64
				b.RunParallel(func(pb *testing.PB) {
					key := benchKey(int(n.Add(1)))
					if hot {
						key = benchKey(0)
					}
					for pb.Next() {
						if _, err := bucket.Put(context.Background(), key, value, nil); err != nil {
							b.Error(err)
							return
						}
					}
				})
			})
		}
	}
}

// BenchmarkBatch loads new keys in batches.
func BenchmarkBatch(b *testing.B) {
	value := make([]byte, 100)
	for _, size := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			r, bucket := benchRig(b)
			next := 0
			for b.Loop() {
				batch := r.store.NewBatch()
				for range size {
					if err := batch.Put(bucket, benchKey(next), value, nil); err != nil {
						b.Fatal(err)
					}
					next++
				}
				if _, err := batch.Commit(context.Background(), nil); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(next)/b.Elapsed().Seconds(), "puts/s")
		})
	}
}

// benchFill writes keys with depth versions each.
func benchFill(b *testing.B, r *rig, bucket *versioning.Bucket, count, depth int) {
	b.Helper()
	for i := range count {
		batch := r.store.NewBatch()
		for d := range depth {
			if err := batch.Put(bucket, benchKey(i), []byte(strconv.Itoa(d)+string(make([]byte, 100))), nil); err != nil {
				b.Fatal(err)
			}
		}
		if _, err := batch.Commit(context.Background(), &versioning.BatchOptions{NoSync: true}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGet reads values of 100 bytes.
func BenchmarkGet(b *testing.B) {
	r, bucket := benchRig(b)
	ctx := context.Background()
	const count = 1000
	benchFill(b, r, bucket, count, 20)
	d, err := bucket.GetVersion(ctx, benchKey(0), 10)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name string
		get  func(key []byte) error
	}{
		{"what=latest", func(key []byte) error { _, err := bucket.Get(ctx, key); return err }},
		{"what=view", func(key []byte) error {
			return bucket.View(ctx, key, func(versioning.Value) error { return nil })
		}},
		{"what=latest-numbered", func(key []byte) error {
			_, err := bucket.GetVersion(ctx, key, versioning.Latest)
			return err
		}},
		{"what=version", func(key []byte) error { _, err := bucket.GetVersion(ctx, key, 10); return err }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := c.get(benchKey(i % count)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("what=at", func(b *testing.B) {
		for b.Loop() {
			if _, err := bucket.GetAt(ctx, benchKey(0), d.Timestamp); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkScan reads 100 keys.
func BenchmarkScan(b *testing.B) {
	for _, depth := range []int{1, 20} {
		for _, o := range []versioning.ScanOptions{
			{}, {Values: true}, {Values: true, Borrow: true}, {Values: true, Reverse: true},
		} {
			b.Run(fmt.Sprintf("depth=%d/values=%t/borrow=%t/reverse=%t", depth, o.Values, o.Borrow, o.Reverse), func(b *testing.B) {
				r, bucket := benchRig(b)
				benchFill(b, r, bucket, 2000, depth)
				o.Limit = 100
				b.ResetTimer()
				for i := 0; b.Loop(); i++ {
					o.Start = benchKey(i * 100 % 1900)
					n := 0
					for _, err := range bucket.Scan(context.Background(), &o) {
						if err != nil {
							b.Fatal(err)
						}
						n++
					}
					if n != 100 {
						b.Fatal(n)
					}
				}
			})
		}
	}
}
