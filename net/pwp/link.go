package pwp

import (
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
