package pwp

import (
	"fmt"
	"io"

	"github.com/shieldmaidens/pleiades/net/pwp/pair"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// readLoop reads the peer's half until it ends, and ends the link's reading side.
func (l *link) readLoop() {
	defer l.set.wg.Done()
	defer l.readDone()
	if l.waitIn != nil {
		select {
		case in := <-l.waitIn:
			l.mu.Lock()
			l.in = in
			ended := l.mu.ended
			l.mu.Unlock()
			if ended {
				discard(in, wire.CloseNone)
				return
			}
		case <-l.dead:
			select {
			case in := <-l.waitIn:
				discard(in, wire.CloseNone)
			default:
			}
			return
		}
	}
	for {
		if !l.parse() {
			return
		}
		if err := l.fill(); err != nil {
			l.readFailed(err)
			return
		}
	}
}

func (l *link) readDone() {
	l.large.release()
	l.large, l.rest = nil, nil
	l.readTick.Store(0)
	l.pieceTick.Store(0)
	l.mu.Lock()
	l.mu.readDone = true
	l.kickLocked()
	l.endLocked()
	l.mu.Unlock()
	l.set.leaveIfEnded(l)
}

// fill waits for bytes and puts them behind rest, which holds at most the beginning of a frame or prelude.
func (l *link) fill() error {
	buf := l.small[:]
	switch {
	case l.large != nil && len(l.rest) == 0:
		l.large.release() // drained: an idle pair keeps no buffer
		l.large = nil
	case l.large != nil:
		buf = l.large.b[:cap(l.large.b)]
	}
	n := copy(buf, l.rest)
	if n > 0 {
		l.beginPiece(0)
	}
	got, err := l.read(l.in, buf[n:])
	l.rest = buf[:n+got]
	if n+got == len(buf) && l.large == nil {
		// There is more than fits: read in larger pieces until it is drained.
		l.large = newBuffer(largeBytes)
		l.rest = append(l.large.b[:0], l.rest...)
	}
	if got > 0 {
		return nil // an error comes again
	}
	return err
}

// read reads from s and keeps the times that the sweep looks at.
func (l *link) read(s Stream, p []byte) (int, error) {
	l.readTick.Store(l.set.now())
	n, err := s.Read(p)
	l.readTick.Store(0)
	l.rxTick.Store(l.set.now())
	l.rxBytes.Add(int64(n))
	return n, err
}

func (l *link) beginPiece(size int64) {
	if l.pieceTick.Load() == 0 || size > 0 {
		l.pieceSize.Store(size)
		l.pieceTick.Store(l.set.now())
	}
}

func (l *link) readFailed(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == io.EOF {
		l.ev = l.mu.m.EndOfStream(len(l.rest))
		l.eventLocked(nil)
		return
	}
	if l.mu.m.State() == pair.StateOver {
		return // this side gave up reading
	}
	l.blameLocked(err)
	l.killLocked(closeCodeOf(err))
}

// eventLocked hands l.ev to the side and reports whether it took buf.
func (l *link) eventLocked(buf *buffer) bool {
	switch l.ev.Kind {
	case pair.KindNone:
		return false
	case pair.KindFail:
		if l.mu.cause == nil {
			l.mu.cause = fmt.Errorf("%w: %w", wire.ErrProtocol, l.ev.Err)
		}
	case pair.KindClose:
		if l.waitIn != nil {
			l.overLocked()
		}
	case pair.KindPairError:
		l.mu.cause = l.ev.Err
	case pair.KindInterval:
		l.mu.beat = int64(l.ev.Timeout / tick)
	}
	took := l.side.eventLocked(l, buf)
	l.kickLocked()
	return took
}

// maxAnswers is how many answers to a server's latency tests a client queues before it reads no further.
const maxAnswers = 1000

// answerRoomLocked waits until what the peer asks may be answered, and reports whether the pair still lives. A server
// waits until its answers are read. A client must not wait for its requests to be read: that may need its reading.
func (l *link) answerRoomLocked() bool {
	if l.waitIn == nil {
		return l.roomLocked(nil)
	}
	for l.mu.m.Answers() > maxAnswers && !l.mu.ended && !l.mu.outDone {
		l.waitRoomLocked()
	}
	return !l.mu.ended
}

// parse uses up what has arrived, as far as it is complete. It reports whether to read on.
func (l *link) parse() bool {
	for len(l.rest) > 0 {
		l.mu.Lock()
		if !l.answerRoomLocked() || l.mu.m.State() == pair.StateOver {
			l.mu.Unlock()
			return false
		}
		var n int
		n, l.ev = l.mu.m.Receive(l.rest)
		l.rest = l.rest[n:]
		l.eventLocked(nil)
		over := l.mu.m.State() == pair.StateOver
		l.mu.Unlock()
		if over {
			return false
		}
		if n == 0 {
			return true
		}
		l.pieceTick.Store(0)
		if l.ev.Kind == pair.KindPrelude {
			if !l.message(l.ev.Prelude) {
				return false
			}
		} else {
			l.side.after(l)
		}
	}
	return true
}

// message reads the bytes behind a prelude and hands them on. It reports whether to read on.
func (l *link) message(p wire.Prelude) bool {
	size := int64(p.SizeBytes) // at most MaxMessageBytes
	if !l.ledger.acquire(size, l.dead) {
		return false
	}
	buf := newBuffer(int(size))
	buf.ledger, buf.charge = l.ledger, size
	n := min(size, int64(len(l.rest)))
	buf.b = append(buf.b, l.rest[:n]...)
	l.rest = l.rest[n:]
	if n < size {
		l.beginPiece(size)
		var err error
		buf, err = l.readMessage(buf, int(size))
		l.pieceTick.Store(0)
		if err != nil {
			buf.release()
			l.readFailed(err)
			return false
		}
	}
	checked := l.mu.m.Check(p, buf.b) // changes nothing: no lock
	l.mu.Lock()
	l.ev = l.mu.m.Message(checked)
	took := l.eventLocked(buf)
	over := l.mu.m.State() == pair.StateOver
	l.mu.Unlock()
	if !took {
		buf.release()
	}
	l.side.after(l)
	return !over
}

// readMessage fills buf up to size and returns it, or the larger one that took its place. Room for what a peer announced
// grows with what arrives: a lie costs us at most four times the bytes that it costs the liar.
func (l *link) readMessage(buf *buffer, size int) (*buffer, error) {
	for len(buf.b) < size {
		if len(buf.b) == cap(buf.b) {
			buf = buf.grown(size)
		}
		n, err := l.read(l.in, buf.b[len(buf.b):min(cap(buf.b), size)])
		buf.b = buf.b[:len(buf.b)+n]
		if n == 0 && err != nil {
			return buf, err
		}
	}
	return buf, nil
}

// discard ends both halves of a stream that nobody wants.
func discard(s Stream, code wire.CloseCode) {
	s.CancelRead(code)
	s.Reset(code)
}
