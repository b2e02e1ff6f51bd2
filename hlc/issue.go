package hlc

import (
	"fmt"
	"math"
	"time"
)

// driftAllowance is the part of the elapsed time, one in this many, by which wall and monotonic
// clock may drift apart without a step: NTP slews by at most 1 in 2,000.
const driftAllowance = 1000

// issue returns the next timestamp, above remote too. It loops only when it had to wait for a bound.
func (c *Clock) issue(remote Timestamp) (Timestamp, error) {
	for {
		c.mu.Lock()
		next, target, err := c.nextLocked(remote)
		if err != nil {
			c.mu.Unlock()
			return Timestamp{}, err
		}
		room := c.opts.Bound == nil || next.Less(c.mu.bound)
		if room {
			c.acceptLocked(next, remote)
		}
		wait := c.mu.extending
		mine := wait == nil && c.opts.Bound != nil && (!room || c.extensionDueLocked(next, target))
		if mine {
			c.mu.extending = make(chan struct{})
		}
		c.mu.Unlock()

		switch {
		case mine:
			// Ahead of need a failure costs nothing yet: the timestamp lies below the old bound, and
			// the next caller tries again.
			if err := c.extend(target); err != nil && !room {
				return Timestamp{}, err
			}
		case !room:
			<-wait
		}
		if room {
			return next, nil
		}
	}
}

// nextLocked reads the wall clock and returns the timestamp to issue, and the bound to store if
// there is no room for it. It changes nothing but the readings and counters.
func (c *Clock) nextLocked(remote Timestamp) (next, target Timestamp, err error) {
	if c.mu.closed {
		return next, target, ErrClosed
	}
	wall, err := c.readWallLocked()
	if err != nil {
		return next, target, err
	}
	ceiling := addNanos(wall, c.opts.MaxOffset)
	if remote.WallNanos > ceiling {
		c.mu.stats.Refused++
		return next, target, fmt.Errorf("%w: %s is %v ahead of the wall clock; at most %v is allowed: set the clock that is wrong",
			ErrClockOffset, remote, time.Duration(remote.WallNanos-wall), c.opts.MaxOffset)
	}
	floor := c.mu.last
	if floor.Less(remote) {
		floor = remote
	}
	next = floor.Next()
	if next.WallNanos < wall {
		next = Timestamp{WallNanos: wall}
	}
	if next.WallNanos == math.MaxInt64 { // no bound could be above it
		return next, target, fmt.Errorf("%w: after %s", ErrExhausted, floor)
	}
	// The bound follows the wall clock, not the timestamps: a clock that started ahead of the wall
	// clock would otherwise run further ahead with each crash. Remote timestamps that run ahead get
	// room too, up to what a restart tolerates, so that not every one of them costs a write.
	bound := addNanos(wall, c.opts.BoundAhead)
	if !remote.IsZero() {
		bound = max(bound, min(addNanos(next.WallNanos, c.opts.BoundAhead), ceiling))
	}
	return next, Timestamp{WallNanos: max(bound, addNanos(next.WallNanos, 1))}, nil
}

// acceptLocked makes next the last timestamp.
func (c *Clock) acceptLocked(next, remote Timestamp) {
	c.mu.last = next
	if ahead := time.Duration(remote.WallNanos - c.mu.prevWall); ahead > c.mu.stats.MaxRemoteAhead {
		c.mu.stats.MaxRemoteAhead = ahead
	}
}

// extensionDueLocked reports whether the bound should be extended ahead of need: less than half of
// BoundAhead is left behind next, and the write would gain a quarter of it.
func (c *Clock) extensionDueLocked(next, target Timestamp) bool {
	ahead := int64(c.opts.BoundAhead)
	return c.mu.bound.WallNanos-next.WallNanos < ahead/2 && target.WallNanos-c.mu.bound.WallNanos >= max(ahead/4, 1)
}

// extend stores target as the bound. The caller has set c.mu.extending and not held the lock since,
// so one extension at a time is under way.
func (c *Clock) extend(target Timestamp) error {
	err := c.opts.Bound.StoreBound(target)
	c.mu.Lock()
	// After a failure the store may hold target all the same; the exact bound on Close mends that.
	c.mu.dirty = true
	if err == nil {
		c.mu.bound = target
		c.mu.stats.BoundWrites++
	} else {
		c.mu.stats.BoundFailures++
	}
	done := c.mu.extending
	c.mu.extending = nil
	c.mu.Unlock()
	close(done)
	if err != nil {
		return fmt.Errorf("hlc: store the bound %s: %w", target, err)
	}
	return nil
}

// readWallLocked reads the wall clock, in nanoseconds, and watches for steps.
func (c *Clock) readWallLocked() (int64, error) {
	wall := nanosOf(c.opts.Wall())
	if c.mu.read && wall < c.mu.prevWall {
		c.mu.stats.BackwardSteps++
	}
	c.mu.read, c.mu.prevWall = true, wall
	if c.opts.MaxJump == 0 {
		return wall, nil
	}
	mono := c.opts.Monotonic()
	if c.mu.based {
		elapsed := mono - c.mu.baseMono
		jump := time.Duration(wall-c.mu.baseWall) - elapsed
		if jump > c.opts.MaxJump+elapsed/driftAllowance {
			// The base stays, so that setting the wall clock back is seen too.
			return 0, fmt.Errorf("%w by %v, more than the %v allowed: set it back, or acknowledge the jump",
				ErrClockJump, jump, c.opts.MaxJump)
		}
	}
	// A wall clock that was set back and then right again only returns to what was issued already.
	c.mu.based, c.mu.baseWall, c.mu.baseMono = true, max(wall, c.mu.last.WallNanos), mono
	return wall, nil
}
