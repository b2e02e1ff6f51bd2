package main

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/cockroachdb/pebble/v2"

	storagev1 "github.com/shieldmaidens/pleiades/api/storage/v1"
	"github.com/shieldmaidens/pleiades/bench"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/versioning"
)

// pebbleVersioned does on Pebble what versioning.Bucket does on the engine, for puts, reads of the
// latest version and scans: the same keys, records, checksums and timestamps, the same two reads and
// three writes a put, with a lock a key. Rollover relabels. It has no cache of descriptors: Pebble's
// own caches serve the reads.
type pebbleVersioned struct {
	pebbleStore
	clock *hlc.Clock
	seed  maphash.Seed
	locks [1024]sync.Mutex
}

func openPebbleVersioned(dir string) (bench.Store, error) {
	db, err := openPebbleDB(dir)
	if err != nil {
		return nil, err
	}
	s := &pebbleVersioned{pebbleStore: pebbleStore{db}, seed: maphash.MakeSeed()}
	if s.clock, err = hlc.NewClock(&hlc.Options{Wall: time.Now, Bound: pebbleBound{db}}); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// pebbleBound keeps the clock's bound where versioning keeps it: in the store.
type pebbleBound struct{ db *pebble.DB }

func (b pebbleBound) LoadBound() (hlc.Timestamp, error) { return hlc.Timestamp{}, nil }
func (b pebbleBound) StoreBound(bound hlc.Timestamp) error {
	return b.db.Set([]byte{keys.LocalClockBound}, bound.AppendBinary(nil), pebble.Sync)
}

func (s *pebbleVersioned) Session() (bench.Session, error) {
	return &versionedSession{s: s, pb: new(storagev1.KeyValuePairDescriptor)}, nil
}

func (s *pebbleVersioned) Close() error { return errors.Join(s.clock.Close(), s.pebbleStore.Close()) }

type versionedSession struct {
	s      *pebbleVersioned
	pb     *storagev1.KeyValuePairDescriptor
	key    []byte
	record []byte
	latest []byte
	desc   []byte
}

const (
	slots       = 254
	maxVersions = 255
)

func (v *versionedSession) Put(key, value []byte, sync bool) error {
	lock := &v.s.locks[maphash.Bytes(v.s.seed, key)%uint64(len(v.s.locks))]
	lock.Lock()
	defer lock.Unlock()
	b := v.s.db.NewBatch()
	defer b.Close()
	if err := v.add(b, key, value); err != nil {
		return err
	}
	return b.Commit(pebbleMode(sync))
}

// PutBatch is only used to load: the keys of a batch differ.
func (v *versionedSession) PutBatch(pairs []bench.Pair, sync bool) error {
	b := v.s.db.NewBatch()
	defer b.Close()
	for _, p := range pairs {
		if err := v.add(b, p.Key, p.Value); err != nil {
			return err
		}
	}
	return b.Commit(pebbleMode(sync))
}

// add reads what a key has and adds the three records of a put to b.
func (v *versionedSession) add(b *pebble.Batch, key, value []byte) error {
	ts, err := v.s.clock.Now()
	if err != nil {
		return err
	}
	d := v.pb
	d.Reset()
	v.key = keys.AppendDescriptor(v.key[:0], keys.DefaultBucket, key)
	exists, err := v.read(func(stored []byte) error { return d.UnmarshalVT(stored) })
	if err != nil {
		return err
	}
	if exists {
		v.key = keys.AppendLatest(v.key[:0], keys.DefaultBucket, key)
		if ok, err := v.read(func(stored []byte) error { v.latest = append(v.latest[:0], stored...); return nil }); err != nil || !ok {
			return fmt.Errorf("latest of %q: found %v, %w", key, ok, err)
		}
		if d.VersionCount == maxVersions {
			d.Base = (d.Base + 1) % slots
			d.VersionCount--
		}
		slot := uint8((d.VersionCount-1+d.Base)%slots) + 1
		v.key = keys.AppendSlot(v.key[:0], keys.DefaultBucket, key, slot)
		if err := b.Set(v.key, v.latest, nil); err != nil {
			return err
		}
	} else {
		d.Format, d.Oldest, d.CreatedWallNanos, d.CreatedLogical = 1, 1, ts.WallNanos, ts.Logical
	}
	d.VersionCount++
	d.RevisionWallNanos, d.RevisionLogical = ts.WallNanos, ts.Logical
	d.LatestBytes = uint64(len(value))
	d.WrittenBytes += uint64(len(value))
	v.record = versioning.AppendRecord(v.record[:0], &versioning.Record{Data: value, Checksum: versioning.Checksum(value), Timestamp: ts})
	v.key = keys.AppendLatest(v.key[:0], keys.DefaultBucket, key)
	if err := b.Set(v.key, v.record, nil); err != nil {
		return err
	}
	size := d.SizeVT()
	if cap(v.desc) < size {
		v.desc = make([]byte, size, 2*size)
	}
	n, err := d.MarshalToSizedBufferVT(v.desc[:size])
	if err != nil {
		return err
	}
	v.key = keys.AppendDescriptor(v.key[:0], keys.DefaultBucket, key)
	return b.Set(v.key, v.desc[:n], nil)
}

// read passes the record under v.key to fn.
func (v *versionedSession) read(fn func(stored []byte) error) (bool, error) {
	stored, closer, err := v.s.db.Get(v.key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, errors.Join(fn(stored), closer.Close())
}

func (v *versionedSession) Get(dst, key []byte) (value []byte, found bool, err error) {
	v.key = keys.AppendLatest(v.key[:0], keys.DefaultBucket, key)
	found, err = v.read(func(stored []byte) error {
		rec, err := versioning.ParseRecord(stored)
		dst = append(dst, rec.Data...)
		return err
	})
	return dst, found, err
}

func (v *versionedSession) Scan(start []byte, rows int) (read int, bytes int64, err error) {
	bounds := keys.RangeBounds(keys.DefaultBucket, start, nil)
	it, err := v.s.db.NewIterWithContext(context.Background(), &pebble.IterOptions{LowerBound: bounds.Lower, UpperBound: bounds.Upper})
	if err != nil {
		return 0, 0, err
	}
	for ok := it.First(); ok && read < rows; ok = it.Next() {
		rec, err := keys.Parse(v.key[:0], it.Key())
		if err != nil {
			return read, bytes, errors.Join(err, it.Close())
		}
		if rec.Kind != keys.KindLatest {
			continue
		}
		stored, err := it.ValueAndErr()
		if err != nil {
			return read, bytes, errors.Join(err, it.Close())
		}
		value, err := versioning.ParseRecord(stored)
		if err != nil {
			return read, bytes, errors.Join(err, it.Close())
		}
		read++
		bytes += int64(len(rec.Key) + len(value.Data))
	}
	return read, bytes, it.Close()
}

func (v *versionedSession) Close() error { return nil }
