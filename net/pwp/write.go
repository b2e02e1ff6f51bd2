package pwp

import (
	"errors"
	"runtime"

	"github.com/shieldmaidens/pleiades/net/pwp/pair"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// maxSpareBytes is the largest buffer that a pair keeps for its next writes, while it is busy.
const maxSpareBytes = 2 << 20

// kickLocked sees to it that what the machine wants done is done.
func (l *link) kickLocked() {
	if l.mu.m.Pending() && !l.writeNowLocked() {
		l.wakeWriterLocked()
	}
}

// wakeWriterLocked leaves what is to be done to the writer, which takes what comes meanwhile along.
func (l *link) wakeWriterLocked() {
	if l.mu.writing {
		l.mu.work.Signal()
		return
	}
	l.mu.writing = true
	l.set.wg.Add(1)
	go l.writeFn()
}

// Bounds of writing without the writer. The transport keeps what TryWrite took until the peer has it, and does not say how
// much that is: after so many bytes the writer's Write waits for them.
const (
	maxInlineBytes  = 4 << 10
	maxInlinedBytes = 64 << 10
)

// writeNowLocked writes from the goroutine that has something to say, which saves one at a time two changes of goroutine.
// With more in flight the writer is better: it makes one write of many messages. It reports whether all is written.
func (l *link) writeNowLocked() bool {
	m := l.mu.m
	if l.try == nil || l.mu.busy || l.mu.left != nil || l.mu.outDone || m.InFlight() > l.inlineInFlight || !m.Plain() {
		return false
	}
	n := m.Queued()
	if n > maxInlineBytes || l.mu.inlined+n > maxInlinedBytes {
		return false
	}
	o := m.Take(l.mu.spare)
	l.mu.spare = nil
	if err := l.try.TryWrite(o.Main); err != nil {
		l.mu.left = o.Main // the writer waits for room, or meets the same error
		return false
	}
	l.mu.inlined += n
	l.txBytes.Add(int64(n))
	now := l.set.now()
	l.mu.lastWrite = now
	l.txTick.Store(now)
	l.mu.spare = o.Main[:0]
	l.unchargeLocked()
	l.freeRoomLocked()
	return true
}

// unchargeLocked gives back what the bytes of the queue were charged with; they are written, or will not be.
func (l *link) unchargeLocked() {
	if l.mu.charged > 0 {
		l.queued.release(l.mu.charged)
		l.mu.charged = 0
	}
}

// writeLoop writes until it is told to retire, or the own half is done.
func (l *link) writeLoop() {
	defer l.set.wg.Done()
	defer l.set.leaveIfEnded(l)
	l.mu.Lock()
	defer l.mu.Unlock()
	yielded := false
	for {
		if !l.mu.m.Pending() && l.mu.left == nil {
			if l.mu.retire || l.mu.outDone {
				break
			}
			l.mu.work.Wait()
			continue
		}
		l.mu.retire = false
		if !yielded && l.mu.m.InFlight() > 1 && l.mu.m.Queued() < maxInlineBytes {
			// Others that are ready to run, such as the handlers of what came in the same packet, speak first: a write of
			// many messages costs as much as a write of one.
			yielded = true
			l.mu.Unlock()
			runtime.Gosched()
			l.mu.Lock()
			continue // all may be different
		}
		yielded = false
		var o pair.Output
		if l.mu.left != nil {
			o.Main, l.mu.left = l.mu.left, nil
		} else {
			o = l.mu.m.Take(l.mu.spare)
			l.mu.spare = nil
		}
		charged := l.mu.charged
		l.mu.charged = 0
		l.freeRoomLocked()
		if l.mu.outDone {
			o.Main, o.Setup, o.Finish = nil, nil, false
		}
		now := l.set.now()
		l.writeSize.Store(int64(len(o.Main)))
		l.writeTick.Store(now)
		l.mu.lastWrite = now
		l.mu.busy = true
		l.mu.Unlock()
		err := l.perform(&o)
		l.queued.release(charged)
		l.mu.Lock()
		l.mu.busy, l.mu.inlined = false, 0
		l.mu.setupDone = l.mu.setupDone || len(o.Setup) > 0
		l.writeTick.Store(0)
		l.txTick.Store(l.set.now())
		if cap(o.Main) <= maxSpareBytes {
			l.mu.spare = o.Main[:0]
		}
		switch {
		case err != nil:
			l.writeFailedLocked(err)
		case o.Finish:
			l.outDoneLocked()
		}
	}
	l.mu.writing = false
	l.dropBuffersLocked()
}

// dropBuffersLocked: an idle pair keeps no buffer.
func (l *link) dropBuffersLocked() {
	l.mu.spare = nil
	if !l.mu.m.Pending() {
		l.mu.m.Take(nil)
	}
}

// perform does what a machine wants done.
func (l *link) perform(o *pair.Output) error {
	if o.Stop {
		l.stopReading(o.StopCode)
	}
	if len(o.Setup) > 0 {
		// A client may have given up reading it, for it knows the number; a lost connection shows below.
		if _, err := l.setup.Write(o.Setup); err == nil {
			_ = l.setup.CloseWrite()
		} else {
			l.setup.Reset(wire.CloseNone)
		}
	}
	if len(o.Main) > 0 {
		n, err := l.out.Write(o.Main)
		l.txBytes.Add(int64(n))
		if err != nil {
			return err
		}
	}
	if o.Finish {
		return l.out.CloseWrite()
	}
	return nil
}

func (l *link) stopReading(code wire.CloseCode) {
	l.mu.Lock()
	in := l.in
	l.mu.Unlock()
	if in != nil {
		in.CancelRead(code)
	}
}

// writeFailedLocked takes in that the peer wants nothing more, or that the connection is gone. A client reads on: the
// peer may say why.
func (l *link) writeFailedLocked(err error) {
	l.blameLocked(err)
	if l.waitIn == nil {
		l.killLocked(closeCodeOf(err))
		return
	}
	l.mu.m.Close()
	l.overLocked()
	l.out.Reset(closeCodeOf(err))
	l.outDoneLocked()
}

// blameLocked notes the first reason why the pair ends badly. One is better than first: a server that had no room for
// the pair, or took no early data, read nothing of it.
func (l *link) blameLocked(err error) {
	if l.waitIn != nil && (closeCodeOf(err) == wire.CloseOverloaded || errors.Is(err, ErrNotRun)) {
		err = ErrNotRun
	} else if l.mu.cause != nil {
		return
	}
	l.mu.cause = err
}

// freeRoomLocked wakes those who wait for room in the queue.
func (l *link) freeRoomLocked() {
	if l.mu.room != nil {
		close(l.mu.room)
		l.mu.room = nil
	}
}

// roomLocked waits until the queue has room, for as long as stop is open. It gives up the lock while it waits and reports
// whether the pair still lives.
func (l *link) roomLocked(stop <-chan struct{}) bool {
	for l.mu.m.Queued() > l.limits.MaxQueuedBytes && !l.mu.ended && !l.mu.outDone {
		if l.mu.room == nil {
			l.mu.room = make(chan struct{})
		}
		room := l.mu.room
		l.mu.Unlock()
		select {
		case <-room:
			l.mu.Lock()
		case <-l.dead:
			l.mu.Lock()
		case <-stop:
			l.mu.Lock()
			return false
		}
	}
	return !l.mu.ended
}
