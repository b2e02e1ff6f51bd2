package versioning

import (
	"context"
	"fmt"

	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
)

// GetAt returns the value that the key had at a time: the version that was the latest at ts, unless
// that was a tombstone or had expired by then. Errors: ErrNotFound when there was no value;
// ErrHistoryTruncated when there was a version and rollover or vacuum took it; else as for Get. Of a
// purged key nothing is known.
//
// HAZARD: a write that is under way may still get a timestamp below the present time. The answer for
// ts is final only once all writes that began before ts have returned.
func (b *Bucket) GetAt(ctx context.Context, key []byte, ts hlc.Timestamp) (Value, error) {
	if err := b.readable(ctx, key); err != nil {
		return Value{}, err
	}
	v, err := b.getAt(key, ts)
	if err != nil {
		return Value{}, b.keyErr(err, key)
	}
	return v, nil
}

func (b *Bucket) getAt(key []byte, ts hlc.Timestamp) (Value, error) {
	r := versionReader{store: b.store, stem: keys.AppendStem(nil, b.id, key)}
	d, stored, err := r.read(0, nil) // most questions are about the latest version
	if err != nil {
		return Value{}, err
	}
	v, err := r.value(&d, Latest, stored)
	if err != nil {
		return Value{}, err
	}
	if ts.Less(v.Timestamp) {
		snap, err := b.store.eng.NewSnapshot()
		if err != nil {
			return Value{}, err
		}
		defer snap.Close()
		if d, stored, err = r.read(0, snap); err != nil {
			return Value{}, err
		}
		if v, err = r.at(&d, ts, stored, snap); err != nil {
			return Value{}, err
		}
	}
	if v.Tombstone || !v.ExpireAt.IsZero() && v.ExpireAt.UnixNano() <= ts.WallNanos {
		return Value{}, ErrNotFound
	}
	return v, nil
}

// at returns the version that was the latest at ts. stored is `@l` and may be overwritten.
func (r *versionReader) at(d *descriptor, ts hlc.Timestamp, stored []byte, snap *engine.Snapshot) (Value, error) {
	v, err := r.value(d, Latest, stored)
	if err != nil || !ts.Less(v.Timestamp) {
		return v, err
	}
	if ts.Less(d.created) {
		return Value{}, ErrNotFound
	}
	version, err := r.search(d, ts, snap)
	if err != nil {
		return Value{}, err
	}
	if version == 0 {
		return Value{}, fmt.Errorf("%w: %s; the oldest version is %d", ErrHistoryTruncated, ts, d.oldest)
	}
	now, stored, err := r.read(slotOf(version, d.base), snap)
	if err != nil {
		return Value{}, err
	}
	return r.value(&now, version, stored)
}

// search returns the number of the last old version that is not above ts; 0 if all are.
func (r *versionReader) search(d *descriptor, ts hlc.Timestamp, snap *engine.Snapshot) (int, error) {
	low, high := d.oldest-1, d.count-1 // low: not above ts, or before the first
	for low < high {
		mid := (low + high + 1) / 2
		at, err := r.timestamp(slotOf(mid, d.base), snap)
		if err != nil {
			return 0, fmt.Errorf("version %d: %w", mid, err)
		}
		if ts.Less(at) {
			high = mid - 1
		} else {
			low = mid
		}
	}
	if low < d.oldest {
		return 0, nil
	}
	return low, nil
}

// timestamp reads when the version in a slot was written.
func (r *versionReader) timestamp(slot uint8, snap *engine.Snapshot) (ts hlc.Timestamp, err error) {
	key := append(append(make([]byte, 0, len(r.stem)+keys.SuffixBytes), r.stem...), keys.DelimVersion, slot)
	err = r.store.shard.View(key, readAt(snap), func(stored []byte) error {
		rec, _, err := splitRecord(stored)
		ts = rec.Timestamp
		return err
	})
	if isMissing(err) {
		err = ErrMissingRecord
	}
	return ts, err
}
