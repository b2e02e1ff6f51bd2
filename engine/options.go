package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
)

// Compression chooses how blocks of the tables are compressed. Part of the configuration, not of the
// format: a store opens with any of them.
type Compression string

const (
	// CompressionDefault is LZ4 with Zstandard at the bottommost level.
	CompressionDefault Compression = ""
	// CompressionNone stores blocks as they are.
	CompressionNone Compression = "none"
	// CompressionLZ4 uses LZ4 at every level.
	CompressionLZ4 Compression = "lz4"
	// CompressionZstd uses Zstandard at every level.
	CompressionZstd Compression = "zstd"
)

// Memtable chooses what unflushed rows are kept in. Part of the configuration, not of the format: logs and
// tables are the same bytes, and a store opens with either.
type Memtable string

const (
	// MemtableDefault is MemtableTree.
	MemtableDefault Memtable = ""
	// MemtableTree is the engine's own B+-tree, made for the one writer that the engine is.
	MemtableTree Memtable = "tree"
	// MemtableSkipList is RocksDB's own: writes of random keys cost one and a half to twice as much. For
	// an operator who mistrusts the tree.
	MemtableSkipList Memtable = "skiplist"
)

// Options configures an engine. The zero value of each field means its default; a nil *Options is all
// defaults. Open copies the options.
type Options struct {
	// Logger receives what an operator should know; nil discards it.
	Logger *slog.Logger
	// ErrorIfMissing refuses to make a new store: Open returns ErrNoStore instead.
	ErrorIfMissing bool
	// AcceptDataLoss opens a store whose recovered state lacks writes that were acknowledged as synced.
	// What was recovered becomes the truth. Default: Open returns ErrDataLoss.
	AcceptDataLoss bool

	// BlockCacheBytes is the size of the one cache of table blocks. Default 256 MiB; 1 MiB to 1 TiB.
	BlockCacheBytes int64
	// MemtableBytes is the budget of unflushed writes of all shards together. Default 256 MiB; 1 MiB to 64 GiB.
	MemtableBytes int64
	// ShardMemtableBytes is when one shard's memtable is flushed. Default 64 MiB; 64 KiB to 4 GiB.
	ShardMemtableBytes int64
	// MaxWALBytes is when the families that hold back the oldest write-ahead log are flushed. Default
	// 512 MiB; 1 MiB to 64 GiB.
	MaxWALBytes int64
	// MaxOpenFiles bounds the table files that RocksDB keeps open. Default 4,096; at least 64.
	MaxOpenFiles int
	// BackgroundJobs bounds the threads that flush and compact. Default the number of CPUs, 2 to 8.
	BackgroundJobs int
	// Compression of table blocks.
	Compression Compression
	// Memtable keeps the unflushed rows. It may differ from one opening to the next.
	Memtable Memtable

	// MaxShards bounds the column families. Default 500; 1 to 10,000. Families cost memory and slow the
	// creation of others: 50 ms each at 300, 200 ms at 1,000 (DESIGN.md).
	MaxShards int
	// MaxBatchBytes bounds one batch. Default 64 MiB; 64 KiB to 1 GiB.
	MaxBatchBytes int
	// MergeBytes bounds a merged write; a larger batch goes alone. Default 4 MiB; 4 KiB to 64 MiB.
	MergeBytes int
	// QueueBatches bounds the batches that wait for the committer; further callers wait outside, under
	// their context. Default 4,096; 1 to 1,048,576.
	QueueBatches int

	// DiskFullPercent and DiskFullFreeBytes: writes are refused with ErrDiskFull while the file system is
	// used to at least this share and has less than these bytes left. Defaults 90 (1 to 99) and 8 GiB.
	// Both must hold, so that a large disk is not given up with hundreds of GiB free.
	DiskFullPercent   int
	DiskFullFreeBytes int64
	// ReserveBytes is the size of the file that is given up when the disk is full all the same, so that
	// the store can be opened and space reclaimed. Default 32 MiB; -1 for none; at most 16 GiB.
	ReserveBytes int64
}

const (
	kib = int64(1) << 10
	mib = int64(1) << 20
	gib = int64(1) << 30
)

// withDefaults returns a validated copy with every default filled in; all faults come in one error.
func (o *Options) withDefaults() (Options, error) {
	var v Options
	if o != nil {
		v = *o
	}
	if v.Logger == nil {
		v.Logger = slog.New(slog.DiscardHandler)
	}
	var faults []error
	check := func(name string, p *int64, def, lo, hi int64) {
		if *p == 0 {
			*p = def
		}
		if *p < lo || *p > hi {
			faults = append(faults, fmt.Errorf("%s is %d, must be %d to %d", name, *p, lo, hi))
		}
	}
	checkInt := func(name string, p *int, def, lo, hi int64) {
		n := int64(*p)
		check(name, &n, def, lo, hi)
		*p = int(n)
	}
	check("BlockCacheBytes", &v.BlockCacheBytes, 256*mib, mib, 1024*gib)
	check("MemtableBytes", &v.MemtableBytes, 256*mib, mib, 64*gib)
	check("ShardMemtableBytes", &v.ShardMemtableBytes, 64*mib, 64*kib, 4*gib)
	check("MaxWALBytes", &v.MaxWALBytes, 512*mib, mib, 64*gib)
	checkInt("MaxOpenFiles", &v.MaxOpenFiles, 4096, 64, 1<<20)
	checkInt("BackgroundJobs", &v.BackgroundJobs, int64(min(max(runtime.NumCPU(), 2), 8)), 1, 64)
	checkInt("MaxShards", &v.MaxShards, 500, 1, 10_000)
	checkInt("MaxBatchBytes", &v.MaxBatchBytes, 64*mib, 64*kib, gib)
	checkInt("MergeBytes", &v.MergeBytes, 4*mib, 4*kib, 64*mib)
	checkInt("QueueBatches", &v.QueueBatches, 4096, 1, 1<<20)
	checkInt("DiskFullPercent", &v.DiskFullPercent, 90, 1, 99)
	check("DiskFullFreeBytes", &v.DiskFullFreeBytes, 8*gib, 1, 1<<60)
	if v.ReserveBytes != -1 {
		check("ReserveBytes", &v.ReserveBytes, 32*mib, 1, 16*gib)
	}
	switch v.Compression {
	case CompressionDefault, CompressionNone, CompressionLZ4, CompressionZstd:
	default:
		faults = append(faults, fmt.Errorf("Compression is %q, must be none, lz4, zstd or empty", v.Compression))
	}
	switch v.Memtable {
	case MemtableDefault:
		v.Memtable = MemtableTree
	case MemtableTree, MemtableSkipList:
	default:
		faults = append(faults, fmt.Errorf("Memtable is %q, must be tree, skiplist or empty", v.Memtable))
	}
	if len(faults) > 0 {
		return Options{}, fmt.Errorf("%w: %w", ErrInvalid, errors.Join(faults...))
	}
	return v, nil
}
