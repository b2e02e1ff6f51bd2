package dump

import (
	"context"
	"io"

	"github.com/shieldmaidens/pleiades/versioning"
)

// BucketOptions qualifies WriteBucket. nil means none of it.
type BucketOptions struct {
	// Prefix bounds the dump to the keys that begin with it.
	Prefix []byte
	// Progress, when not nil, is told the number of keys written so far, behind each key.
	Progress func(keys uint64)
}

// WriteBucket writes every version of every key of a bucket to w, and returns how many keys and versions that were.
// Nobody else may write to the bucket meanwhile: keys are read one by one. An error leaves a dump without its end.
func WriteBucket(ctx context.Context, w io.Writer, bucket *versioning.Bucket, opts *BucketOptions) (keys, versions uint64, err error) {
	if opts == nil {
		opts = &BucketOptions{}
	}
	settings, err := bucket.Settings(ctx)
	if err != nil {
		return 0, 0, err
	}
	now, err := bucket.Store().Clock().Now()
	if err != nil {
		return 0, 0, err
	}
	dw, err := NewWriter(w, Header{
		Created: now, Bucket: uint64(bucket.ID()), MaxVersions: settings.MaxVersions, Rollover: uint8(settings.Rollover),
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

// writeKey writes the versions of one key, oldest first.
func writeKey(ctx context.Context, dw *Writer, bucket *versioning.Bucket, e versioning.Entry) error {
	for v, err := range bucket.History(ctx, e.Key, &versioning.HistoryOptions{OldestFirst: true, Values: true}) {
		if err != nil {
			return err
		}
		err := dw.Write(&Version{
			Key: e.Key, Value: v.Data, Number: v.Version, Timestamp: v.Timestamp, ExpireAt: v.ExpireAt,
			Tombstone: v.Tombstone, Latest: v.Version == e.Descriptor.Versions, Vacuumable: e.Descriptor.Vacuumable,
		})
		if err != nil {
			return err
		}
	}
	return nil
}
