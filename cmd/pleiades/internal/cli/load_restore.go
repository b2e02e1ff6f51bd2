package cli

import (
	"bytes"
	"context"
	"errors"

	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/versioning"
)

// restore applies one version of a dump.
func (l *loader) restore(ctx context.Context, applier *versioning.Applier, it *loadItem, t *tally) error {
	v := it.version
	ts := v.Timestamp
	if l.f.newTimestamps {
		var err error
		if ts, err = l.s.clock.Now(); err != nil {
			return err
		}
	} else {
		if err := l.known.read(ctx, l.s, it.key); err != nil {
			return err
		}
		switch {
		case l.known.times[ts]:
			t.unchanged++
			return nil
		case !l.known.newest.Less(ts) && !l.known.newest.IsZero():
			// Put on top it would change what the key holds now, and what it held when.
			t.older++
			return nil
		}
	}
	op := &versioning.Op{Kind: versioning.OpPut, Bucket: l.s.bucket.ID(), Key: it.key, Value: it.value}
	if v.Tombstone {
		op.Kind, op.Value = versioning.OpDelete, nil
	} else {
		op.Vacuumable = &v.Vacuumable
		if !v.ExpireAt.IsZero() {
			op.ExpiresWallNanos = v.ExpireAt.UnixNano()
		}
	}
	_, err := applier.Apply(op, ts)
	if v.Tombstone && errors.Is(err, versioning.ErrNotFound) {
		t.skipped++
		return nil
	}
	if err == nil {
		t.loaded++
	}
	return err
}

// knownVersions holds the timestamps of the versions that one key had before the load came to it.
type knownVersions struct {
	key    []byte
	valid  bool
	times  map[hlc.Timestamp]bool
	newest hlc.Timestamp // zero: the key does not exist
}

// read makes k about key. The versions of a key follow each other in a dump, so that each history is read once.
func (k *knownVersions) read(ctx context.Context, s *session, key []byte) error {
	if k.valid && bytes.Equal(k.key, key) {
		return nil
	}
	*k = knownVersions{key: append(k.key[:0], key...), times: map[hlc.Timestamp]bool{}}
	for v, err := range s.bucket.History(ctx, key, nil) { // newest first
		if errors.Is(err, versioning.ErrNotFound) {
			break
		}
		if err != nil {
			return err
		}
		if k.newest.IsZero() {
			k.newest = v.Timestamp
		}
		k.times[v.Timestamp] = true
	}
	k.valid = true
	return nil
}
