package dump

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/versioning"
)

// Outcome is what became of a version that was to be restored.
type Outcome uint8

// The outcomes.
const (
	// Restored: it is there now.
	Restored Outcome = 1
	// Unchanged: the key had it already, by its timestamp.
	Unchanged Outcome = 2
	// Older: the key's newest version is newer, and it was left out. On top it would change what the key holds
	// now, and below there is no place for it.
	Older Outcome = 3
)

// RestoreOptions qualifies a Restorer. nil means none of it.
type RestoreOptions struct {
	// NewTimestamps appends every version as one of now, whatever its key has.
	NewTimestamps bool
}

// Restorer puts the versions of a dump into a bucket. A key that does not exist comes back as it was: versions with
// their numbers, timestamps, expiries and deletions, and the mark that permits vacuum, whatever max_versions the bucket
// has. A key that exists keeps what it has and gets the versions that are newer.
//
// What does not come back, because a dump does not hold it: when a key was created whose first version is gone, bytes
// written to it in all, and a revision above the latest version's timestamp.
//
// A Restorer belongs to one goroutine, and nobody else may write to the bucket.
type Restorer struct {
	bucket *versioning.Bucket
	opts   RestoreOptions

	// What the key had before the restore came to it.
	key    []byte
	known  bool // key is valid
	times  map[hlc.Timestamp]bool
	newest hlc.Timestamp // zero: the key does not exist
}

// NewRestorer returns a restorer into bucket.
func NewRestorer(bucket *versioning.Bucket, opts *RestoreOptions) *Restorer {
	r := &Restorer{bucket: bucket}
	if opts != nil {
		r.opts = *opts
	}
	return r
}

// Settings returns what a bucket should be set to before a dump with that header is restored into it. ok is false
// when there is nothing to set: the bucket has the same settings, or was given some of its own, or holds a key, whose
// history other settings could cut short.
func (r *Restorer) Settings(ctx context.Context, h Header) (settings versioning.Settings, ok bool, err error) {
	have, err := r.bucket.Settings(ctx)
	if err != nil || !have.Updated.IsZero() {
		return settings, false, err
	}
	settings = versioning.Settings{MaxVersions: h.MaxVersions, Rollover: versioning.Rollover(h.Rollover)}
	if settings == have {
		return settings, false, nil
	}
	for _, err := range r.bucket.Scan(ctx, &versioning.ScanOptions{Deleted: true, Limit: 1}) {
		return settings, false, err
	}
	if err := settings.Validate(); err != nil {
		return settings, false, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return settings, true, nil
}

// Apply appends one version of a dump to the applier's batch, in the order of the dump. v is not kept. After the batch was
// committed the bucket's clock must be updated with the applier's Highest. Errors are those of Applier.Apply, and of
// reading the bucket.
func (r *Restorer) Apply(ctx context.Context, applier *versioning.Applier, v *Version) (Outcome, error) {
	ts := v.Timestamp
	if r.opts.NewTimestamps {
		var err error
		if ts, err = r.bucket.Store().Clock().Now(); err != nil {
			return 0, err
		}
	} else {
		if err := r.read(ctx, v.Key); err != nil {
			return 0, err
		}
		switch {
		case r.times[ts]:
			return Unchanged, nil
		case !r.newest.Less(ts) && !r.newest.IsZero():
			return Older, nil
		}
	}
	op := &versioning.Op{
		Kind: versioning.OpRestore, Bucket: r.bucket.ID(), Key: v.Key, Value: v.Value, Tombstone: v.Tombstone,
		Vacuumable: &v.Vacuumable, Oldest: v.Number,
	}
	if !v.ExpireAt.IsZero() {
		op.ExpiresWallNanos = v.ExpireAt.UnixNano()
	}
	if _, err := applier.Apply(op, ts); err != nil {
		return 0, err
	}
	return Restored, nil
}

// read learns what key has. The versions of a key follow each other in a dump, so that each history is read once.
func (r *Restorer) read(ctx context.Context, key []byte) error {
	if r.known && bytes.Equal(r.key, key) {
		return nil
	}
	r.key, r.known, r.times, r.newest = append(r.key[:0], key...), false, map[hlc.Timestamp]bool{}, hlc.Timestamp{}
	for v, err := range r.bucket.History(ctx, key, nil) { // newest first
		if errors.Is(err, versioning.ErrNotFound) {
			break
		}
		if err != nil {
			return err
		}
		if r.newest.IsZero() {
			r.newest = v.Timestamp
		}
		r.times[v.Timestamp] = true
	}
	r.known = true
	return nil
}
