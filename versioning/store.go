package versioning

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
)

const (
	// MaxValueBytes is the default, and the upper bound, of Options.MaxValueBytes.
	MaxValueBytes = 16 << 20

	defaultCacheBytes    = 4 << 20
	defaultMaxBatchBytes = 64 << 20
	maxMaxBatchBytes     = 1 << 30
)

// Options configures a store. The zero value of each field means its default; a nil *Options is all
// defaults. Open copies the options.
type Options struct {
	// MaxValueBytes is the largest value that a put accepts. Default and maximum 16 MiB.
	MaxValueBytes int
	// MaxBatchBytes bounds the keys and values that one Batch collects. Default 64 MiB, at most 1
	// GiB. The engine has a bound of its own for what is written, old versions included.
	MaxBatchBytes int
	// Cache holds the descriptors of recently written keys. Several stores may share one. nil means
	// one of 4 MiB for this store alone.
	Cache *Cache
	// ReadTime tells reads without a timestamp of their own what has expired. nil means the store's
	// clock; a replicated store passes the time up to which it has applied. It is asked only when a
	// value that can expire is read.
	ReadTime func() (hlc.Timestamp, error)
	// Counted makes appliers say in WriteResult.Usage by how much each write changes what its bucket holds, at the
	// price of a read for each version that ceases to exist. A store without it that writes removes the mark 'm' 'v'
	// (keys.AppendCountedMark), by which who keeps such counts knows that they are still right.
	Counted bool
}

func (o *Options) withDefaults(clock *hlc.Clock) (Options, error) {
	var v Options
	if o != nil {
		v = *o
	}
	var faults []error
	bound := func(name string, p *int, def, most int) {
		if *p == 0 {
			*p = def
		}
		if *p < 1 || *p > most {
			faults = append(faults, fmt.Errorf("%s is %d, must be 1 to %d", name, *p, most))
		}
	}
	bound("MaxValueBytes", &v.MaxValueBytes, MaxValueBytes, MaxValueBytes)
	bound("MaxBatchBytes", &v.MaxBatchBytes, defaultMaxBatchBytes, maxMaxBatchBytes)
	if len(faults) > 0 {
		return Options{}, fmt.Errorf("%w: %w", ErrInvalidOptions, errors.Join(faults...))
	}
	if v.Cache == nil {
		cache, err := NewCache(defaultCacheBytes)
		if err != nil {
			return Options{}, err
		}
		v.Cache = cache
	}
	if v.ReadTime == nil {
		v.ReadTime = clock.Present
	}
	return v, nil
}

// Store is the versioned data of one shard incarnation. It has no goroutines and owns neither the
// shard, the engine nor the clock. All methods are safe for concurrent use.
//
// A shard incarnation has at most one Store that writes: two would hold different locks and caches, and
// lose each other's writes. The first write of a store claims the shard until the store is closed; a
// write through another one is refused with engine.ErrClaimed. HAZARD: close a store only when its
// writes have returned, or the next writer may start beside the last of them.
type Store struct {
	shard *engine.Shard
	eng   *engine.Engine
	clock *hlc.Clock
	opts  Options

	// Lock order: key locks by store (shard id) and hash; then, never nested, the cache's shards and
	// the settings' lock.
	locks    lockTable
	cache    *Cache
	cacheID  uint64
	settings settingsCache
	counts   counts
	closed   atomic.Bool
	claim    engine.Claim
	appliers sync.Pool
	mark     atomic.Uint32
}

// Open returns the store of a shard. opts may be nil. The clock's timestamps must be above all that
// were ever used on this shard, which NewClock provides for. Errors: ErrInvalidOptions.
func Open(shard *engine.Shard, clock *hlc.Clock, opts *Options) (*Store, error) {
	if shard == nil || clock == nil {
		return nil, fmt.Errorf("%w: a store needs a shard and a clock", ErrInvalidOptions)
	}
	o, err := opts.withDefaults(clock)
	if err != nil {
		return nil, err
	}
	s := &Store{shard: shard, eng: shard.Engine(), clock: clock, opts: o, cache: o.Cache}
	s.claim.Holder = "another open versioning.Store"
	s.cacheID = o.Cache.nextID.Add(1)
	s.locks.init()
	s.settings.init()
	s.appliers.New = func() any { return s.NewApplier(nil) }
	return s, nil
}

// Close makes later calls return ErrClosed and lets another store write to the shard. Calls under way
// finish. The shard, the engine and the clock stay open. Closing again does nothing.
func (s *Store) Close() {
	s.closed.Store(true)
	s.shard.Unclaim(&s.claim)
}

// claimShard makes sure that this store is the shard's only writer.
func (s *Store) claimShard() error {
	fresh, err := s.shard.Claim(&s.claim)
	if fresh {
		s.settings.forgetAll() // read while somebody else may have been writing
	}
	return err
}

// Shard returns the shard that the store is on.
func (s *Store) Shard() *engine.Shard { return s.shard }

// Engine returns the engine of the shard.
func (s *Store) Engine() *engine.Engine { return s.eng }

// Clock returns the clock that stamps the store's writes.
func (s *Store) Clock() *hlc.Clock { return s.clock }

// Bucket returns a handle on a bucket: cheap, valid as long as the store, safe for concurrent use. A
// bucket needs no creation. Error: keys.ErrInvalidBucket for id 0.
func (s *Store) Bucket(id keys.BucketID) (*Bucket, error) {
	if err := id.Validate(); err != nil {
		return nil, err
	}
	return &Bucket{store: s, id: id}, nil
}

// Bucket is a handle on one bucket of a store. All methods are safe for concurrent use.
type Bucket struct {
	store *Store
	id    keys.BucketID
}

// ID returns the bucket's id.
func (b *Bucket) ID() keys.BucketID { return b.id }

// Store returns the store that the bucket is in.
func (b *Bucket) Store() *Store { return b.store }

// appendCacheKey appends what the cache and the locks know a key by: 8 bytes of the store's own, then
// the stem.
func (s *Store) appendCacheKey(dst []byte, bucket keys.BucketID, key []byte) []byte {
	return keys.AppendStem(binary.BigEndian.AppendUint64(dst, s.cacheID), bucket, key)
}

// opHash returns the hash that stands for what op writes.
func (s *Store) opHash(op *Op) uint64 {
	var room [128]byte
	if op.Kind == OpSetSettings {
		return s.cache.hash(keys.AppendBucketSettings(binary.BigEndian.AppendUint64(room[:0], s.cacheID), op.Bucket))
	}
	return s.cache.hash(s.appendCacheKey(room[:0], op.Bucket, op.Key))
}

// checkOpen is asked before every operation: one that the caches can answer would not notice by itself
// that the shard or the engine is gone.
func (s *Store) checkOpen() error {
	if s.closed.Load() {
		return fmt.Errorf("%w: the store of shard %d", ErrClosed, s.shard.ID())
	}
	return s.shard.Err()
}

// keyErr adds to err which key it is about.
func (b *Bucket) keyErr(err error, key []byte) error {
	return fmt.Errorf("%w: key %s in bucket %d of shard %d", err, base.Quote(key), b.id, b.store.shard.ID())
}

// isMissing reports whether err says that the engine holds no such record. A dropped shard is also
// "not found", and something else.
func isMissing(err error) bool { return errors.Is(err, engine.ErrNotFound) }
