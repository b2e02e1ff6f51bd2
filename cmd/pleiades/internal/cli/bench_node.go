package cli

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/client"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
)

// wireWorkloads are what is measured at a node.
var wireWorkloads = []string{"put", "get"}

// wireResult is what one workload came to.
type wireResult struct {
	workload            string
	inFlight            int
	ops                 int
	elapsed             time.Duration
	mean, p50, p99, max time.Duration
}

func (r *wireResult) perSecond() float64 { return float64(r.ops) / max(r.elapsed.Seconds(), 1e-9) }

// atNodeBench reports whether a bench is about a node: only when the command line says so.
func (a *App) atNodeBench(context bool) bool {
	addr := a.cfg.Get("addr")
	return addr.Text != "" && (context || addr.Origin == "flag --addr")
}

// benchNode measures puts and gets over the wire, in a bucket of its own that is removed again.
func (a *App) benchNode(ctx context.Context, names []string, f *benchFlags) error {
	if len(names) == 0 {
		names = wireWorkloads
	}
	for _, name := range names {
		if !slices.Contains(wireWorkloads, name) {
			return exit.New(exit.Usage, "write put, get or both; without --addr the workloads of this machine are measured", "%w: %q is no workload at a node", base.ErrInvalid, name)
		}
	}
	if f.inFlight < 1 || f.inFlight > 256 || f.spec.Keys < 1 || f.spec.ValueBytes < 0 || f.spec.Duration <= 0 || f.spec.Duration > time.Minute {
		return exit.New(exit.Usage, "give --in-flight 1 to 256, --keys from 1, --duration up to 1m", "%w: %d in flight, %d keys, %d bytes, %v",
			base.ErrInvalid, f.inFlight, f.spec.Keys, f.spec.ValueBytes, f.spec.Duration)
	}
	return a.needNode(ctx, func(c *client.Client) error {
		var random [6]byte
		rand.Read(random[:]) // never fails
		name := a.bucketName("bench-" + hex.EncodeToString(random[:]))
		if _, err := c.CreateBucket(ctx, name, &client.BucketSettings{MaxVersions: 1}); err != nil {
			return err
		}
		var results []wireResult
		err := func() error {
			value := make([]byte, f.spec.ValueBytes)
			rand.Read(value)
			if err := fillBench(ctx, c, c.Bucket(name), f.spec.Keys, value); err != nil {
				return err
			}
			for _, w := range names {
				r, err := a.measureWire(ctx, c.Bucket(name), w, value, f)
				if err != nil {
					return err
				}
				results = append(results, r)
			}
			return nil
		}()
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		_, gone := c.DeleteBucket(clean, name, nil)
		return errors.Join(a.wirePrint(results, f), err, gone)
	})
}

// benchKey returns the i-th key.
func benchKey(dst []byte, i int) []byte {
	return strconv.AppendInt(append(dst, "key/"...), int64(i), 10)
}

// fillBench gives every key a value, so that gets find one.
func fillBench(ctx context.Context, c *client.Client, b *client.Bucket, n int, value []byte) error {
	for i := 0; i < n; {
		batch := c.NewBatch()
		for ; i < n && batch.Len() < 500 && batch.Bytes() < 1<<20; i++ {
			if err := batch.Put(b, benchKey(nil, i), value, nil); err != nil {
				return err
			}
		}
		if _, err := batch.Commit(ctx); err != nil {
			return err
		}
	}
	return nil
}

// measureWire runs one workload with as many goroutines as requests are to be in flight.
func (a *App) measureWire(ctx context.Context, b *client.Bucket, workload string, value []byte, f *benchFlags) (wireResult, error) {
	times := make([][]time.Duration, f.inFlight)
	errs := make([]error, f.inFlight)
	var bar barOnce
	defer bar.Clear()
	bar.of(a, workload, 1, "").Set(0, "")
	start := time.Now()
	warm, end := start.Add(f.spec.Warmup), start.Add(f.spec.Warmup+f.spec.Duration)
	var wg sync.WaitGroup
	for i := range f.inFlight {
		wg.Go(func() {
			random := mathrand.New(mathrand.NewPCG(f.spec.Seed, uint64(i)))
			var key []byte
			for before := time.Now(); before.Before(end) && errs[i] == nil; {
				key = benchKey(key[:0], random.IntN(f.spec.Keys))
				if workload == "put" {
					_, errs[i] = b.Put(ctx, key, value, nil)
				} else {
					_, errs[i] = b.Get(ctx, key)
				}
				after := time.Now()
				if errs[i] == nil && !before.Before(warm) {
					times[i] = append(times[i], after.Sub(before))
				}
				before = after
			}
		})
	}
	wg.Wait()
	r := wireResult{workload: workload, inFlight: f.inFlight, elapsed: time.Since(warm)}
	all := slices.Concat(times...)
	slices.Sort(all)
	if r.ops = len(all); r.ops > 0 {
		var sum time.Duration
		for _, t := range all {
			sum += t
		}
		r.mean, r.p50, r.p99, r.max = sum/time.Duration(r.ops), all[r.ops/2], all[r.ops*99/100], all[r.ops-1]
	}
	return r, errors.Join(errs...)
}

func (a *App) wirePrint(results []wireResult, f *benchFlags) error {
	if len(results) == 0 {
		return nil
	}
	if f.benchstat {
		for i := range results {
			r := &results[i]
			line := fmt.Sprintf("BenchmarkPleiades/wire/%s/inflight=%d/size=%d %d %.1f ns/op %.0f ops/s %d p50-ns %d p99-ns", r.workload, r.inFlight,
				f.spec.ValueBytes, r.ops, float64(r.elapsed)/float64(max(r.ops, 1)), r.perSecond(), r.p50, r.p99)
			if err := a.out().Line(line); err != nil {
				return err
			}
		}
		return nil
	}
	out, err := a.out().Stream("ops_per_second")
	if err != nil {
		return err
	}
	for i := range results {
		r := &results[i]
		row := output.Row{
			output.F("workload", r.workload), output.F("in_flight", r.inFlight), output.F("value_bytes", f.spec.ValueBytes), output.F("ops", r.ops),
			output.F("ops_per_second", int64(r.perSecond())), output.F("mean_us", tenths(r.mean)), output.F("p50_us", tenths(r.p50)),
			output.F("p99_us", tenths(r.p99)), output.F("max_us", tenths(r.max)),
		}
		if err := out.Row(row); err != nil {
			return err
		}
	}
	return out.Close()
}

// tenths are microseconds with one decimal.
func tenths(d time.Duration) float64 { return float64(d.Round(100*time.Nanosecond)) / 1e3 }
