package hlc

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"
)

// Clock issues timestamps that only grow. Create it with NewClock; all methods may be called
// concurrently.
type Clock struct {
	opts       Options
	startBound Timestamp // what the store held when the clock was made

	closeDone chan struct{} // closed when Close is through
	closeErr  error         // set before closeDone is closed

	mu struct {
		sync.Mutex // never held while the BoundStore works

		last      Timestamp     // highest timestamp issued; at the start the one before the bound
		bound     Timestamp     // what the store holds at least; unused without a store
		dirty     bool          // the store's bound was raised by this clock
		extending chan struct{} // not nil while a bound is being stored; closed when it is done
		closed    bool
		present   Timestamp // the latest answer of Present

		read     bool  // prevWall is set
		prevWall int64 // latest reading of the wall clock

		based    bool          // baseWall and baseMono are set; only with MaxJump
		baseWall int64         // latest wall time, read or issued, that was not part of a jump
		baseMono time.Duration // the monotonic clock then

		stats Stats
	}
}

// Stats counts what a clock did and met; a snapshot.
type Stats struct {
	// Ahead is how far the last timestamp is ahead of the latest reading of the wall clock; 0 if it
	// is not.
	Ahead time.Duration
	// BoundWrites and BoundFailures count calls of StoreBound that succeeded and failed.
	BoundWrites, BoundFailures uint64
	// BackwardSteps counts readings of the wall clock below the one before.
	BackwardSteps uint64
	// Refused counts remote timestamps refused with ErrClockOffset.
	Refused uint64
	// MaxRemoteAhead is the largest distance of an accepted remote timestamp ahead of the wall
	// clock: close to MaxOffset it announces that some node's clock is about to be refused.
	MaxRemoteAhead time.Duration
}

// NewClock returns a clock that starts at the wall clock or at the persisted bound, whichever is
// later. opts may be nil and is copied. Nothing is written yet. Errors: ErrOptions with all faults,
// ErrClockBehind, and what LoadBound returns, wrapped.
func NewClock(opts *Options) (*Clock, error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Clock{opts: o, closeDone: make(chan struct{})}
	if o.Bound == nil {
		return c, nil
	}
	bound, err := o.Bound.LoadBound()
	if err != nil {
		return nil, fmt.Errorf("hlc: load the bound: %w", err)
	}
	if bound.WallNanos < 0 {
		return nil, fmt.Errorf("hlc: load the bound: %w: %d", ErrBadTimestamp, bound.WallNanos)
	}
	// BoundAhead on top: the bound may be MaxOffset ahead after a crash, and the wall clock may have
	// been corrected a little since.
	wall, tolerated := nanosOf(o.Wall()), o.MaxOffset+o.BoundAhead
	if bound.WallNanos > addNanos(wall, tolerated) && !o.AcceptBound {
		return nil, fmt.Errorf("%w: the bound %s is %v ahead of the wall clock, which reads %s; at most %v is allowed: "+
			"set the wall clock, wait that long, or accept the bound", ErrClockBehind,
			bound.Time().Format(time.RFC3339Nano), time.Duration(bound.WallNanos-wall),
			time.Unix(0, wall).UTC().Format(time.RFC3339Nano), tolerated)
	}
	c.startBound = bound
	c.mu.bound = bound
	c.mu.last = bound.Prev()
	return c, nil
}

// Now returns a timestamp above all that this clock returned or took in before, at or after the
// wall clock's time. It waits for the BoundStore only when the timestamp would reach the bound, or
// when this call is the one that extends it ahead of need. Errors: ErrClosed, ErrClockJump,
// ErrExhausted, and what StoreBound returned, wrapped, when there is no room below the bound: then
// no timestamp was issued.
func (c *Clock) Now() (Timestamp, error) { return c.issue(Timestamp{}) }

// Update takes in a timestamp from another node and returns a new one above it and above all that
// this clock returned before. Errors: as for Now; ErrBadTimestamp; and ErrClockOffset when remote is
// more than MaxOffset ahead of the wall clock, which changes nothing.
//
// HAZARD: call it on input from clients and peers and before proposing, never while applying what
// was agreed on: a slow wall clock would refuse there, and replicas would differ.
func (c *Clock) Update(remote Timestamp) (Timestamp, error) {
	if remote.WallNanos < 0 {
		return Timestamp{}, fmt.Errorf("%w: %d", ErrBadTimestamp, remote.WallNanos)
	}
	return c.issue(remote)
}

// Present returns the time that reads go by, in what has expired say: the wall clock's, or the last
// timestamp where that is later. It never goes back. It issues nothing and asks no store, so it works
// where nothing can be written any more, and on a closed clock. Error: ErrClockJump.
func (c *Clock) Present() (Timestamp, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall, err := c.readWallLocked()
	if err != nil {
		return Timestamp{}, err
	}
	for _, t := range []Timestamp{c.mu.last, {WallNanos: wall}} {
		if c.mu.present.Less(t) {
			c.mu.present = t
		}
	}
	return c.mu.present, nil
}

// Last returns the highest timestamp that the clock issued. Before the first one it is the one just
// below the bound it started with: zero for a new store, or without one.
func (c *Clock) Last() Timestamp {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.last
}

// Stats returns the clock's counters.
func (c *Clock) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.mu.stats
	if c.mu.read {
		s.Ahead = max(0, time.Duration(c.mu.last.WallNanos-c.mu.prevWall))
	}
	return s
}

// AcknowledgeJump says that the wall clock is right as it is now, after a step forward, and lets the
// clock go on from there. Without a step it changes nothing.
func (c *Clock) AcknowledgeJump() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.based = false // the next reading is the new base
}

// WaitBound returns when the wall clock has passed the bound that the clock started with: every
// timestamp of earlier runs then lies in the past of real time. It returns at once without a store.
// Errors: ctx.Err().
func (c *Clock) WaitBound(ctx context.Context) error {
	until := c.startBound.WallNanos
	if c.startBound.Logical > 0 { // a timestamp of that very nanosecond may have been issued
		until = addNanos(until, 1)
	}
	for {
		d := time.Duration(until - nanosOf(c.opts.Wall()))
		if d <= 0 {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := c.opts.Wait(ctx, d); err != nil {
			return err
		}
	}
}

// Close ends the clock and stores the exact bound, one above the last timestamp. Calls after it
// fail with ErrClosed; a second Close returns what the first did. When StoreBound fails, the bound
// that is stored stays: it is safe, and up to BoundAhead further ahead.
func (c *Clock) Close() error {
	c.mu.Lock()
	first, extending := !c.mu.closed, c.mu.extending
	c.mu.closed = true // nobody issues timestamps or starts another extension
	c.mu.Unlock()
	if first {
		if extending != nil {
			<-extending
		}
		c.closeErr = c.storeExact()
		close(c.closeDone)
	}
	<-c.closeDone
	return c.closeErr
}

// storeExact stores the bound right above the last timestamp, if this clock raised it at all.
func (c *Clock) storeExact() error {
	c.mu.Lock()
	dirty, exact := c.mu.dirty, c.mu.last.Next()
	c.mu.Unlock()
	if !dirty {
		return nil
	}
	if err := c.opts.Bound.StoreBound(exact); err != nil {
		return fmt.Errorf("hlc: store the exact bound %s: %w", exact, err)
	}
	return nil
}

// addNanos returns wall + d, at most the end of time. d is not negative.
func addNanos(wall int64, d time.Duration) int64 {
	if wall > math.MaxInt64-int64(d) {
		return math.MaxInt64
	}
	return wall + int64(d)
}
