package engine

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/linxGnu/grocksdb"
)

// Engine is one RocksDB directory: many shards, one write-ahead log, one committer. All methods are
// safe for concurrent use. See the package comment for how the parts fit.
type Engine struct {
	dir  string
	opts Options
	log  *slog.Logger

	// db is opened and closed through grocksdb; dbp is its rocksdb_t for the helpers in native.cc.
	db  *grocksdb.DB
	dbp unsafe.Pointer
	// events is the C++ listener's record of background errors and stalls; freed after db.
	// backgroundErrors is its count of errors, to be read atomically.
	events           unsafe.Pointer
	backgroundErrors *uint64
	env              storeEnv          // owned; what RocksDB sees of the file system
	chain            writeChain        // owned; ties the writes in the logs together
	cfOpts           *grocksdb.Options // owned; used for every family that is created later
	cache            *grocksdb.Cache   // owned; the one block cache
	owned            []func()          // destroys options, caches and filters, in reverse order, after db
	lock             *dirLock
	mark             *syncMark
	disk             *diskGuard
	commits          *committer
	handles          handleCounts
	counts           counters

	// local is the default family: node-local storage and the shard table.
	local *Shard

	// ddl serialises what changes the set of families (RocksDB does not like it concurrently).
	// Lock order: ddl before shards.
	ddl sync.Mutex

	shards struct {
		sync.RWMutex
		live map[ShardID]*Shard
		// all holds every incarnation whose family exists, by family name: staged, live, and
		// retired ones that still have users.
		all map[string]*Shard
	}

	// life holds the whole engine: snapshots and slow calls enter, Close shuts and waits.
	life gate
	// failure is the first error that made the engine stop writing; nil while healthy.
	failure atomic.Pointer[error]
	closing atomic.Bool
	// destroyed closes when RocksDB was closed and everything C was freed.
	destroyed  chan struct{}
	background sync.WaitGroup
}

// Dir returns the directory that the engine was opened on.
func (e *Engine) Dir() string { return e.dir }

// Local returns node-local storage: RocksDB's default family, for identity, settings and the shard
// table. It is used like a shard but is never replicated and cannot be dropped. Keys are prefixed by
// their owner; 's' is the engine's own shard table (see docs/disk-layout.md).
func (e *Engine) Local() *Shard { return e.local }
