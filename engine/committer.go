package engine

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// committer makes one write at a time. Its goroutine drains the queue, merges the batches it finds and
// makes one write, synced if any of them wants that. While a sync is under way the next group
// gathers, so the rate of syncs follows the disk and the size of groups follows the load.
//
//	callers ──► queue ──► [ yield · take · check · merge ] ──► RocksDB ──► flips ──► answers
//
// Before it gathers it yields once, if there was company: those that were just answered then come back
// with their next writes, and go into this group instead of waiting for its sync. Without that the
// first to come back has a sync of its own while all others wait.
//
// A caller that is alone makes its write itself: going through the goroutine and back costs as much as
// half an unsynced write.
type committer struct {
	e       *Engine
	queue   chan *request
	stop    chan struct{} // closed by Close: take nothing more
	stopped chan struct{} // closed when the goroutine has returned

	// writing is held by who gathers and writes: the goroutine, or a caller that is alone.
	writing sync.Mutex
	// group, its flips and merged are guarded by writing.
	group  []*request
	flips  int
	merged []byte
	// alone says that the last group was a single batch for which nothing waited.
	alone atomic.Bool

	carry *request // a batch that did not fit into the last group

	// syncStart is when the sync under way began, in nanoseconds since the engine's start; 0 for none.
	syncStart atomic.Int64
	start     time.Time
}

func newCommitter(e *Engine) *committer {
	c := &committer{
		e: e, queue: make(chan *request, e.opts.QueueBatches),
		stop: make(chan struct{}), stopped: make(chan struct{}), start: time.Now(),
	}
	c.alone.Store(true)
	return c
}

// Commit applies b atomically, over all the shards that it names.
//
// ctx counts until the committer takes the batch; from then on Commit waits for the outcome. After
// success the batch may be Reset and used again, or Closed.
//
// Errors: ErrNotWritten (the context ended first, or the engine stopped: nothing was written),
// ErrShardDropped and ErrInvalid (this batch alone was refused), ErrDiskFull (refused until space
// returns), ErrUnknownOutcome (the write failed; what was handed to the log may replay after a
// reopening; the engine writes no more).
func (e *Engine) Commit(ctx context.Context, b *Batch, mode CommitMode) error {
	if b.e != e {
		return fmt.Errorf("%w: the batch belongs to another engine", ErrInvalid)
	}
	if b.closed {
		return fmt.Errorf("%w: the batch was closed", ErrClosed)
	}
	if !b.busy.CompareAndSwap(false, true) {
		return fmt.Errorf("%w: the batch is being committed by another goroutine", ErrInvalid)
	}
	err := e.commits.commit(ctx, b.request(mode))
	b.busy.Store(false)
	return err
}

// commit brings one request through the committer and returns what its caller is to be told.
func (c *committer) commit(ctx context.Context, r *request) error {
	e := c.e
	select {
	case <-c.stop: // a stopped committer must not be raced for
		return e.notWritten(nil)
	default:
	}
	if c.alone.Load() && len(c.queue) == 0 && ctx.Err() == nil && c.writing.TryLock() {
		err := c.direct(r)
		c.writing.Unlock()
		return err
	}
	select {
	case c.queue <- r:
	default:
		// The queue is full: wait for a place, as long as the caller likes.
		e.counts.queueFull.Add(1)
		select {
		case c.queue <- r:
		case <-ctx.Done():
			return e.notWritten(ctx.Err())
		case <-c.stop:
			return e.notWritten(nil)
		}
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		if r.abandon() {
			return e.notWritten(ctx.Err())
		}
	case <-c.stopped:
		// The goroutine answers everything that it took or found; what came behind is answered here.
		if r.abandon() {
			return e.notWritten(nil)
		}
	}
	return <-r.done
}

// notWritten is the error of a batch that never reached the log.
func (e *Engine) notWritten(cause error) error {
	if cause == nil {
		cause = e.stoppedErr()
	}
	return fmt.Errorf("%w: %w", ErrNotWritten, cause)
}

// direct commits r in its caller's goroutine, which holds writing.
func (c *committer) direct(r *request) error {
	c.group, c.flips = c.group[:0], 0
	c.e.disk.refresh()
	if err := c.admit(r); err != nil {
		return err
	}
	r.state.Store(requestTaken)
	c.group, c.flips = append(c.group, r), len(r.b.flips)
	err := c.write()
	c.group[0] = nil
	return err
}

// run is the committer's goroutine.
func (c *committer) run() {
	defer func() {
		c.writing.Lock() // a direct commit under way ends first; later ones find the engine closing
		defer c.writing.Unlock()
		close(c.stopped)
	}()
	many := false // the last group had more than one batch
	for {
		first, waited := c.carry, true
		c.carry = nil
		if first == nil {
			select {
			case first = <-c.queue:
			default:
				waited = false
				select {
				case first = <-c.queue:
				case <-c.stop:
					c.refuseQueued()
					return
				}
			}
		}
		if !c.writing.TryLock() {
			waited = true
			c.writing.Lock()
		}
		if many || waited {
			runtime.Gosched()
		}
		c.gather(first)
		many = len(c.group) > 1
		c.alone.Store(!many && !waited)
		if len(c.group) > 0 {
			c.answer(c.write())
		}
		c.writing.Unlock()
	}
}

// gather takes first and what else waits, up to MergeBytes; a larger batch goes alone.
func (c *committer) gather(first *request) {
	c.group, c.flips = c.group[:0], 0
	c.e.disk.refresh()
	size := 0
	for r := first; ; {
		n := r.size
		switch {
		case len(c.group) > 0 && size+n > c.e.opts.MergeBytes:
			c.carry = r
			return
		case !r.state.CompareAndSwap(requestQueued, requestTaken):
			// The caller gave up while it was queued; the batch is the caller's again.
		default:
			if err := c.admit(r); err != nil {
				r.done <- err
				break
			}
			c.group = append(c.group, r)
			c.flips += len(r.b.flips)
			size += n
		}
		select {
		case r = <-c.queue:
		default:
			return
		}
	}
}

// admit decides whether r may be part of the next write; what it refuses fails alone.
func (c *committer) admit(r *request) error {
	if err := c.e.stoppedErrOrNil(); err != nil {
		return fmt.Errorf("%w: %w", ErrNotWritten, err)
	}
	if err := c.e.disk.check(r.mode&Reclaim != 0); err != nil {
		return err
	}
	for _, s := range r.b.shards {
		if shardState(s.state.Load()) == shardRetired {
			return fmt.Errorf("%w: %s", ErrShardDropped, s.describe())
		}
		if c.flips == 0 {
			continue
		}
		for _, before := range c.group {
			for _, f := range before.b.flips {
				// Retired by a batch ahead in this very group. Nothing may follow a flip of the same shard.
				if f.retire == s || (f.activate != nil && f.activate.id == s.id && f.activate != s) {
					return fmt.Errorf("%w: %s", ErrShardDropped, s.describe())
				}
			}
		}
	}
	if err := r.b.check(); err != nil {
		return err
	}
	for _, f := range r.b.flips {
		// From here on the log may come to hold the activation, so nobody may discard the family.
		if f.activate != nil && !f.activate.state.CompareAndSwap(int32(shardStaged), int32(shardFlipping)) {
			return fmt.Errorf("%w: %s is not staged any more", ErrShardDropped, f.activate.describe())
		}
	}
	return nil
}

// write makes one write of the group and returns what its callers are to be told.
func (c *committer) write() error {
	e := c.e
	e.checkBackground()
	if err := e.stoppedErrOrNil(); err != nil {
		return fmt.Errorf("%w: %w", ErrNotWritten, err)
	}
	// A flip is always synced: the family that it retires is dropped durably, and the table must not
	// name it any more then.
	sync := c.flips > 0
	records := uint32(0)
	for _, r := range c.group {
		sync = sync || r.mode&Sync != 0
		records += r.b.count
	}
	rep := c.representation(records)
	var began, took time.Duration
	if sync {
		began = time.Since(c.start)
		c.syncStart.Store(int64(began))
	}
	seq, err := c.handOver(rep, records, sync && !plantedNoSync)
	if sync {
		took = time.Since(c.start) - began
		c.syncStart.Store(0)
	}
	if err != nil {
		e.fail(err)
		return fmt.Errorf("%w: %w", ErrUnknownOutcome, err)
	}
	if sync && seq > 0 {
		if err := e.mark.set(seq); err != nil {
			// The write is durable; only the detection of a later loss is weakened.
			e.log.Warn("engine: the synced mark could not be written", "err", err)
		}
	}
	e.counts.noteLocked(len(c.group), records, len(rep), sync, took)
	for _, r := range c.group {
		e.applyFlips(r.b.flips)
	}
	return nil
}

// handOver writes rep, or only syncs when the group has no records.
func (c *committer) handOver(rep []byte, records uint32, sync bool) (uint64, error) {
	if records > 0 {
		return c.e.writeRep(rep, sync)
	}
	if sync {
		return 0, c.e.syncWAL()
	}
	return 0, nil
}

// representation returns the group as one batch: the batch's own bytes when it is alone.
func (c *committer) representation(records uint32) []byte {
	if len(c.group) == 1 {
		rep := c.group[0].b.rep
		binary.LittleEndian.PutUint32(rep[8:], records)
		return rep
	}
	if cap(c.merged) < batchHeaderBytes {
		c.merged = make([]byte, batchHeaderBytes, 64*kib)
	}
	c.merged = c.merged[:batchHeaderBytes]
	clear(c.merged)
	binary.LittleEndian.PutUint32(c.merged[8:], records)
	for _, r := range c.group {
		c.merged = append(c.merged, r.b.rep[batchHeaderBytes:]...)
	}
	return c.merged
}

func (c *committer) answer(err error) {
	for i, r := range c.group {
		c.group[i] = nil
		r.done <- err
	}
	c.group = c.group[:0]
}

// refuseQueued answers what still waits after the stop.
func (c *committer) refuseQueued() {
	for {
		select {
		case r := <-c.queue:
			if r.state.CompareAndSwap(requestQueued, requestTaken) {
				r.done <- c.e.notWritten(nil)
			}
		default:
			return
		}
	}
}

// oldestSync returns for how long the sync under way has been running, 0 when none is.
func (c *committer) oldestSync() time.Duration {
	began := c.syncStart.Load()
	if began == 0 {
		return 0
	}
	return time.Since(c.start) - time.Duration(began)
}
