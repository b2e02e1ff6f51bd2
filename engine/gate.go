package engine

import (
	"context"
	"sync/atomic"
)

// gate counts the users of something that will be taken away: users enter and leave, the owner
// shuts it once and waits until the last user has left.
//
//	enter ──► [ in use: n ] ──► leave
//	shut  ──► no further enter; drained closes when n reaches 0
//
// Entering costs one atomic addition.
type gate struct {
	// state is the number of users plus shutBit once the gate is shut.
	state   atomic.Int64
	drained chan struct{}
}

const shutBit = int64(1) << 62

func (g *gate) init() { g.drained = make(chan struct{}) }

// enter reports whether the caller may use the object; each true needs one leave.
func (g *gate) enter() bool {
	if g.state.Add(1) < shutBit {
		return true
	}
	g.leave()
	return false
}

// leave ends one use.
func (g *gate) leave() {
	if g.state.Add(-1) == shutBit {
		g.closeDrained()
	}
}

// shut refuses further users and reports whether this call was the one that did it.
func (g *gate) shut() bool {
	for {
		s := g.state.Load()
		if s >= shutBit {
			return false
		}
		if g.state.CompareAndSwap(s, s+shutBit) {
			if s == 0 {
				g.closeDrained()
			}
			return true
		}
	}
}

// closeDrained runs when the count reaches zero behind a shut gate. A late enter raises the count
// for a moment and its leave brings it back to zero, so this can run more than once: the bit above
// shutBit makes the first one win.
func (g *gate) closeDrained() {
	if g.state.CompareAndSwap(shutBit, shutBit+drainedBit) {
		close(g.drained)
	}
}

const drainedBit = int64(1) << 61

// users returns how many are inside.
func (g *gate) users() int64 { return g.state.Load() &^ (shutBit | drainedBit) }

// isShut reports whether the gate was shut.
func (g *gate) isShut() bool { return g.state.Load() >= shutBit }

// wait returns when the last user has left, or with the context's error.
func (g *gate) wait(ctx context.Context) error {
	select {
	case <-g.drained:
		return nil
	default:
	}
	select {
	case <-g.drained:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
