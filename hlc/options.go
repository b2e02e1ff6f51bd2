package hlc

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// WallClock tells the time. It is called under the clock's lock: it must be quick, may run on any
// goroutine and must not call the clock.
type WallClock func() time.Time

// BoundStore keeps the upper bound of one clock. The clock calls StoreBound from one goroutine at a
// time, never under its lock.
type BoundStore interface {
	// LoadBound returns the bound stored last, or the zero timestamp when none ever was. It is
	// called once, by NewClock.
	LoadBound() (Timestamp, error)
	// StoreBound replaces the bound. When it returns nil the new bound survives kill -9. When it
	// returns an error either bound may be stored: the clock stays correct with both. The new bound
	// is lower than the old one when a clock is closed.
	StoreBound(Timestamp) error
}

const (
	defaultMaxOffset  = 500 * time.Millisecond
	defaultBoundAhead = 250 * time.Millisecond
	// maxMaxOffset bounds MaxOffset and MaxJump: beyond a day they check nothing.
	maxMaxOffset = 24 * time.Hour
)

// Options configure a Clock. The zero value, and nil, is a clock on time.Now without persistence.
type Options struct {
	// Wall tells the time; nil means time.Now.
	Wall WallClock
	// Monotonic returns the time since any fixed moment, unmoved by steps of the wall clock. nil
	// means the one that time.Now carries. Needed together with MaxJump when Wall is set.
	Monotonic func() time.Duration
	// Wait blocks for d by Wall's time or until ctx ends, and then returns ctx.Err(). It may return
	// early. nil means a timer.
	Wait func(ctx context.Context, d time.Duration) error
	// MaxOffset is how far ahead of the wall clock a remote timestamp may be, and together with
	// BoundAhead the bound at the start. 0 means 500 ms; at most 24 h.
	MaxOffset time.Duration
	// Bound keeps the upper bound; nil means that timestamps may repeat after a restart.
	Bound BoundStore
	// BoundAhead is how far ahead of the wall clock the bound is stored: a busy clock stores it
	// about every half of that. 0 means 250 ms, or half of MaxOffset where that is less; at most
	// MaxOffset.
	BoundAhead time.Duration
	// AcceptBound starts the clock however far its bound is ahead of the wall clock. Timestamps go on from the bound; peers refuse them until the wall clock is near.
	AcceptBound bool
	// MaxJump is how far the wall clock may step forward between two readings, against the
	// monotonic clock, before the clock stops with ErrClockJump. 0 means any; at most 24 h.
	MaxJump time.Duration
}

// withDefaults returns a checked copy of o with all defaults filled; o may be nil.
func (o *Options) withDefaults() (Options, error) {
	var c Options
	if o != nil {
		c = *o
	}
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.MaxOffset < 0 || c.MaxOffset > maxMaxOffset {
		fault("MaxOffset %v is not in [0, %v]", c.MaxOffset, maxMaxOffset)
	}
	if c.MaxJump < 0 || c.MaxJump > maxMaxOffset {
		fault("MaxJump %v is not in [0, %v]", c.MaxJump, maxMaxOffset)
	}
	if c.MaxOffset == 0 {
		c.MaxOffset = defaultMaxOffset
	}
	if c.BoundAhead == 0 {
		c.BoundAhead = min(defaultBoundAhead, max(c.MaxOffset/2, 1))
	}
	if c.BoundAhead < 0 || c.BoundAhead > c.MaxOffset {
		fault("BoundAhead %v is not in [0, MaxOffset %v]", c.BoundAhead, c.MaxOffset)
	}
	if c.MaxJump > 0 && c.Wall != nil && c.Monotonic == nil {
		fault("MaxJump needs Monotonic where Wall is set")
	}
	if len(faults) > 0 {
		return Options{}, fmt.Errorf("%w: %w", ErrOptions, errors.Join(faults...))
	}
	if c.Wall == nil {
		c.Wall = time.Now
		if c.Monotonic == nil {
			start := time.Now()
			c.Monotonic = func() time.Duration { return time.Since(start) }
		}
	}
	if c.Wait == nil {
		c.Wait = waitTimer
	}
	return c, nil
}

func waitTimer(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}
