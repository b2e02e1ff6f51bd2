package hlc

import (
	"context"
	"sync"
	"time"
)

// Manual is a wall clock that moves only when it is told to, for tests of this package's users.
// Options returns clock options that use it for everything. All methods may be called concurrently.
type Manual struct {
	mu struct {
		sync.Mutex
		wall  time.Time
		mono  time.Duration
		moved chan struct{} // closed and replaced by every move
	}
}

// NewManual returns a wall clock that reads start.
func NewManual(start time.Time) *Manual {
	m := &Manual{}
	m.mu.wall = start.Round(0) // without a monotonic reading of the machine's
	m.mu.moved = make(chan struct{})
	return m
}

// Options returns new options with Wall, Monotonic and Wait set to m.
func (m *Manual) Options() *Options {
	return &Options{Wall: m.Now, Monotonic: m.Monotonic, Wait: m.Wait}
}

// Now returns what the wall clock reads. It is a WallClock.
func (m *Manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.wall
}

// Monotonic returns the sum of all Advance.
func (m *Manual) Monotonic() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.mono
}

// Advance lets d of time go by: the wall clock and the monotonic one move. A negative d does nothing.
func (m *Manual) Advance(d time.Duration) {
	if d > 0 {
		m.move(d, d)
	}
}

// Step sets the wall clock forward, or back for a negative d; no time goes by.
func (m *Manual) Step(d time.Duration) { m.move(d, 0) }

func (m *Manual) move(wall, mono time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.wall = m.mu.wall.Add(wall)
	m.mu.mono += mono
	close(m.mu.moved)
	m.mu.moved = make(chan struct{})
}

// Wait blocks until the wall clock reads d more than at the call, or ctx ends, and returns
// ctx.Err().
func (m *Manual) Wait(ctx context.Context, d time.Duration) error {
	until := m.Now().Add(d)
	for {
		m.mu.Lock()
		reached, moved := !m.mu.wall.Before(until), m.mu.moved
		m.mu.Unlock()
		if reached {
			return ctx.Err()
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
