package engine

import (
	"errors"
	"fmt"
	"time"
)

// closeGrace is how long Close waits for operations under way to give back their handles, before it
// calls those that are left forgotten.
const closeGrace = time.Second

// Close stops the committer, waits for running operations and releases the directory.
//
// Handles that their owners have not closed within a second (iterators, snapshots, batches, pinned
// values) are reported by ErrLeaked; everything C is then freed, and the directory released, when the last of them is closed.
// Writes that wait in the queue fail with ErrNotWritten. Everything acknowledged with Sync is durable
// before and after; Close also syncs what was acknowledged with NoSync. Close again returns ErrClosed.
func (e *Engine) Close() error {
	if e.closing.Swap(true) {
		return fmt.Errorf("%w: %s", ErrClosed, e.dir)
	}
	close(e.commits.stop)
	<-e.commits.stopped

	var errs []error
	if e.Err() == nil {
		if err := e.syncWAL(); err != nil {
			errs = append(errs, err)
		} else if last := e.chain.last; last > e.mark.seq { // nobody commits any more
			if err := e.mark.set(last); err != nil {
				errs = append(errs, err)
			}
		}
	}
	e.shards.RLock()
	open := make([]*Shard, 0, len(e.shards.all)+1)
	for _, s := range e.shards.all {
		open = append(open, s)
	}
	e.shards.RUnlock()
	open = append(open, e.local)
	for _, s := range open {
		s.users.shut()
	}
	e.life.shut()
	// Nothing new can be opened on a shard any more; who is in the middle of an operation is about to end.
	if left := e.handles.await(closeGrace); left != "" {
		errs = append(errs, fmt.Errorf("%w: %s; the directory stays locked until they are closed", ErrLeaked, left))
		// Nothing that they use may go before them: the last one to leave ends the engine.
		go func() {
			e.drain(open)
			e.destroy()
		}()
		return errors.Join(errs...)
	}
	e.drain(open)
	e.destroy()
	return errors.Join(errs...)
}

// drain waits for every user of every family, and for the drops under way.
func (e *Engine) drain(open []*Shard) {
	for _, s := range open {
		<-s.users.drained
	}
	<-e.life.drained
	e.background.Wait()
}

// destroy frees everything C in the order that RocksDB demands: handles of families, the database,
// what its options point at, the listener's record; then the files. Nobody uses the engine any more.
func (e *Engine) destroy() {
	e.shards.Lock()
	for _, s := range e.shards.all {
		s.cf.Destroy()
		close(s.gone)
	}
	clear(e.shards.all)
	clear(e.shards.live)
	e.shards.Unlock()
	if e.local != nil {
		e.local.cf.Destroy()
	}
	if e.db != nil {
		e.db.Close()
	}
	for i := len(e.owned) - 1; i >= 0; i-- {
		e.owned[i]()
	}
	if e.events != nil {
		freeEvents(e.events)
		e.events = nil
	}
	if e.mark != nil {
		if err := e.mark.close(); err != nil {
			e.log.Warn("engine: closing the synced mark", "err", err)
		}
	}
	if e.lock != nil {
		if err := e.lock.release(); err != nil {
			e.log.Warn("engine: releasing the directory lock", "err", err)
		}
	}
	close(e.destroyed)
}
