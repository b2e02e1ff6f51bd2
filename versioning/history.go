package versioning

import (
	"context"
	"fmt"
	"iter"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/keys"
)

// HistoryOptions qualifies a history. nil means all versions, newest first, without data.
type HistoryOptions struct {
	// From and To bound the version numbers, both inclusive. 0 means no bound.
	From, To int
	// OldestFirst reverses the order.
	OldestFirst bool
	// Limit ends it after that many versions; 0 means no limit.
	Limit int
	// Values reads the data too, and verifies it.
	Values bool
}

// History walks over the versions of a key as they are stored: tombstones and expired ones too. All
// are of one instant, that of the first step. Value.Version is always set, and Data only with
// opts.Values; it is the caller's.
//
// It keeps an engine snapshot while the loop runs and holds one version in memory at a time. An
// error ends it: ErrNotFound when there is no such key; else as for Get.
func (b *Bucket) History(ctx context.Context, key []byte, opts *HistoryOptions) iter.Seq2[Value, error] {
	var o HistoryOptions
	if opts != nil {
		o = *opts
	}
	return func(yield func(Value, error) bool) {
		if err := b.history(ctx, key, &o, yield); err != nil {
			yield(Value{}, err)
		}
	}
}

func (b *Bucket) history(ctx context.Context, key []byte, o *HistoryOptions, yield func(Value, error) bool) error {
	if err := b.readable(ctx, key); err != nil {
		return err
	}
	if o.From < 0 || o.From > MaxVersions || o.To < 0 || o.To > MaxVersions {
		return b.keyErr(fmt.Errorf("%w: history from %d to %d", ErrInvalidVersion, o.From, o.To), key)
	}
	snap, err := b.store.eng.NewSnapshot()
	if err != nil {
		return err
	}
	defer snap.Close()
	d, err := b.descriptor(key, snap)
	if err != nil {
		return b.keyErr(err, key)
	}
	first, last := max(o.From, d.oldest), d.count
	if o.To != 0 {
		last = min(o.To, last)
	}
	versions := max(0, last-first+1)
	if o.Limit > 0 {
		versions = min(versions, o.Limit)
	}
	stem := keys.AppendStem(nil, b.id, key)
	for i := range versions {
		version := last - i
		if o.OldestFirst {
			version = first + i
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		v, err := b.store.versionAt(stem, &d, version, o.Values, snap)
		if err != nil {
			return b.keyErr(err, key)
		}
		if !yield(v, nil) {
			return nil
		}
	}
	return nil
}

// versionAt reads one existing version under a snapshot.
func (s *Store) versionAt(stem []byte, d *descriptor, version int, data bool, snap *engine.Snapshot) (v Value, err error) {
	key := append(make([]byte, 0, len(stem)+keys.SuffixBytes), stem...)
	if slot := d.place(version); slot == 0 {
		key = append(key, keys.SuffixLatest...)
	} else {
		key = append(key, keys.DelimVersion, slot)
	}
	err = s.shard.View(key, readAt(snap), func(stored []byte) error {
		if data {
			rec, err := ParseRecord(stored)
			if err != nil {
				return err
			}
			v = valueOf(&rec)
			v.own()
			return nil
		}
		rec, _, err := splitRecord(stored)
		v = valueOf(&rec)
		v.Data = nil
		return err
	})
	if isMissing(err) {
		err = ErrMissingRecord
	}
	if err != nil {
		return Value{}, fmt.Errorf("version %d: %w (record %s)", version, err, base.Quote(key))
	}
	v.Version, v.Revision = version, d.revision
	return v, nil
}
