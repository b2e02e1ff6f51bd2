package bench

import (
	"context"
	"time"
)

// Store is a system under test, seen as ordered keys and values. Sessions work on it at the same time.
type Store interface {
	// Session returns a handle for one goroutine.
	Session() (Session, error)
	// Settle writes what is in memory to tables and compacts them, so that reads meet a store at rest.
	Settle(ctx context.Context) error
	// Close closes the store, after its sessions.
	Close() error
}

// Session is a store in the hands of one goroutine. Keys and values that are passed in are the
// caller's and change after the call.
type Session interface {
	// Put writes one pair. With sync it returns when the pair is durable.
	Put(key, value []byte, sync bool) error
	// PutBatch writes all pairs or none.
	PutBatch(pairs []Pair, sync bool) error
	// Get appends key's value to dst; found is false, and dst unchanged, when there is none.
	Get(dst, key []byte) (value []byte, found bool, err error)
	// Scan reads up to rows pairs from the first key at or behind start, in order, values included, and
	// returns how many there were and their bytes.
	Scan(start []byte, rows int) (read int, bytes int64, err error)
	// Close releases the session.
	Close() error
}

// Pair is a key with its value.
type Pair struct {
	Key, Value []byte
}

// SyncCounter is a Store that counts its own syncs of the log.
type SyncCounter interface {
	// Syncs returns how many there were since the store was opened.
	Syncs() uint64
}

// Opener makes an empty store in dir, which exists and is empty.
type Opener func(dir string) (Store, error)

// Load describes a loop to a store that runs it by itself.
type Load struct {
	// Workload is one of StoreWorkloads.
	Workload string
	Workers  int
	// Ops bounds the operations of each worker; 0: until Duration is over, after Warmup.
	Ops              int64
	Warmup, Duration time.Duration
	// Spec has the sizes, with every default filled in.
	Spec Spec
}

// LoadRunner is a Store whose loops are not Go's: the ones of another language, to compare with.
// Sessions are then only used to load the store.
type LoadRunner interface {
	RunLoad(ctx context.Context, l Load) (Result, error)
}
