package kvstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"sync"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/versioning"
)

// bucket returns the handle of a bucket that a request names, 0 for the default one.
func (s *Store) bucket(ctx context.Context, id uint64) (*versioning.Bucket, error) {
	if err := s.checkOpen(ctx); err != nil {
		return nil, err
	}
	return s.data.views.open(bucketID(id))
}

var getAnswers = sync.Pool{New: func() any { return new(getAnswer) }}

// Get calls fn with the value of a key, or one of its versions, or what it was at a time, as r says. The response and the
// value in it are valid only until fn returns and must not be changed; Get returns fn's error. r is not kept.
//
// Errors: ErrNotFound, ErrHistoryTruncated, ErrInvalidVersion, ErrBadRequest, ErrBucketNotFound, ErrDeleting and those of
// impossible keys, all of kverr; base.ErrCorruption for damaged records.
func (s *Store) Get(ctx context.Context, r *kvstorev1.GetRequest, fn func(*kvstorev1.GetResponse) error) error {
	b, err := s.bucket(ctx, r.GetBucketId())
	if err != nil {
		return err
	}
	answer := getAnswers.Get().(*getAnswer)
	defer func() {
		answer.response.Value = nil
		getAnswers.Put(answer)
	}()
	pass := func(v versioning.Value) error { return fn(answer.fill(&v, !r.GetWithoutValue())) }
	var v versioning.Value
	switch {
	case r.GetAt() != nil && r.GetVersion() != 0:
		return fmt.Errorf("%w: a version or a time, not both", kverr.ErrBadRequest)
	case r.GetAt() != nil:
		ts, err := timestamp("at", r.GetAt())
		if err != nil {
			return err
		}
		if v, err = b.GetAt(ctx, r.GetKey(), ts); err != nil {
			return err
		}
	case r.GetVersion() != 0:
		if v, err = b.GetVersion(ctx, r.GetKey(), int(min(r.GetVersion(), anyVersion))); err != nil {
			return err
		}
	case r.GetWithVersion():
		if v, err = s.liveVersion(ctx, b, r.GetKey()); err != nil {
			return err
		}
	default:
		return b.View(ctx, r.GetKey(), pass)
	}
	return pass(v)
}

// liveVersion is the value of a key with its number.
func (s *Store) liveVersion(ctx context.Context, b *versioning.Bucket, key []byte) (versioning.Value, error) {
	v, err := b.GetVersion(ctx, key, versioning.Latest)
	if err != nil {
		return v, err
	}
	gone := v.Tombstone
	if !gone && !v.ExpireAt.IsZero() {
		now, err := s.clock.Present()
		if err != nil {
			return v, err
		}
		gone = v.ExpireAt.UnixNano() <= now.WallNanos
	}
	if gone {
		return v, fmt.Errorf("%w: deleted or expired", kverr.ErrNotFound)
	}
	return v, nil
}

// Describe returns what is known of a key, deleted or not. Errors as for Get.
func (s *Store) Describe(ctx context.Context, r *kvstorev1.DescribeRequest) (*kvstorev1.DescribeResponse, error) {
	b, err := s.bucket(ctx, r.GetBucketId())
	if err != nil {
		return nil, err
	}
	d, err := b.Describe(ctx, r.GetKey())
	if err != nil {
		return nil, err
	}
	return &kvstorev1.DescribeResponse{Descriptor_: descriptorMessage(&d)}, nil
}

// History yields the versions of a key, all of one instant; each is the caller's. An error ends it; errors as for Get.
func (s *Store) History(ctx context.Context, r *kvstorev1.HistoryRequest) iter.Seq2[*kvstorev1.GetResponse, error] {
	return func(yield func(*kvstorev1.GetResponse, error) bool) {
		b, err := s.bucket(ctx, r.GetBucketId())
		if err != nil {
			yield(nil, err)
			return
		}
		opts := versioning.HistoryOptions{
			From: int(min(r.GetFrom(), anyVersion)), To: int(min(r.GetTo(), anyVersion)), OldestFirst: r.GetOldestFirst(),
			Limit: int(min(r.GetLimit(), math.MaxInt32)), Values: r.GetValues(),
		}
		for v, err := range b.History(ctx, r.GetKey(), &opts) {
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(new(getAnswer).fill(&v, opts.Values), nil) {
				return
			}
		}
	}
}

// scanOptions returns what versioning takes for a scan.
func scanOptions(r *kvstorev1.ScanRequest) (*versioning.ScanOptions, error) {
	at, err := timestamp("at", r.GetAt())
	if err != nil {
		return nil, err
	}
	o := &versioning.ScanOptions{
		Start: r.GetStart(), Prefix: r.GetPrefix(), Reverse: r.GetReverse(), Limit: int(min(r.GetLimit(), math.MaxInt64)),
		Values: r.GetValues(), Descriptors: r.GetDescriptors(), Deleted: r.GetDeleted(), At: at,
	}
	if len(r.GetEnd()) > 0 {
		o.End = r.GetEnd()
	}
	if len(r.GetResumeToken()) > 0 {
		o.Resume = r.GetResumeToken()
	}
	return o, nil
}

// Scan yields the keys of a bucket in the order of their bytes, all of one instant; each entry is the caller's. A key
// whose history does not reach back to the scan's time is yielded with Truncated set. An error ends the scan. Errors:
// ErrBadToken, ErrTokenVersion, ErrBadRequest; else as for Get.
func (s *Store) Scan(ctx context.Context, r *kvstorev1.ScanRequest) iter.Seq2[*kvstorev1.Entry, error] {
	return func(yield func(*kvstorev1.Entry, error) bool) {
		b, err := s.bucket(ctx, r.GetBucketId())
		if err != nil {
			yield(nil, err)
			return
		}
		opts, err := scanOptions(r)
		if err != nil {
			yield(nil, err)
			return
		}
		for e, err := range b.Scan(ctx, opts) {
			truncated := errors.Is(err, kverr.ErrHistoryTruncated)
			if err != nil && !truncated {
				yield(nil, err)
				return
			}
			if !yield(entryMessage(&e, opts, truncated), nil) {
				return
			}
		}
	}
}

func entryMessage(e *versioning.Entry, o *versioning.ScanOptions, truncated bool) *kvstorev1.Entry {
	m := &kvstorev1.Entry{Key: e.Key, Truncated: truncated}
	if truncated {
		return m
	}
	v := &e.Value
	m.Version, m.Checksum, m.ExpiresWallNanos = uint32(v.Version), v.Checksum, expiryNanos(v.ExpireAt)
	m.Tombstone, m.Size = v.Tombstone, uint64(v.Size)
	if o.Values {
		m.Value = v.Data
	}
	if !v.Timestamp.IsZero() {
		m.Timestamp = stamp(v.Timestamp)
	}
	if e.Descriptor.Versions > 0 && (o.Descriptors || !o.Values) {
		m.Descriptor_ = descriptorMessage(&e.Descriptor)
	}
	return m
}

// Count returns how many keys a scan would yield. Errors as for Scan.
func (s *Store) Count(ctx context.Context, r *kvstorev1.ScanRequest) (uint64, error) {
	b, err := s.bucket(ctx, r.GetBucketId())
	if err != nil {
		return 0, err
	}
	opts, err := scanOptions(r)
	if err != nil {
		return 0, err
	}
	opts.Borrow, opts.Values, opts.Descriptors = true, false, false
	n := uint64(0)
	for _, err := range b.Scan(ctx, opts) {
		if err != nil && !errors.Is(err, kverr.ErrHistoryTruncated) {
			return n, err
		}
		n++
	}
	return n, nil
}
