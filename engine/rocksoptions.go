package engine

import (
	"github.com/linxGnu/grocksdb"
	"golang.org/x/sys/unix"
)

const (
	bloomBitsPerKey = 10
	// arenaBlockBytes: RocksDB's default of an eighth of the memtable makes hundreds of families
	// allocate gigabytes; 64 KiB measured 73k -> 191k writes/s with 300 families.
	arenaBlockBytes = 64 << 10
	checksumXXH3    = 4
	blockBytes      = 16 << 10
)

// buildOptions makes the options of the database and of every family (the same object: the C API
// keeps both in one). The engine owns what is made here and destroys it after the database.
func (e *Engine) buildOptions() *grocksdb.Options {
	o := &e.opts
	cache := grocksdb.NewLRUCache(uint64(o.BlockCacheBytes))
	table := grocksdb.NewDefaultBlockBasedTableOptions()
	table.SetBlockCache(cache)
	table.SetBlockSize(blockBytes)
	table.SetChecksum(checksumXXH3)
	table.SetFormatVersion(5)
	table.SetFilterPolicy(grocksdb.NewBloomFilter(bloomBitsPerKey)) // owned by table from here on
	table.SetCacheIndexAndFilterBlocks(true)
	table.SetCacheIndexAndFilterBlocksWithHighPriority(true)
	table.SetPinL0FilterAndIndexBlocksInCache(true)

	opts := grocksdb.NewDefaultOptions()
	opts.SetCreateIfMissing(true)
	opts.SetParanoidChecks(true)
	opts.SetBlockBasedTableFactory(table)
	opts.SetWALRecoveryMode(grocksdb.PointInTimeRecovery)
	opts.SetMaxTotalWalSize(uint64(o.MaxWALBytes))
	opts.SetDbWriteBufferSize(uint64(o.MemtableBytes))
	opts.SetWriteBufferSize(uint64(o.ShardMemtableBytes))
	opts.SetArenaBlockSize(arenaBlockBytes)
	if o.Memtable == MemtableTree {
		setMemtable(opts)
	}
	opts.SetMaxOpenFiles(openFiles(o.MaxOpenFiles))
	opts.SetMaxBackgroundJobs(o.BackgroundJobs)
	opts.SetLevelCompactionDynamicLevelBytes(true)
	opts.SetBytesPerSync(1 << 20)
	opts.SetMaxManifestFileSize(64 << 20)
	opts.SetStatsDumpPeriodSec(0)
	opts.SetStatsPersistPeriodSec(0)
	switch o.Compression {
	case CompressionNone:
		opts.SetCompression(grocksdb.NoCompression)
	case CompressionLZ4:
		opts.SetCompression(grocksdb.LZ4Compression)
	case CompressionZstd:
		opts.SetCompression(grocksdb.ZSTDCompression)
	default:
		opts.SetCompression(grocksdb.LZ4Compression)
		opts.SetBottommostCompression(grocksdb.ZSTDCompression)
	}
	e.events = newEvents()
	e.backgroundErrors = backgroundErrorCount(e.events)
	prepareOptions(opts, e.events)
	e.chain = setChain(opts)
	e.env = setEnv(opts, e.dir, e.events)
	setLog(opts, e.dir)
	e.cfOpts = opts
	e.cache = cache
	e.owned = append(e.owned, e.chain.free, e.env.free, cache.Destroy, table.Destroy, opts.Destroy)
	return opts
}

// openFiles keeps RocksDB to half of the process's limit: a table file that cannot be opened would
// count as a read error, and those stop the engine.
func openFiles(want int) int {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return want
	}
	return int(min(uint64(want), max(lim.Cur/2, 32)))
}
