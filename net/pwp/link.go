package pwp

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/shieldmaidens/pleiades/net/pwp/pair"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// link runs one side of one pair: a machine, its streams, one goroutine that reads and one that writes when there is
// something to write. Server and client differ in what they do with events.
type link struct {
	set    *linkSet
	limits *Limits
	side   side
	ledger *ledger

	in     Stream      // the peer's half; at a client known when the response stream arrives
	out    Stream      // the own half
	try    TryWriter   // out, if it is one
	setup  Stream      // at a server: its half of the request stream, for RESPONSE_STREAM_ID
	queued *ledger     // of what waits to be written, at a server
	waitIn chan Stream // at a client: delivers in
	dead   chan struct{}
	// inlineInFlight is up to how many requests in flight are written without the writer.
	inlineInFlight int
	born           time.Time
	writeFn        func() // writeLoop, bound once so that starting it allocates nothing

	// Ticks of the set's clock at which something was last seen; 0: nothing of the kind is under way.
	bornTick  int64
	rxTick    atomic.Int64 // bytes arrived
	txTick    atomic.Int64 // bytes were written
	readTick  atomic.Int64 // since then a read waits for bytes
	pieceTick atomic.Int64 // since then a frame or message is incomplete
	pieceSize atomic.Int64
	writeTick atomic.Int64 // since then a write is under way
	writeSize atomic.Int64
	overTick  atomic.Int64 // since then only the peer's end of the pair is missing
	rxBytes   atomic.Int64
	txBytes   atomic.Int64

	// Of the reading goroutine.
	ev    pair.Event
	small [smallBytes]byte
	large *buffer
	rest  []byte // arrived and not used

	// Lock order: a side's own locks, then mu; the set's lock is taken with mu held by nobody.
	mu struct {
		sync.Mutex
		m         *pair.Machine
		work      sync.Cond // the writer waits on it
		room      chan struct{}
		writing   bool   // there is a writer
		busy      bool   // it is writing
		left      []byte // what TryWrite did not take
		inlined   int    // bytes written without the writer since it wrote last
		charged   int64  // of what is in the machine's queue, to queued
		retire    bool   // it is to stop when it has nothing to do
		setupDone bool   // RESPONSE_STREAM_ID is written, and that half finished
		outDone   bool   // the own half is finished or cut
		readDone  bool
		ended     bool
		killed    bool
		cause     error // why the pair ended badly
		beat      int64 // heartbeat interval in ticks
		lastWrite int64
		spare     []byte
	}
}

// side is what server and client do with a link. Methods named Locked are called with link.mu held and do not block.
type side interface {
	// eventLocked takes in l.ev; buf is the message of the event, if it has one, and belongs to the side when it
	// returns true.
	eventLocked(l *link, buf *buffer) bool
	// after is called without the lock after each event; it may wait, which keeps the pair from being read.
	after(l *link)
	// deadLocked is called once, when no more answers will come or be wanted.
	deadLocked(l *link)
}

// maxSpareBytes is the largest buffer that a pair keeps for its next writes, while it is busy.
const maxSpareBytes = 2 << 20

// smallBytes is what an idle pair has to read into; a busy one borrows a buffer of largeBytes.
const (
	smallBytes = 512
	largeBytes = 4 << 10
)

func newLink(set *linkSet, limits *Limits, s side, led *ledger, cfg pair.Config) *link {
	l := &link{set: set, limits: limits, side: s, ledger: led, dead: make(chan struct{}), born: time.Now()}
	cfg.MaxMessageBytes = uint64(limits.MaxMessageBytes)
	cfg.MaxRequests = limits.MaxRequestsPerPair
	l.mu.m = pair.New(cfg)
	l.mu.work.L = &l.mu.Mutex
	l.writeFn = l.writeLoop
	l.bornTick = set.now()
	l.rxTick.Store(l.bornTick)
	l.txTick.Store(l.bornTick)
	return l
}

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

// overLocked begins the time within which the peer has to end its half.
func (l *link) overLocked() { l.overTick.CompareAndSwap(0, l.set.now()) }

func (l *link) outDoneLocked() {
	l.mu.outDone = true
	if l.waitIn == nil || l.mu.m.State() >= pair.StateClosed {
		l.overLocked() // a client that said CLOSE may wait for answers as long as it likes
	}
	l.mu.work.Signal()
	l.endLocked()
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

// kill cuts both halves at once.
func (l *link) kill(code wire.CloseCode, cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.blameLocked(cause)
	l.killLocked(code)
}

func (l *link) killLocked(code wire.CloseCode) {
	if l.mu.killed {
		return
	}
	l.mu.killed = true
	l.mu.m.Reset(code)
	l.out.Reset(code)
	if l.setup != nil {
		l.setup.Reset(code)
		l.setup.CancelRead(code)
	}
	if l.in != nil {
		l.in.CancelRead(code)
	}
	if l.waitIn != nil {
		l.out.CancelRead(code) // the server's half of the request stream
	}
	l.mu.outDone = true
	l.mu.work.Signal()
	l.finishLocked()
}

// endLocked ends the link when both directions are done.
func (l *link) endLocked() {
	if l.mu.outDone && l.mu.readDone {
		l.finishLocked()
	}
}

func (l *link) finishLocked() {
	if l.mu.ended {
		return
	}
	l.mu.ended = true
	if l.in != nil {
		l.in.CancelRead(wire.CloseNone) // a stream that was not read to its end keeps its credit
	}
	if l.setup != nil && !l.mu.setupDone {
		_ = l.setup.CloseWrite() // the client never said HELLO
	}
	close(l.dead)
	l.freeRoomLocked()
	l.unchargeLocked()
	l.side.deadLocked(l)
}
