package versioning

import (
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
)

const (
	cacheShards = 16
	// cacheEntryBytes is what an entry costs besides its key and value: the entry, its place in the
	// map, allocation rounding.
	cacheEntryBytes = 256
	// cacheLatestBytes is the largest stored latest version that is kept beside its descriptor, so
	// that the next put of the key need not read it.
	cacheLatestBytes = 1 << 10

	minCacheBytes = 32 << 10
	maxCacheBytes = 1 << 40
)

// Cache holds descriptors, and small latest versions, of recently written keys. It is bounded in
// bytes, may be shared by any number of stores, and is safe for concurrent use.
//
// Only the holder of a key's lock puts or removes its entry, and only after the commit is known, so
// what a writer finds under the lock is what the engine holds. Readers take an entry as a hint, which
// they verify against the engine.
type Cache struct {
	seed   maphash.Seed
	nextID atomic.Uint64
	shards [cacheShards]cacheShard
}

type cacheShard struct {
	mu struct {
		sync.Mutex
		// entries goes by the hash of the key; of two keys with the same one the cache knows the last.
		entries map[uint64]*cacheEntry
		// spare is an entry that was removed, for the next one: a full cache allocates none.
		spare *cacheEntry
		// root is the ring of entries, most recently used first.
		root      cacheEntry
		bytes     int64
		hits      uint64
		misses    uint64
		evictions uint64
	}
	maxBytes int64
}

type cacheEntry struct {
	hash       uint64
	key        []byte
	desc       descriptor
	latest     []byte // nil when it is not kept; never modified
	prev, next *cacheEntry
}

// CacheStats counts what a cache holds and did; a snapshot.
type CacheStats struct {
	Entries                 int
	Bytes, MaxBytes         int64
	Hits, Misses, Evictions uint64
}

// NewCache returns a cache of at most maxBytes bytes, 32 KiB to 1 TiB; else ErrInvalidOptions.
func NewCache(maxBytes int64) (*Cache, error) {
	if maxBytes < minCacheBytes || maxBytes > maxCacheBytes {
		return nil, fmt.Errorf("%w: a cache of %d bytes, must be %d to %d", ErrInvalidOptions, maxBytes, minCacheBytes, int64(maxCacheBytes))
	}
	c := &Cache{seed: maphash.MakeSeed()}
	for i := range c.shards {
		s := &c.shards[i]
		s.maxBytes = maxBytes / cacheShards
		s.mu.entries = map[uint64]*cacheEntry{}
		s.mu.root.prev, s.mu.root.next = &s.mu.root, &s.mu.root
	}
	return c, nil
}

// Stats returns the cache's counters.
func (c *Cache) Stats() CacheStats {
	var st CacheStats
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		st.Entries += len(s.mu.entries)
		st.Bytes += s.mu.bytes
		st.MaxBytes += s.maxBytes
		st.Hits += s.mu.hits
		st.Misses += s.mu.misses
		st.Evictions += s.mu.evictions
		s.mu.Unlock()
	}
	return st
}

// hash is also what key locks go by.
func (c *Cache) hash(key []byte) uint64 { return maphash.Bytes(c.seed, key) }

func (c *Cache) shard(hash uint64) *cacheShard { return &c.shards[hash%cacheShards] }

// get returns what is known of a key. latest is nil when it is not kept; it must not be modified.
func (c *Cache) get(hash uint64, key []byte) (desc descriptor, latest []byte, ok bool) {
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.findLocked(hash, key)
	if e == nil {
		s.mu.misses++
		return descriptor{}, nil, false
	}
	s.mu.hits++
	if s.mu.root.next != e {
		e.unlink()
		e.linkBehind(&s.mu.root)
	}
	return e.desc, e.latest, true
}

// put replaces what is known of a key. The cache keeps latest if it is small; nobody may change it
// afterwards.
func (c *Cache) put(hash uint64, key []byte, desc *descriptor, latest []byte) {
	s := c.shard(hash)
	// What one entry may cost, so that it does not push out everything else.
	room := s.maxBytes/4 - cacheEntryBytes - int64(len(key)+len(desc.unknown))
	if len(latest) > cacheLatestBytes || int64(cap(latest)) > room {
		latest = nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.findLocked(hash, key)
	if room < 0 {
		if e != nil {
			s.removeLocked(e)
		}
		return
	}
	if e == nil {
		e = s.addLocked(hash, key)
	} else {
		s.mu.bytes -= e.cost()
		e.unlink()
	}
	e.desc, e.latest = *desc, latest
	e.linkBehind(&s.mu.root)
	s.mu.bytes += e.cost()
	for s.mu.bytes > s.maxBytes {
		s.removeLocked(s.mu.root.prev)
		s.mu.evictions++
	}
}

// drop forgets a key.
func (c *Cache) drop(hash uint64, key []byte) {
	s := c.shard(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.findLocked(hash, key); e != nil {
		s.removeLocked(e)
	}
}

func (s *cacheShard) findLocked(hash uint64, key []byte) *cacheEntry {
	if e := s.mu.entries[hash]; e != nil && string(e.key) == string(key) {
		return e
	}
	return nil
}

// addLocked makes an entry of a key that has none, not linked yet and without contents.
func (s *cacheShard) addLocked(hash uint64, key []byte) *cacheEntry {
	if other := s.mu.entries[hash]; other != nil {
		s.removeLocked(other)
	}
	e := s.mu.spare
	if s.mu.spare = nil; e == nil {
		e = new(cacheEntry)
	}
	e.hash, e.key = hash, append(e.key[:0], key...)
	s.mu.entries[hash] = e
	return e
}

func (s *cacheShard) removeLocked(e *cacheEntry) {
	e.unlink()
	delete(s.mu.entries, e.hash)
	s.mu.bytes -= e.cost()
	const keep = 256 // bytes of key; more would be memory that no bound knows
	if *e = (cacheEntry{key: e.key[:0]}); cap(e.key) <= keep {
		s.mu.spare = e
	}
}

func (e *cacheEntry) cost() int64 {
	return cacheEntryBytes + int64(cap(e.key)+cap(e.latest)+len(e.desc.unknown))
}

func (e *cacheEntry) unlink() { e.prev.next, e.next.prev = e.next, e.prev }

func (e *cacheEntry) linkBehind(at *cacheEntry) {
	e.prev, e.next = at, at.next
	at.next.prev = e
	at.next = e
}
