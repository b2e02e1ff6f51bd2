package engine

// #include "native_files.h"
import "C"

import (
	"sort"
	"time"
)

// Metrics is the state of an engine at about one moment. Counters grow from the engine's opening.
type Metrics struct {
	// Sequence is the number of the newest record of any shard.
	Sequence uint64
	// Families counts the column families: shards of every state, and node-local storage.
	Families int

	// CacheBytes is what the block cache holds, CachePinnedBytes what of it is in use by readers and
	// cannot be evicted, CacheCapacityBytes its size. All in bytes.
	CacheBytes, CachePinnedBytes, CacheCapacityBytes uint64
	// MemtableBytes is the memory of all memtables, those being flushed and those held by iterators
	// included.
	MemtableBytes uint64
	// TableReaderBytes is the memory of open tables outside the block cache.
	TableReaderBytes uint64
	// WALBytes is the size of all live write-ahead logs on disk.
	WALBytes uint64
	// TableBytes is the size of all live tables on disk; tables that clones share count once for each.
	TableBytes uint64

	// PendingCompactionBytes estimates what compactions still have to rewrite.
	PendingCompactionBytes uint64
	// RunningCompactions and RunningFlushes count the jobs under way.
	RunningCompactions, RunningFlushes uint64
	// Flushes, Compactions and BackgroundErrors count finished jobs and failed ones.
	Flushes, Compactions, BackgroundErrors uint64
	// Stall is what RocksDB does to writes now, StallChanges how often that has changed.
	Stall        Stall
	StallChanges uint64

	// OldestSnapshotAge is for how long the oldest snapshot has been open, to the second; 0 for none.
	OldestSnapshotAge time.Duration

	// Commits are the committer's figures.
	Commits CommitMetrics
	// Handles counts the live C objects by kind: "iterator", "snapshot", "batch", "pinned value",
	// "sst writer".
	Handles map[string]int64
	// Shards are the live shards by ascending id; Local is node-local storage.
	Shards []ShardMetrics
	Local  ShardMetrics
}

// CommitMetrics are the figures of the group committer since the engine was opened.
type CommitMetrics struct {
	// Groups counts merged writes, Batches the batches in them, Records the records in those, Bytes
	// their encoded size.
	Groups, Batches, Records, Bytes uint64
	// Syncs counts the merged writes that were synced, SyncTime the time spent in them, LongestSync the
	// longest.
	Syncs                 uint64
	SyncTime, LongestSync time.Duration
	// QueueFull counts commits that found the queue full, Queued the batches that wait now.
	QueueFull uint64
	Queued    int
}

// ShardMetrics is the state of one shard at about one moment.
type ShardMetrics struct {
	// ID, Incarnation and Family name the shard; ID is 0 for node-local storage.
	ID          ShardID
	Incarnation Incarnation
	Family      string
	// Rows estimates the number of rows: overwritten ones in different tables count more than once.
	Rows uint64
	// TableBytes and TableFiles are the size and number of the tables on disk, over all levels.
	TableBytes uint64
	TableFiles int
	// Levels are the levels that hold tables, ascending.
	Levels []LevelMetrics
	// Entries counts the records in tables, Deletions the tombstones among them.
	Entries, Deletions uint64
	// LiveBytes estimates what would be left of TableBytes after a full compaction.
	LiveBytes uint64
	// MemtableBytes is the memory of the memtables, MemtableEntries and MemtableDeletions the records in
	// the active one, UnflushedMemtables the number that waits for its flush.
	MemtableBytes, MemtableEntries, MemtableDeletions uint64
	UnflushedMemtables                                uint64
	// PendingCompactionBytes estimates what compactions still have to rewrite.
	PendingCompactionBytes uint64
	// Users counts the operations, iterators and batches that hold the shard.
	Users int64
}

// LevelMetrics is one level of a shard's tables.
type LevelMetrics struct {
	// Level is 0 for freshly flushed tables, which may overlap; deeper ones hold older data.
	Level int
	Files int
	// Bytes is the size of the files.
	Bytes uint64
}

// Metrics reads the engine's figures: some microseconds for each shard, no reads of data. It returns
// ErrClosed after Close.
func (e *Engine) Metrics() (*Metrics, error) {
	if !e.life.enter() {
		return nil, e.closedErr()
	}
	defer e.life.leave()
	events := e.eventCounts()
	m := &Metrics{
		Sequence:               e.db.GetLatestSequenceNumber(),
		CacheBytes:             e.property(nil, "rocksdb.block-cache-usage"),
		CachePinnedBytes:       e.property(nil, "rocksdb.block-cache-pinned-usage"),
		CacheCapacityBytes:     e.property(nil, "rocksdb.block-cache-capacity"),
		MemtableBytes:          e.propertySum("rocksdb.size-all-mem-tables"),
		TableReaderBytes:       e.propertySum("rocksdb.estimate-table-readers-mem"),
		TableBytes:             e.propertySum("rocksdb.live-sst-files-size"),
		PendingCompactionBytes: e.propertySum("rocksdb.estimate-pending-compaction-bytes"),
		RunningCompactions:     e.property(nil, "rocksdb.num-running-compactions"),
		RunningFlushes:         e.property(nil, "rocksdb.num-running-flushes"),
		Flushes:                events.flushes,
		Compactions:            events.compactions,
		BackgroundErrors:       events.backgroundErrors,
		Stall:                  Stall(events.stall),
		StallChanges:           events.stallChanges,
		Handles:                map[string]int64{},
	}
	if at := e.property(nil, "rocksdb.oldest-snapshot-time"); at > 0 {
		m.OldestSnapshotAge = max(0, time.Since(time.Unix(int64(at), 0)).Truncate(time.Second))
	}
	var st C.ple_status
	var wal C.uint64_t
	C.ple_wal_bytes(e.nativeDB(), &wal, &st)
	if err := e.statusError("list the write-ahead logs", &st); err != nil {
		return nil, err
	}
	m.WALBytes = uint64(wal)
	n := e.commitCounts()
	m.Commits = CommitMetrics{
		Groups: n.groups, Batches: n.batches, Records: n.records,
		Bytes: n.bytes, Syncs: n.syncs, SyncTime: n.syncing, LongestSync: n.longest,
		QueueFull: e.counts.queueFull.Load(), Queued: len(e.commits.queue),
	}
	for k := range e.handles.kinds {
		m.Handles[handleNames[k]] = e.handles.kinds[k].Load()
	}
	e.shards.RLock()
	m.Families = len(e.shards.all) + 1
	live := make([]*Shard, 0, len(e.shards.live))
	for _, s := range e.shards.live {
		live = append(live, s)
	}
	e.shards.RUnlock()
	sort.Slice(live, func(i, j int) bool { return live[i].id < live[j].id })
	for _, s := range live {
		if sm, err := s.Metrics(); err == nil { // dropped meanwhile: it is not live
			m.Shards = append(m.Shards, sm)
		}
	}
	local, err := e.local.Metrics()
	m.Local = local
	return m, err
}

// Metrics reads the shard's figures.
func (s *Shard) Metrics() (ShardMetrics, error) {
	if err := s.enter(); err != nil {
		return ShardMetrics{}, err
	}
	defer s.leave()
	files, err := s.e.liveFiles(s)
	if err != nil {
		return ShardMetrics{}, err
	}
	m := ShardMetrics{
		ID: s.id, Incarnation: s.inc, Family: s.name,
		TableFiles:             len(files),
		Rows:                   s.e.property(s, "rocksdb.estimate-num-keys"),
		LiveBytes:              s.e.property(s, "rocksdb.estimate-live-data-size"),
		MemtableBytes:          s.e.property(s, "rocksdb.size-all-mem-tables"),
		MemtableEntries:        s.e.property(s, "rocksdb.num-entries-active-mem-table"),
		MemtableDeletions:      s.e.property(s, "rocksdb.num-deletes-active-mem-table"),
		UnflushedMemtables:     s.e.property(s, "rocksdb.num-immutable-mem-table"),
		PendingCompactionBytes: s.e.property(s, "rocksdb.estimate-pending-compaction-bytes"),
		Users:                  s.users.users() - 1, // without this call
	}
	levels := map[int]*LevelMetrics{}
	for _, f := range files {
		l := levels[f.level]
		if l == nil {
			l = &LevelMetrics{Level: f.level}
			levels[f.level] = l
		}
		l.Files++
		l.Bytes += f.bytes
		m.TableBytes += f.bytes
		m.Entries += f.entries
		m.Deletions += f.deletions
	}
	for _, l := range levels {
		m.Levels = append(m.Levels, *l)
	}
	sort.Slice(m.Levels, func(i, j int) bool { return m.Levels[i].Level < m.Levels[j].Level })
	return m, nil
}

// property reads a number that RocksDB keeps about a family (nil: the database); 0 when it has none.
func (e *Engine) property(s *Shard, name string) uint64 {
	c, free := cString(name)
	defer free()
	var v C.uint64_t
	var family *C.ple_family
	if s != nil {
		family = s.nativeFamily()
	}
	if C.ple_property(e.nativeDB(), family, c, &v) == 0 {
		return 0
	}
	return uint64(v)
}

// propertySum adds a property up over all families.
func (e *Engine) propertySum(name string) uint64 {
	c, free := cString(name)
	defer free()
	var v C.uint64_t
	if C.ple_property_sum(e.nativeDB(), c, &v) == 0 {
		return 0
	}
	return uint64(v)
}
