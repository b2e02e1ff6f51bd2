package versioning

import "sync/atomic"

// counts are a store's counters.
type counts struct {
	combined, retries atomic.Uint64
}

// Metrics counts what a store did since it was opened; a snapshot.
type Metrics struct {
	// Combined counts writes that went into another writer's commit of the same key.
	Combined uint64
	// Retries counts reads of an old version that met a write of the same key and began anew.
	Retries uint64
	// Cache is shared by all stores that were opened with the same one.
	Cache CacheStats
}

// Metrics returns the store's counters.
func (s *Store) Metrics() Metrics {
	return Metrics{
		Combined: s.counts.combined.Load(),
		Retries:  s.counts.retries.Load(),
		Cache:    s.cache.Stats(),
	}
}
