package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/linxGnu/grocksdb"
	"golang.org/x/sys/unix"
)

// Benchmarks of reads, each beside the same through plain grocksdb on the same database. They run on
// flushed tables in the block cache.

const benchRows, benchValue = 100_000, 100

// loop runs f b.N times and reports, besides the time, the processor time of the whole process: on a
// machine that others use, that is the figure to compare.
func loop(b *testing.B, f func(i int)) {
	b.Helper()
	b.ReportAllocs()
	var before, after unix.Rusage
	n := 0
	for b.Loop() {
		if n == 0 {
			if err := unix.Getrusage(unix.RUSAGE_SELF, &before); err != nil {
				b.Fatal(err)
			}
		}
		f(n)
		n++
	}
	if err := unix.Getrusage(unix.RUSAGE_SELF, &after); err != nil {
		b.Fatal(err)
	}
	used := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
	b.ReportMetric(float64(used)/float64(n), "cpu-ns/op")
}

func newBenchShard(b *testing.B) (*Engine, *Shard) {
	b.Helper()
	o := smallOptions()
	o.BlockCacheBytes, o.ShardMemtableBytes = 256<<20, 64<<20
	e, err := Open(b.TempDir(), o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { closeReading(b, e) })
	s, err := e.CreateShard(context.Background(), FirstUserShard)
	if err != nil {
		b.Fatal(err)
	}
	incompressible(b, e, s, benchRows, benchValue)
	if err := s.Compact(context.Background(), nil, nil); err != nil {
		b.Fatal(err)
	}
	n := len(contents(b, s, nil)) // warms the cache
	if n != benchRows {
		b.Fatalf("%d rows", n)
	}
	return e, s
}

func BenchmarkGet(b *testing.B) {
	e, s := newBenchShard(b)
	rng := rand.New(rand.NewPCG(1, 1))
	keys := make([][]byte, 10_000)
	misses := make([][]byte, len(keys))
	for i := range keys {
		keys[i] = keyOf(rng.IntN(benchRows))
		misses[i] = append(keyOf(rng.IntN(benchRows)), 'x')
	}
	b.Run("hit/engine", func(b *testing.B) {
		buf := make([]byte, 0, smallValue)
		loop(b, func(i int) {
			if _, err := s.Get(buf, keys[i%len(keys)], nil); err != nil {
				b.Fatal(err)
			}
		})
	})
	b.Run("hit/view", func(b *testing.B) {
		loop(b, func(i int) {
			if err := s.View(keys[i%len(keys)], nil, func([]byte) error { return nil }); err != nil {
				b.Fatal(err)
			}
		})
	})
	ro := grocksdb.NewDefaultReadOptions()
	defer ro.Destroy()
	b.Run("hit/grocksdb", func(b *testing.B) {
		buf := make([]byte, 0, smallValue)
		loop(b, func(i int) {
			v, err := e.db.GetPinnedCF(ro, s.cf, keys[i%len(keys)])
			if err != nil || !v.Exists() {
				b.Fatal(err)
			}
			buf = append(buf[:0], v.Data()...)
			v.Destroy()
		})
	})
	b.Run("miss/engine", func(b *testing.B) {
		loop(b, func(i int) {
			if _, err := s.Get(nil, misses[i%len(keys)], nil); err == nil {
				b.Fatal("found")
			}
		})
	})
	b.Run("miss/grocksdb", func(b *testing.B) {
		loop(b, func(i int) {
			v, err := e.db.GetPinnedCF(ro, s.cf, misses[i%len(keys)])
			if err != nil || v.Exists() {
				b.Fatal(err)
			}
			v.Destroy()
		})
	})
}

func BenchmarkMultiGet(b *testing.B) {
	e, s := newBenchShard(b)
	for _, n := range []int{2, 10, 100} {
		rng := rand.New(rand.NewPCG(2, 2))
		groups := make([][][]byte, 1000)
		for i := range groups {
			for range n {
				groups[i] = append(groups[i], keyOf(rng.IntN(benchRows)))
			}
		}
		b.Run(fmt.Sprintf("keys=%d/engine", n), func(b *testing.B) {
			r := new(MultiResult)
			loop(b, func(i int) {
				if err := s.MultiGetInto(r, groups[i%len(groups)], nil); err != nil {
					b.Fatal(err)
				}
			})
		})
		b.Run(fmt.Sprintf("keys=%d/gets", n), func(b *testing.B) {
			buf := make([]byte, 0, smallValue)
			loop(b, func(i int) {
				for _, k := range groups[i%len(groups)] {
					if _, err := s.Get(buf, k, nil); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
		ro := grocksdb.NewDefaultReadOptions()
		b.Run(fmt.Sprintf("keys=%d/grocksdb", n), func(b *testing.B) {
			loop(b, func(i int) {
				vs, err := e.db.MultiGetCF(ro, s.cf, groups[i%len(groups)]...)
				if err != nil {
					b.Fatal(err)
				}
				vs.Destroy()
			})
		})
		ro.Destroy()
	}
}

// BenchmarkScan reads rows=N rows from a random key on, keys and values copied out by neither side.
func BenchmarkScan(b *testing.B) {
	e, s := newBenchShard(b)
	for _, n := range []int{1, 10, 100, benchRows} {
		rng := rand.New(rand.NewPCG(3, 3))
		starts := make([][]byte, 1000)
		for i := range starts {
			starts[i] = keyOf(rng.IntN(benchRows - min(n, benchRows-1)))
		}
		if n == benchRows {
			for i := range starts {
				starts[i] = keyOf(0)
			}
		}
		report := func(b *testing.B) {
			b.SetBytes(int64(n * (benchValue + len(keyOf(0)))))
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		}
		for _, dir := range []string{"forward", "reverse"} {
			b.Run(fmt.Sprintf("rows=%d/%s/engine", n, dir), func(b *testing.B) {
				sum := 0
				loop(b, func(i int) {
					it, err := s.NewIterator(nil)
					if err != nil {
						b.Fatal(err)
					}
					got := 0
					if dir == "forward" {
						for ok := it.SeekGE(starts[i%len(starts)]); ok && got < n; ok = it.Next() {
							sum += len(it.Key()) + len(it.Value())
							got++
						}
					} else {
						for ok := it.Last(); ok && got < n; ok = it.Prev() {
							sum += len(it.Key()) + len(it.Value())
							got++
						}
					}
					if err := it.Close(); err != nil || got != n {
						b.Fatal(got, err)
					}
				})
				report(b)
			})
		}
		ro := grocksdb.NewDefaultReadOptions()
		b.Run(fmt.Sprintf("rows=%d/forward/grocksdb", n), func(b *testing.B) {
			sum := 0
			loop(b, func(i int) {
				it := e.db.NewIteratorCF(ro, s.cf)
				got := 0
				for it.Seek(starts[i%len(starts)]); it.Valid() && got < n; it.Next() {
					k, v := it.Key(), it.Value()
					sum += len(k.Data()) + len(v.Data())
					k.Free()
					v.Free()
					got++
				}
				if err := it.Err(); err != nil || got != n {
					b.Fatal(got, err)
				}
				it.Close()
			})
			report(b)
		})
		ro.Destroy()
	}
}

// BenchmarkScanLatest scans the latest values of keys that each have versions=N older rows.
func BenchmarkScanLatest(b *testing.B) {
	for _, versions := range []int{0, 4, 32, 254} {
		e, s := newReadingShard(b)
		const stems = 1000
		for i := range stems {
			write(b, e, func(batch *Batch) {
				stem := append(append([]byte("d"), keyOf(i)...), 0)
				for v := 1; v <= versions; v++ {
					if err := batch.Put(s, append(append([]byte{}, stem...), ':', byte(v)), make([]byte, 50)); err != nil {
						b.Fatal(err)
					}
				}
				for _, suffix := range []string{".d", "@l"} {
					if err := batch.Put(s, append(append([]byte{}, stem...), suffix...), make([]byte, 50)); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		flush(b, s)
		for _, suffix := range []string{"@l", ""} {
			b.Run(fmt.Sprintf("versions=%d/suffix=%s", versions, suffix), func(b *testing.B) {
				loop(b, func(int) {
					it, err := s.NewIterator(&IterOptions{Suffix: []byte(suffix)})
					if err != nil {
						b.Fatal(err)
					}
					n := 0
					for ok := it.First(); ok; ok = it.Next() {
						if suffix != "" || string(it.Key()[len(it.Key())-2:]) == "@l" {
							n++
						}
					}
					if err := it.Close(); err != nil || n != stems {
						b.Fatal(n, err)
					}
				})
				b.ReportMetric(float64(stems)*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
			})
		}
	}
}
