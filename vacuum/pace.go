package vacuum

import (
	"context"
	"time"

	"github.com/shieldmaidens/pleiades/engine"
)

const (
	// paceInterval is over how long rates are averaged.
	paceInterval = 250 * time.Millisecond
	// pauses under pressure grow from minPause, twice as long each, up to maxPause.
	minPause = 50 * time.Millisecond
	maxPause = 2 * time.Second
)

// pace keeps to the bounds of rate and pressure. It has no goroutine: it makes its caller wait.
type pace struct {
	o *Options
	// free is when what was spent so far is paid off.
	free time.Time
	// waited is the sum of all pauses, yields how many of them were for pressure.
	waited time.Duration
	yields int64
}

// spend accounts for keys looked at and bytes removed.
func (p *pace) spend(looked, removedBytes int64) {
	cost := max(share(looked, p.o.KeysPerSecond), share(removedBytes, p.o.BytesPerSecond))
	if cost == 0 {
		return
	}
	if now := p.o.Wall(); p.free.Before(now) {
		p.free = now // time that was not used is not saved up
	}
	p.free = p.free.Add(cost)
}

// share is how long n takes at perSecond; no time without a bound.
func share(n, perSecond int64) time.Duration {
	if perSecond == 0 {
		return 0
	}
	return time.Duration(float64(n) / float64(perSecond) * float64(time.Second))
}

// slice is how much of perSecond, 0 for no bound, fits the interval: at least 1, at most most.
func slice(perSecond, most int64) int64 {
	if perSecond == 0 {
		return most
	}
	return min(most, max(1, int64(float64(perSecond)*paceInterval.Seconds())))
}

// await returns when the rates allow more work and there is no pressure. Errors: ctx.Err().
func (p *pace) await(ctx context.Context) error {
	if d := p.free.Sub(p.o.Wall()); d > 0 {
		if err := p.pause(ctx, d); err != nil {
			return err
		}
	}
	for d := minPause; p.o.Pressure != nil && p.o.Pressure(); d = min(2*d, maxPause) {
		p.yields++
		if err := p.pause(ctx, d); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (p *pace) pause(ctx context.Context, d time.Duration) error {
	start := p.o.Wall()
	err := p.o.Wait(ctx, d)
	p.waited += p.o.Wall().Sub(start)
	return err
}

const (
	// A healthy disk syncs in milliseconds, and the committer's queue is empty most of the time.
	pressureSyncAge = 500 * time.Millisecond
	pressureQueue   = 256
)

// EnginePressure returns a Pressure that is true while the engine slows writers down, waits for the
// disk, or has many batches waiting. A full disk is no pressure: vacuum is a way out of that.
func EnginePressure(eng *engine.Engine) func() bool {
	return func() bool {
		h := eng.Health()
		return h.Stall != engine.StallNone || h.OldestSync > pressureSyncAge || h.QueuedBatches > pressureQueue
	}
}
