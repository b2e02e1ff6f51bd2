package versioning

import (
	"context"
	"fmt"
	"sync"

	"github.com/shieldmaidens/pleiades/keys"
)

// maxCachedSettings bounds the buckets whose settings are kept in memory.
const maxCachedSettings = 4096

// settingsCache keeps the settings of buckets in use.
type settingsCache struct {
	mu struct {
		sync.RWMutex
		known map[keys.BucketID]Settings
		// epoch grows with every change, so that what was read from the engine before a change is
		// not kept behind it.
		epoch uint64
	}
}

func (c *settingsCache) init() { c.mu.known = map[keys.BucketID]Settings{} }

func (c *settingsCache) get(b keys.BucketID) (s Settings, epoch uint64, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	s, ok = c.mu.known[b]
	return s, c.mu.epoch, ok
}

// loaded keeps settings that were read from the engine after get returned epoch.
func (c *settingsCache) loaded(b keys.BucketID, s Settings, epoch uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.epoch == epoch {
		c.keepLocked(b, s)
	}
}

// changed keeps settings that were committed just now.
func (c *settingsCache) changed(b keys.BucketID, s Settings) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.epoch++
	c.keepLocked(b, s)
}

// forget makes the next use of the bucket ask the engine.
func (c *settingsCache) forget(b keys.BucketID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.epoch++
	delete(c.mu.known, b)
}

// forgetAll makes the next use of every bucket ask the engine.
func (c *settingsCache) forgetAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.epoch++
	clear(c.mu.known)
}

func (c *settingsCache) keepLocked(b keys.BucketID, s Settings) {
	if _, known := c.mu.known[b]; !known && len(c.mu.known) >= maxCachedSettings {
		for victim := range c.mu.known { // any
			delete(c.mu.known, victim)
			break
		}
	}
	c.mu.known[b] = s
}

// bucketSettings returns a bucket's settings, from memory if it can.
func (s *Store) bucketSettings(b keys.BucketID) (Settings, error) {
	settings, epoch, ok := s.settings.get(b)
	if ok {
		return settings, nil
	}
	settings, _, err := s.readSettings(b)
	if err != nil {
		return Settings{}, err
	}
	s.settings.loaded(b, settings, epoch)
	return settings, nil
}

// readSettings reads a bucket's settings from the engine, with the fields of newer programs.
func (s *Store) readSettings(b keys.BucketID) (settings Settings, unknown string, err error) {
	stored, err := s.shard.Get(nil, keys.AppendBucketSettings(nil, b), nil)
	if isMissing(err) {
		return DefaultSettings(), "", nil
	}
	if err == nil {
		settings, unknown, err = parseSettings(stored)
	}
	if err != nil {
		return Settings{}, "", fmt.Errorf("settings of bucket %d in shard %d: %w", b, s.shard.ID(), err)
	}
	return settings, unknown, nil
}

// Settings returns the bucket's settings; DefaultSettings if it was never given any.
func (b *Bucket) Settings(ctx context.Context) (Settings, error) {
	if err := b.ready(ctx); err != nil {
		return Settings{}, err
	}
	return b.store.bucketSettings(b.id)
}

// SetSettings changes the bucket's settings, durably. Nothing that is stored changes by that: the
// next writes of each key go by the new settings. A write that runs at the same time may still go by
// the old ones. Errors: ErrInvalidSettings.
func (b *Bucket) SetSettings(ctx context.Context, settings Settings) error {
	_, err := b.write(ctx, Op{Kind: OpSetSettings, Bucket: b.id, Settings: settings}, false)
	return err
}
