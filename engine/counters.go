package engine

import (
	"sync/atomic"
	"time"
)

// counters are the committer's figures since the engine opened. All only grow.
type counters struct {
	groups    atomic.Uint64 // merged writes made
	batches   atomic.Uint64 // batches in them
	records   atomic.Uint64 // records in them
	bytes     atomic.Uint64 // encoded bytes in them
	syncs     atomic.Uint64 // merged writes that were synced
	syncNanos atomic.Uint64 // time spent in synced writes
	maxSync   atomic.Uint64 // longest synced write, in nanoseconds
	queueFull atomic.Uint64 // commits that found the queue full and had to wait outside
}

// note counts one merged write.
func (c *counters) note(batches, records, bytes int, sync bool, took time.Duration) {
	c.groups.Add(1)
	c.batches.Add(uint64(batches))
	c.records.Add(uint64(records))
	c.bytes.Add(uint64(bytes))
	if !sync {
		return
	}
	c.syncs.Add(1)
	c.syncNanos.Add(uint64(took))
	if n := uint64(took); n > c.maxSync.Load() { // one writer at a time
		c.maxSync.Store(n)
	}
}
