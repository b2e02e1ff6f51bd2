package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// The workloads that run on any Store, in the order in which they run.
const (
	FillSeq    = "fill-seq"
	ReadHit    = "read-hit"
	ReadMiss   = "read-miss"
	Scan100    = "scan-100"
	FillRandom = "fill-random"
	Batch100   = "batch-100"
	Sync1      = "sync-1"
	Sync64     = "sync-64"
	Sync256    = "sync-256"
)

// StoreWorkloads lists the names that RunStore knows, in their order.
func StoreWorkloads() []string {
	return []string{FillSeq, ReadHit, ReadMiss, Scan100, FillRandom, Batch100, Sync1, Sync64, Sync256}
}

// RunStore runs the named workloads on fresh stores of one kind and returns a result each, in the order
// of StoreWorkloads; after an error, those that were finished. note may be nil; it is called from the goroutine that called RunStore.
func RunStore(ctx context.Context, open Opener, names []string, spec Spec, note func(Progress)) ([]Result, error) {
	spec, err := spec.withDefaults()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !slices.Contains(StoreWorkloads(), name) {
			return nil, fmt.Errorf("%w: no workload %q; there are %v", ErrSpec, name, StoreWorkloads())
		}
	}
	r := storeRun{spec: &spec, open: open, names: names, note: note, values: newValues(spec.Seed, spec.ValueBytes)}
	err = r.all(ctx)
	return r.results, err
}

// all runs the wanted workloads.
func (r *storeRun) all(ctx context.Context) error {
	spec := r.spec
	if r.wants(FillSeq, ReadHit, ReadMiss, Scan100) {
		if err := r.onFresh(ctx, r.fillAndRead); err != nil {
			return err
		}
	}
	alone := []struct {
		name string
		load load
	}{
		{FillRandom, load{workers: 1, ops: int64(spec.Keys), duration: spec.FillLimit, step: r.putRandom(false)}},
		{Batch100, load{workers: 1, ops: int64(spec.Keys / spec.BatchKeys), duration: spec.FillLimit, step: r.putBatch()}},
		{Sync1, load{workers: 1, warmup: spec.Warmup, duration: spec.Duration, step: r.putRandom(true)}},
		{Sync64, load{workers: 64, warmup: spec.Warmup, duration: spec.Duration, step: r.putRandom(true)}},
		{Sync256, load{workers: 256, warmup: spec.Warmup, duration: spec.Duration, step: r.putRandom(true)}},
	}
	for _, w := range alone {
		if !r.wants(w.name) {
			continue
		}
		w.load.name = w.name
		if err := r.onFresh(ctx, func(ctx context.Context, store Store) error { return r.measure(ctx, store, &w.load) }); err != nil {
			return err
		}
	}
	return r.depthRuns(ctx)
}

// storeRun is one call of RunStore.
type storeRun struct {
	spec    *Spec
	open    Opener
	names   []string
	note    func(Progress)
	values  *valueSource
	results []Result
}

func (r *storeRun) wants(names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(r.names, n) })
}

// onFresh calls work with a fresh store and removes it afterwards.
func (r *storeRun) onFresh(ctx context.Context, work func(ctx context.Context, store Store) error) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(r.spec.Dir, "pleiades-bench-")
	if err != nil {
		return fmt.Errorf("bench: make a scratch directory: %w", err)
	}
	defer os.RemoveAll(dir)
	dir = filepath.Join(dir, "store")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("bench: make a scratch directory: %w", err)
	}
	store, err := r.open(dir)
	if err != nil {
		return fmt.Errorf("bench: open a store: %w", err)
	}
	defer func() {
		if cerr := store.Close(); err == nil && cerr != nil {
			err = fmt.Errorf("bench: close the store: %w", cerr)
		}
	}()
	return work(ctx, store)
}

// measure runs one load and keeps its result.
func (r *storeRun) measure(ctx context.Context, store Store, l *load) error {
	if r.note != nil {
		r.note(Progress{Workload: l.name})
	}
	run := func() (Result, error) { return l.run(ctx, store, r.spec, r.values, r.note) }
	if other, ok := store.(LoadRunner); ok {
		run = func() (Result, error) {
			return other.RunLoad(ctx, Load{
				Workload: l.name, Workers: l.workers, Ops: l.ops, Warmup: l.warmup, Duration: l.duration, Spec: *r.spec,
			})
		}
	}
	res, err := run()
	if err != nil {
		return err
	}
	r.results = append(r.results, res)
	return nil
}

// fillAndRead fills in key order, completes and settles the store, and reads from it.
func (r *storeRun) fillAndRead(ctx context.Context, store Store) error {
	spec := r.spec
	loaded := uint64(0)
	if r.wants(FillSeq) {
		fill := load{name: FillSeq, workers: 1, ops: int64(spec.Keys), duration: spec.FillLimit, step: r.putNext()}
		if err := r.measure(ctx, store, &fill); err != nil {
			return err
		}
		loaded = uint64(r.results[len(r.results)-1].Ops)
	}
	if !r.wants(ReadHit, ReadMiss, Scan100) {
		return nil
	}
	if err := r.loadRest(ctx, store, loaded); err != nil {
		return err
	}
	if err := store.Settle(ctx); err != nil {
		return fmt.Errorf("bench: settle: %w", err)
	}
	timed := func(name string, step func(w *worker) error) error {
		if !r.wants(name) {
			return nil
		}
		return r.measure(ctx, store, &load{name: name, workers: 1, warmup: spec.Warmup, duration: spec.Duration, step: step})
	}
	if err := timed(ReadHit, r.readHit()); err != nil {
		return err
	}
	if err := timed(ReadMiss, r.readMiss()); err != nil {
		return err
	}
	return timed(Scan100, r.scan())
}

// loadRest writes the keys from number from on, unmeasured and in large batches.
func (r *storeRun) loadRest(ctx context.Context, store Store, from uint64) error {
	const batch = 1000
	session, err := store.Session()
	if err != nil {
		return fmt.Errorf("bench: load: %w", err)
	}
	defer session.Close()
	values := r.values.fork(0)
	noted := time.Now()
	pairs := make([]Pair, 0, batch)
	for total := uint64(r.spec.Keys); from < total; {
		if err := ctx.Err(); err != nil {
			return err
		}
		pairs = pairs[:0]
		for ; from < total && len(pairs) < batch; from++ {
			pairs = append(pairs, Pair{Key: appendKey(nil, from), Value: values.next()})
		}
		if err := session.PutBatch(pairs, false); err != nil {
			return fmt.Errorf("bench: load: %w", err)
		}
		if r.note != nil && time.Since(noted) > tickEvery {
			noted = time.Now()
			r.note(Progress{Workload: "loading", Share: float64(from) / float64(total)})
		}
	}
	return nil
}
