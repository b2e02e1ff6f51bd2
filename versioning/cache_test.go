package versioning

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/keys"
)

func TestCacheIsBoundedInBytes(t *testing.T) {
	c, err := NewCache(minCacheBytes)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5000 {
		key := fmt.Appendf(nil, "%d", i)
		c.put(c.hash(key), key, &descriptor{count: i%255 + 1, unknown: string(make([]byte, i%50))}, make([]byte, i%2000))
	}
	st := c.Stats()
	if st.Bytes > st.MaxBytes || st.MaxBytes > minCacheBytes || st.Entries == 0 || st.Evictions != 5000-uint64(st.Entries) {
		t.Fatalf("%+v", st)
	}
	sum := int64(0)
	for i := range c.shards {
		s := &c.shards[i]
		n := 0
		for e := s.mu.root.next; e != &s.mu.root; e = e.next {
			sum += e.cost()
			n++
		}
		if n != len(s.mu.entries) {
			t.Fatalf("%d entries in the ring, %d in the map", n, len(s.mu.entries))
		}
	}
	if sum != st.Bytes {
		t.Fatalf("the entries cost %d bytes, %d are counted", sum, st.Bytes)
	}
}

func TestCacheKeepsWhatIsUsed(t *testing.T) {
	c, err := NewCache(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("k")
	h := c.hash(key)
	if _, _, ok := c.get(h, key); ok {
		t.Fatal("hit in an empty cache")
	}
	c.put(h, key, &descriptor{count: 1}, []byte("one"))
	c.put(h, key, &descriptor{count: 2}, make([]byte, cacheLatestBytes+1))
	if d, latest, ok := c.get(h, key); !ok || d.count != 2 || latest != nil {
		t.Fatalf("%+v, %d bytes, %t; a large latest version must not be kept, nor the one before", d, len(latest), ok)
	}
	c.put(h, key, &descriptor{count: 3}, bytes.Repeat([]byte{1}, cacheLatestBytes))
	if _, latest, _ := c.get(h, key); len(latest) != cacheLatestBytes {
		t.Fatalf("%d bytes", len(latest))
	}
	for i := range 100_000 { // all others come and go, this one stays in use
		other := fmt.Appendf(nil, "other %d", i)
		c.put(c.hash(other), other, &descriptor{count: 1}, nil)
		if _, _, ok := c.get(h, key); !ok {
			t.Fatalf("the key in use was evicted after %d others", i)
		}
	}
	c.drop(h, key)
	if _, _, ok := c.get(h, key); ok {
		t.Fatal("hit after drop")
	}
	if st := c.Stats(); st.Hits != 100_002 || st.Misses != 2 {
		t.Fatalf("%+v", st)
	}
	for _, bad := range []int64{-1, 0, minCacheBytes - 1, maxCacheBytes + 1} {
		if _, err := NewCache(bad); !errors.Is(err, base.ErrInvalid) {
			t.Errorf("cache of %d bytes: %v", bad, err)
		}
	}
}

// TestSettingsCacheIsBoundedAndNeverStale: what was read before a change is not kept behind it.
func TestSettingsCacheIsBoundedAndNeverStale(t *testing.T) {
	var c settingsCache
	c.init()
	_, epoch, _ := c.get(1)
	c.changed(1, Settings{MaxVersions: 2, Rollover: Refuse})
	c.loaded(1, DefaultSettings(), epoch)
	if s, _, ok := c.get(1); !ok || s.MaxVersions != 2 {
		t.Fatalf("%+v, %t", s, ok)
	}
	_, epoch, _ = c.get(1)
	c.forget(1)
	c.loaded(1, DefaultSettings(), epoch)
	if s, _, ok := c.get(1); ok {
		t.Fatalf("kept %+v", s)
	}
	for i := range keys.BucketID(2 * maxCachedSettings) {
		_, epoch, _ := c.get(i)
		c.loaded(i, DefaultSettings(), epoch)
	}
	if len(c.mu.known) > maxCachedSettings {
		t.Fatalf("%d buckets", len(c.mu.known))
	}
}
