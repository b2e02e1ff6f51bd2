package bench

import (
	"context"
	"errors"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/versioning"
)

// OpenVersioned opens the versioned store with its default options as a Store: every put makes a
// version, up to 255 a key, and reads and scans give the latest.
func OpenVersioned(dir string) (Store, error) {
	s, err := openVersioned(dir)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// versionedStore is one bucket of a versioned store on an engine of its own.
type versionedStore struct {
	engineStore
	clock  *hlc.Clock
	store  *versioning.Store
	bucket *versioning.Bucket
}

var (
	_ Store       = (*versionedStore)(nil)
	_ SyncCounter = (*versionedStore)(nil)
)

func openVersioned(dir string) (_ *versionedStore, err error) {
	on, err := openEngine(dir, nil)
	if err != nil {
		return nil, err
	}
	s := &versionedStore{engineStore: *on}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	if s.clock, err = versioning.NewClock(s.eng, nil); err != nil {
		return nil, err
	}
	if s.store, err = versioning.Open(s.shard, s.clock, nil); err != nil {
		return nil, err
	}
	s.bucket, err = s.store.Bucket(keys.DefaultBucket)
	return s, err
}

func (s *versionedStore) Session() (Session, error) { return &versionedSession{s: s}, nil }

func (s *versionedStore) Close() error {
	if s.store != nil {
		s.store.Close()
	}
	var err error
	if s.clock != nil {
		err = s.clock.Close()
	}
	return errors.Join(err, s.engineStore.Close())
}

type versionedSession struct{ s *versionedStore }

func (v *versionedSession) Put(key, value []byte, sync bool) error {
	_, err := v.s.bucket.Put(context.Background(), key, value, &versioning.PutOptions{NoSync: !sync})
	return err
}

func (v *versionedSession) PutBatch(pairs []Pair, sync bool) error {
	batch := v.s.store.NewBatch()
	for _, p := range pairs {
		if err := batch.Put(v.s.bucket, p.Key, p.Value, nil); err != nil {
			return err
		}
	}
	_, err := batch.Commit(context.Background(), &versioning.BatchOptions{NoSync: !sync})
	return err
}

func (v *versionedSession) Get(dst, key []byte) (value []byte, found bool, err error) {
	err = v.s.bucket.View(context.Background(), key, func(got versioning.Value) error {
		dst = append(dst, got.Data...)
		return nil
	})
	if errors.Is(err, base.ErrNotFound) && !errors.Is(err, engine.ErrShardDropped) {
		return dst, false, nil
	}
	return dst, err == nil, err
}

func (v *versionedSession) Scan(start []byte, rows int) (read int, bytes int64, err error) {
	opts := versioning.ScanOptions{Start: start, Limit: rows, Values: true, Borrow: true}
	for e, err := range v.s.bucket.Scan(context.Background(), &opts) {
		if err != nil {
			return read, bytes, err
		}
		read++
		bytes += int64(len(e.Key) + len(e.Value.Data))
	}
	return read, bytes, nil
}

func (v *versionedSession) Close() error { return nil }
