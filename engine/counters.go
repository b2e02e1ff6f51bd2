package engine

import (
	"sync"
	"sync/atomic"
	"time"
)

// commitCounts are the committer's figures since the engine opened. All only grow.
type commitCounts struct {
	groups  uint64        // merged writes made
	batches uint64        // batches in them
	records uint64        // records in them
	bytes   uint64        // encoded bytes in them
	syncs   uint64        // merged writes that were synced
	syncing time.Duration // time spent in synced writes
	longest time.Duration // longest synced write
}

// counters keeps commitCounts where counting costs next to nothing: in plain fields of who writes.
type counters struct {
	// now is guarded by committer.writing.
	now commitCounts
	// shown is a copy for readers that find a write under way. It is behind by less than showEvery
	// unsynced writes.
	shown struct {
		sync.Mutex
		commitCounts
	}
	queueFull atomic.Uint64 // commits that found the queue full and had to wait outside
}

const showEvery = 64

// noteLocked counts one merged write. The caller holds committer.writing.
func (c *counters) noteLocked(batches int, records uint32, bytes int, sync bool, took time.Duration) {
	n := &c.now
	n.groups++
	n.batches += uint64(batches)
	n.records += uint64(records)
	n.bytes += uint64(bytes)
	if sync {
		n.syncs++
		n.syncing += took
		n.longest = max(n.longest, took)
	} else if n.groups%showEvery != 0 {
		return
	}
	c.shown.Lock()
	c.shown.commitCounts = *n
	c.shown.Unlock()
}

// commitCounts returns the figures. It never waits for a write: a disk may hang.
func (e *Engine) commitCounts() commitCounts {
	if e.commits.writing.TryLock() {
		defer e.commits.writing.Unlock()
		return e.counts.now
	}
	e.counts.shown.Lock()
	defer e.counts.shown.Unlock()
	return e.counts.shown.commitCounts
}
