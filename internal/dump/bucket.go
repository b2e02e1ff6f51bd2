package dump

import (
	"context"
	"errors"
	"io"
	"iter"

	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/versioning"
)

// BucketOptions qualifies WriteBucket. nil means none of it.
type BucketOptions struct {
	// Prefix bounds the dump to the keys that begin with it.
	Prefix []byte
	// Progress, when not nil, is told the number of keys written so far, behind each key.
	Progress func(keys uint64)
}

// Source is a bucket as a dump reads it: *versioning.Bucket, or one at a node.
type Source interface {
	ID() keys.BucketID
	Settings(ctx context.Context) (versioning.Settings, error)
	Scan(ctx context.Context, opts *versioning.ScanOptions) iter.Seq2[versioning.Entry, error]
	// History yields versions of one instant, which are the caller's.
	History(ctx context.Context, key []byte, opts *versioning.HistoryOptions) iter.Seq2[versioning.Value, error]
}

// WriteBucket is Write of a bucket of this process, by the time of its store.
func WriteBucket(ctx context.Context, w io.Writer, bucket *versioning.Bucket, opts *BucketOptions) (keys, versions uint64, err error) {
	now, err := bucket.Store().Clock().Now()
	if err != nil {
		return 0, 0, err
	}
	return Write(ctx, w, bucket, now, opts)
}

// Write writes every version of every key of a bucket to w, and returns how many keys and versions that were; created is what
// the header says. Keys are read one by one, each at an instant of its own: a key that is written meanwhile is in the dump
// as it was before or behind the write, and so are keys that were written together, each by itself. An error leaves a dump
// without its end.
func Write(ctx context.Context, w io.Writer, bucket Source, created hlc.Timestamp, opts *BucketOptions) (keys, versions uint64, err error) {
	if opts == nil {
		opts = &BucketOptions{}
	}
	settings, err := bucket.Settings(ctx)
	if err != nil {
		return 0, 0, err
	}
	dw, err := NewWriter(w, Header{
		Created: created, Bucket: uint64(bucket.ID()), MaxVersions: settings.MaxVersions, Rollover: uint8(settings.Rollover),
	})
	if err != nil {
		return 0, 0, err
	}
	for e, err := range bucket.Scan(ctx, &versioning.ScanOptions{Prefix: opts.Prefix, Deleted: true, Borrow: true}) {
		if err == nil {
			err = writeKey(ctx, dw, bucket, e)
		}
		if err != nil {
			return 0, 0, err
		}
		if opts.Progress != nil {
			n, _ := dw.Counts()
			opts.Progress(n)
		}
	}
	if err := dw.Close(); err != nil {
		return 0, 0, err
	}
	keys, versions = dw.Counts()
	return keys, versions, nil
}

// writeKey writes the versions of one key, oldest first. The latest is known by nothing following it: the descriptor of the
// scan may be older than the history.
func writeKey(ctx context.Context, dw *Writer, bucket Source, e versioning.Entry) error {
	var held *Version
	for v, err := range bucket.History(ctx, e.Key, &versioning.HistoryOptions{OldestFirst: true, Values: true}) {
		if held == nil && errors.Is(err, versioning.ErrNotFound) {
			return nil // purged since it was found
		}
		if err == nil && held != nil {
			err = dw.Write(held)
		}
		if err != nil {
			return err
		}
		held = &Version{
			Key: e.Key, Value: v.Data, Number: v.Version, Timestamp: v.Timestamp, ExpireAt: v.ExpireAt,
			Tombstone: v.Tombstone, Vacuumable: e.Descriptor.Vacuumable,
		}
	}
	if held == nil {
		return nil
	}
	held.Latest = true
	return dw.Write(held)
}
