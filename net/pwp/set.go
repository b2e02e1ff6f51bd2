package pwp

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shieldmaidens/pleiades/net/pwp/pair"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// linkSet holds the live links of a server or a client, and the one clock that watches over all of them: no timer per
// pair, and no reading of the time per message.
type linkSet struct {
	clock atomic.Int64 // ticks, from 1
	wg    sync.WaitGroup
	stop  chan struct{}

	mu struct {
		sync.Mutex
		links   map[*link]struct{}
		closed  bool
		drained chan struct{} // closed when links is empty, for those who wait
	}
}

func newLinkSet() *linkSet {
	s := &linkSet{stop: make(chan struct{})}
	s.clock.Store(1)
	s.mu.links = map[*link]struct{}{}
	s.wg.Add(1)
	go s.sweepLoop()
	return s
}

func (s *linkSet) now() int64 { return s.clock.Load() }

func (s *linkSet) sweepLoop() {
	defer s.wg.Done()
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-ticker.C:
			now := s.clock.Add(1)
			for _, l := range s.snapshot() {
				l.sweep(now)
			}
		}
	}
}

func (s *linkSet) snapshot() []*link {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*link, 0, len(s.mu.links))
	for l := range s.mu.links {
		out = append(out, l)
	}
	return out
}

// join adds a link and starts n goroutines for it with go; false: the set is closed.
func (s *linkSet) join(l *link, goroutines ...func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.closed {
		return false
	}
	s.mu.links[l] = struct{}{}
	s.wg.Add(len(goroutines))
	for _, fn := range goroutines {
		go fn()
	}
	return true
}

// leaveIfEnded forgets a link that has ended.
func (s *linkSet) leaveIfEnded(l *link) {
	l.mu.Lock()
	ended := l.mu.ended
	l.mu.Unlock()
	if !ended {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.links, l)
	if len(s.mu.links) == 0 && s.mu.drained != nil {
		close(s.mu.drained)
		s.mu.drained = nil
	}
}

// empty returns a channel that is closed when the last link is gone.
func (s *linkSet) empty() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.drained == nil {
		s.mu.drained = make(chan struct{})
	}
	c := s.mu.drained
	if len(s.mu.links) == 0 {
		close(c)
		s.mu.drained = nil
	}
	return c
}

// close cuts all links, lets no more in, and waits for all goroutines.
func (s *linkSet) close() {
	s.mu.Lock()
	closed := s.mu.closed
	s.mu.closed = true
	s.mu.Unlock()
	if !closed {
		close(s.stop)
	}
	for _, l := range s.snapshot() {
		l.kill(wire.CloseShutdown, ErrClosed)
		s.leaveIfEnded(l)
	}
	s.wg.Wait()
}

// sweep looks for what takes too long. It never blocks.
func (l *link) sweep(now int64) {
	late := func(since *atomic.Int64, ticks int64) bool {
		at := since.Load()
		return at != 0 && now-at > ticks
	}
	seconds := func(d time.Duration) int64 { return int64((d + tick - 1) / tick) }
	l.mu.Lock()
	defer l.set.leaveIfEnded(l)
	defer l.mu.Unlock()
	m := l.mu.m
	switch {
	case l.mu.ended:
	case late(&l.writeTick, seconds(l.limits.StallTimeout)+l.writeSize.Load()/bytesPerSecond):
		l.mu.cause = fmt.Errorf("%w: the peer does not read", wire.ErrProtocol)
		l.killLocked(wire.CloseSlowReader)
	case late(&l.overTick, seconds(l.limits.CloseTimeout)):
		l.killLocked(wire.CloseNone)
	case late(&l.pieceTick, seconds(l.limits.MessageTimeout)+l.pieceSize.Load()/bytesPerSecond):
		l.failLocked(wire.CloseMessageTimeout, "a frame or message does not end")
	case m.State() < pair.StateOpen && l.waitIn == nil && now-l.bornTick > seconds(l.limits.SetupTimeout):
		l.failLocked(wire.CloseSetupTimeout, "the pair was not set up")
	case l.mu.beat > 0 && late(&l.readTick, 3*l.mu.beat) && late(&l.rxTick, 3*l.mu.beat):
		l.failLocked(wire.CloseHeartbeatTimeout, fmt.Sprintf("silent for over %d s", 3*l.mu.beat))
	case l.mu.beat > 0 && now-l.mu.lastWrite >= l.mu.beat && l.writeTick.Load() == 0:
		if m.Heartbeat() == nil {
			l.kickLocked()
		}
	case l.mu.writing && l.mu.lastWrite < now-1 && !m.Pending():
		l.mu.retire = true
		l.mu.work.Signal()
	case !l.mu.writing && l.mu.spare != nil && l.mu.lastWrite < now-1:
		l.dropBuffersLocked()
	}
}

// failLocked ends the pair for a reason of this side, and tells the peer.
func (l *link) failLocked(code wire.CloseCode, text string) {
	err := fmt.Errorf("%w: %s (%v)", wire.ErrProtocol, text, code)
	if l.mu.cause == nil {
		l.mu.cause = err
	}
	l.mu.m.Fail(code, err)
	l.kickLocked()
}
