package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// worker is one goroutine's part of a load.
type worker struct {
	id      int
	rng     *rand.Rand
	values  *valueSource
	session Session
	key     []byte
	buf     []byte
	pairs   []Pair
	next    uint64 // of sequential work

	hist  histogram
	bytes int64
	// units counts what one operation does more than once: the pairs of a batch, the rows of a scan.
	units int64
	done  atomic.Int64 // operations, for the progress
}

// load is a loop of equal operations.
type load struct {
	name    string
	workers int
	// ops bounds the operations of each worker; 0: until the time is over.
	ops      int64
	warmup   time.Duration
	duration time.Duration
	step     func(w *worker) error
}

// tickEvery is how often a load in progress is reported.
const tickEvery = 200 * time.Millisecond

// run runs a load on store and returns what it measured.
func (l *load) run(ctx context.Context, store Store, spec *Spec, values *valueSource, note func(Progress)) (Result, error) {
	workers := make([]*worker, l.workers)
	defer func() {
		for _, w := range workers {
			if w != nil {
				w.session.Close()
			}
		}
	}()
	for i := range workers {
		session, err := store.Session()
		if err != nil {
			return Result{}, fmt.Errorf("bench: %s: %w", l.name, err)
		}
		workers[i] = &worker{
			id: i, session: session, values: values.fork(i),
			rng: rand.New(rand.NewPCG(spec.Seed, uint64(i))), buf: make([]byte, 0, spec.ValueBytes),
		}
	}
	if l.warmup > 0 {
		if _, err := l.phase(ctx, workers, 0, l.warmup, nil); err != nil {
			return Result{}, err
		}
		for _, w := range workers {
			w.hist, w.bytes, w.units = histogram{}, 0, 0
			w.done.Store(0)
		}
	}
	runtime.GC() // the last workload's garbage is not this one's
	syncs, cpu := syncsOf(store), cpuTime()
	elapsed, err := l.phase(ctx, workers, l.ops, l.duration, note)
	if err != nil {
		return Result{}, err
	}
	res := Result{Workload: l.name, Writers: l.workers, Elapsed: elapsed, CPU: cpuTime() - cpu, Syncs: -1}
	var all histogram
	for _, w := range workers {
		all.merge(&w.hist)
		res.Bytes += w.bytes
		res.Units += w.units
	}
	if all.n == 0 {
		return Result{}, fmt.Errorf("%w: %s in %v", ErrNoOperations, l.name, elapsed)
	}
	res.Ops = int64(all.n)
	res.Units = max(res.Units, res.Ops)
	res.OpsPerSecond = float64(res.Ops) / elapsed.Seconds()
	res.BytesPerSecond = float64(res.Bytes) / elapsed.Seconds()
	res.Latency = all.latency()
	if syncs >= 0 {
		res.Syncs = syncsOf(store) - syncs
	}
	return res, nil
}

// phase runs all workers until each has done ops operations (0: no bound), the time is over, one fails
// or ctx ends.
func (l *load) phase(ctx context.Context, workers []*worker, ops int64, limit time.Duration, note func(Progress)) (time.Duration, error) {
	var stop atomic.Bool
	timer := time.AfterFunc(limit, func() { stop.Store(true) })
	defer timer.Stop()
	cancelled := context.AfterFunc(ctx, func() { stop.Store(true) })
	defer cancelled()
	finished := make(chan struct{})
	errs := make([]error, len(workers))
	var wg sync.WaitGroup
	start := time.Now()
	for i, w := range workers {
		wg.Go(func() {
			if errs[i] = w.loop(l.step, ops, &stop); errs[i] != nil {
				stop.Store(true)
			}
		})
	}
	if note != nil {
		go func() {
			wg.Wait()
			close(finished)
		}()
		l.report(workers, ops, limit, start, finished, note)
	}
	wg.Wait()
	elapsed := time.Since(start)
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	for _, err := range errs {
		if err != nil {
			return 0, fmt.Errorf("bench: %s: %w", l.name, err)
		}
	}
	return elapsed, nil
}

// report calls note while a phase runs.
func (l *load) report(workers []*worker, ops int64, limit time.Duration, start time.Time, finished <-chan struct{}, note func(Progress)) {
	tick := time.NewTicker(tickEvery)
	defer tick.Stop()
	for {
		select {
		case <-finished:
			return
		case <-tick.C:
		}
		var done int64
		for _, w := range workers {
			done += w.done.Load()
		}
		took := time.Since(start)
		share := float64(took) / float64(limit)
		if ops > 0 {
			share = max(share, float64(done)/float64(ops*int64(len(workers))))
		}
		note(Progress{Workload: l.name, Share: min(share, 1), OpsPerSecond: float64(done) / took.Seconds()})
	}
}

// errLoaded ends a worker's loop without being a failure.
var errLoaded = errors.New("bench: nothing is left to do")

func (w *worker) loop(step func(w *worker) error, ops int64, stop *atomic.Bool) error {
	const noteEvery = 32
	began, from := time.Now(), time.Duration(0) // Since reads one clock, Now two
	for n := int64(1); !stop.Load(); n++ {
		if err := step(w); err != nil {
			if errors.Is(err, errLoaded) {
				return nil
			}
			return err
		}
		to := time.Since(began)
		w.hist.record(to - from)
		from = to
		if n%noteEvery == 0 {
			w.done.Store(n)
		}
		if n == ops {
			w.done.Store(n)
			return nil
		}
	}
	return nil
}

// cpuTime is the processor time of this process so far, user and system.
func cpuTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// syncsOf returns the store's count of syncs, -1 when it keeps none.
func syncsOf(store Store) int64 {
	if c, ok := store.(SyncCounter); ok {
		return int64(c.Syncs())
	}
	return -1
}
