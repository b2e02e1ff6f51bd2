package engine

import "github.com/shieldmaidens/pleiades/base"

// The engine's sentinels. Each matches a marker of package base under errors.Is; the operands (which
// shard, which file) are wrapped around them.
var (
	// ErrShardNotFound says that the node holds no live incarnation of the shard.
	ErrShardNotFound = base.New(base.ErrNotFound, "engine: no such shard")
	// ErrShardExists says that the shard to be created is live already.
	ErrShardExists = base.New(base.ErrExists, "engine: shard exists")
	// ErrShardDropped says that this incarnation was dropped or replaced; ask the engine for the shard again.
	ErrShardDropped = base.New(base.ErrNotFound, "engine: shard was dropped or replaced")
	// ErrTooManyShards says that Options.MaxShards is reached.
	ErrTooManyShards = base.New(base.ErrOverloaded, "engine: too many shards")
	// ErrBatchTooLarge says that a batch passed Options.MaxBatchBytes; split it.
	ErrBatchTooLarge = base.New(base.ErrInvalid, "engine: batch too large")
	// ErrNotWritten says that the batch never reached the write-ahead log: it may be committed again.
	ErrNotWritten = base.New(base.ErrClosed, "engine: not written")
	// ErrUnknownOutcome says that a failed write may replay after a reopening. The engine has closed.
	ErrUnknownOutcome = base.New(base.ErrUnknownOutcome, "engine: outcome unknown")
	// ErrDiskFull says that the engine refuses writes to keep room for compactions. Nothing was written.
	ErrDiskFull = base.New(base.ErrDiskFull, "engine: disk full")
	// ErrClosed says that the engine was closed, or stopped itself after an error.
	ErrClosed = base.New(base.ErrClosed, "engine: closed")
	// ErrLeaked says that Close found iterators, snapshots or batches that their owners never closed.
	ErrLeaked = base.New(base.ErrInvalid, "engine: closed with open handles")
	// ErrInUse says that another process (or this one) has the directory open.
	ErrInUse = base.New(base.ErrUnavailable, "engine: directory in use")
	// ErrNotAStore says that the directory holds something that is not a Pleiades store.
	ErrNotAStore = base.New(base.ErrInvalid, "engine: not a Pleiades directory")
	// ErrNoStore says that there is no store yet and Options.ErrorIfMissing forbids making one.
	ErrNoStore = base.New(base.ErrNotFound, "engine: no store in directory")
	// ErrNewerFormat says that a newer program wrote the directory.
	ErrNewerFormat = base.New(base.ErrVersion, "engine: written by a newer version")
	// ErrCorruption says that files of the store are damaged.
	ErrCorruption = base.New(base.ErrCorruption, "engine: corruption")
	// ErrDataLoss says that writes which were acknowledged as synced are missing. It matches ErrCorruption.
	ErrDataLoss = base.New(ErrCorruption, "engine: synced writes are missing")
	// ErrInvalid says that an argument or option can never be accepted.
	ErrInvalid = base.New(base.ErrInvalid, "engine: invalid argument")
	// ErrPermission says that the operating system forbids access to the directory.
	ErrPermission = base.New(base.ErrPermission, "engine: permission denied")
	// ErrDirExists says that an export or checkpoint would be made where something is already.
	ErrDirExists = base.New(base.ErrExists, "engine: directory exists")
	// ErrKeyOrder says that a table writer was given a key that is not behind the one before.
	ErrKeyOrder = base.New(base.ErrInvalid, "engine: keys out of order")
	// ErrEmptyTable says that a table without rows was to be finished or ingested.
	ErrEmptyTable = base.New(base.ErrInvalid, "engine: table without rows")
	// ErrOverlap says that tables to be ingested hold keys in the range of rows that are there, or of
	// each other.
	ErrOverlap = base.New(base.ErrConflict, "engine: tables overlap")
	// ErrNotFound says that the key has no value.
	ErrNotFound = base.New(base.ErrNotFound, "engine: key not found")
)
