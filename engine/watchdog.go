package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/shieldmaidens/pleiades/base"
)

// ErrStalled says that a synced write has been waiting for the disk longer than is tolerated.
var ErrStalled = base.New(base.ErrOverloaded, "engine: the disk is stalled")

// Stall says what RocksDB does to writes while compactions are behind.
type Stall int

const (
	// StallNone lets writes pass.
	StallNone Stall = 0
	// StallDelayed slows writes down.
	StallDelayed Stall = 1
	// StallStopped blocks writes until a flush or compaction has finished.
	StallStopped Stall = 2
)

// String returns "none", "delayed" or "stopped".
func (s Stall) String() string {
	switch s {
	case StallDelayed:
		return "delayed"
	case StallStopped:
		return "stopped"
	default:
		return "none"
	}
}

// Health is what matters about an engine at one moment.
type Health struct {
	// Err is the error that stopped the engine's writes, nil while healthy.
	Err error
	// OldestSync is for how long the synced write under way has been waiting for the disk; 0 for none.
	OldestSync time.Duration
	// Stall is the worst write-stall condition of any shard.
	Stall Stall
	// DiskFull is the error with which writes are being refused, nil while there is room.
	DiskFull error
	// QueuedBatches is how many batches wait for the committer.
	QueuedBatches int
}

// Health returns the engine's condition. It takes no lock and may be called at any rate until Close.
func (e *Engine) Health() Health {
	h := Health{Err: e.Err(), OldestSync: e.commits.oldestSync(), QueuedBatches: len(e.commits.queue)}
	if p := e.disk.full.Load(); p != nil {
		h.DiskFull = *p
	}
	if e.life.enter() {
		h.Stall = Stall(e.eventCounts().stall)
		e.life.leave()
	}
	return h
}

// WatchOptions configures Watch. Zero fields mean their defaults.
type WatchOptions struct {
	// Interval is how often the engine is looked at. Default 250 ms.
	Interval time.Duration
	// StallAfter is the age of a synced write at which OnStall is called. Default 2 s.
	StallAfter time.Duration
	// FatalAfter is the age at which Watch returns ErrStalled. Default 10 s.
	FatalAfter time.Duration
	// OnStall is called once when a sync passes StallAfter; a replica's node then stops leading.
	OnStall func(age time.Duration)
	// OnRecover is called once when syncs complete again.
	OnRecover func()
}

// Watch watches for a hanging disk until ctx ends, and then returns nil. It returns ErrStalled when a
// synced write has waited for FatalAfter: the process should exit, since nothing else can take the
// write back. It returns the engine's own error when the engine stops writing. The engine starts no
// watch by itself: the owner runs it in a goroutine of its own.
func (e *Engine) Watch(ctx context.Context, opts *WatchOptions) error {
	var o WatchOptions
	if opts != nil {
		o = *opts
	}
	fill := func(d *time.Duration, def time.Duration) {
		if *d <= 0 {
			*d = def
		}
	}
	fill(&o.Interval, 250*time.Millisecond)
	fill(&o.StallAfter, 2*time.Second)
	fill(&o.FatalAfter, 10*time.Second)
	tick := time.NewTicker(o.Interval)
	defer tick.Stop()
	stalled := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := e.Err(); err != nil {
			return err
		}
		age := e.commits.oldestSync()
		switch {
		case age >= o.FatalAfter:
			return fmt.Errorf("%w: a synced write in %s has been waiting for %v", ErrStalled, e.dir, age)
		case age >= o.StallAfter && !stalled:
			stalled = true
			e.log.Warn("engine: the disk is slow", "dir", e.dir, "sync", age)
			if o.OnStall != nil {
				o.OnStall(age)
			}
		case age < o.StallAfter && stalled:
			stalled = false
			e.log.Info("engine: the disk answers again", "dir", e.dir)
			if o.OnRecover != nil {
				o.OnRecover()
			}
		}
	}
}
