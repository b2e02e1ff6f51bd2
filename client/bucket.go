package client

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"sync/atomic"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/kvstore/kvwire"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// Bucket is a handle on a bucket: cheap, valid as long as its client. All methods may be called concurrently. Keys have 1
// to keys.MaxKeyBytes bytes, values up to 16 MiB; both are free when a method returns. Beside what a method names, all of them
// return ErrBucketNotFound, ErrDeleting, ErrUnreachable and ErrClosed, and the errors of their context.
type Bucket struct {
	c             *Client
	account, name string        // empty for one that is known by its id alone
	known         atomic.Uint64 // the id, 0: not asked for yet
}

// Bucket returns a handle on the bucket "name" of the default account, or on "account/name". The empty name is the default
// bucket. The bucket is looked up with the first request.
func (c *Client) Bucket(name string) *Bucket {
	account, bucket := splitName(name)
	b := &Bucket{c: c, account: account, name: bucket}
	if account == kvwire.DefaultName && bucket == kvwire.DefaultName {
		b.known.Store(uint64(kvwire.DefaultBucket))
	}
	return b
}

// BucketByID returns a handle on the bucket with that id, which was looked up before. 0 is the default bucket.
func (c *Client) BucketByID(id keys.BucketID) *Bucket {
	if id == 0 {
		id = kvwire.DefaultBucket
	}
	b := &Bucket{c: c}
	b.known.Store(uint64(id))
	return b
}

// splitName reads "name" and "account/name"; what is missing is the default.
func splitName(name string) (account, bucket string) {
	account, bucket, ok := strings.Cut(name, "/")
	if !ok {
		account, bucket = kvwire.DefaultName, name
	}
	if bucket == "" {
		bucket = kvwire.DefaultName
	}
	if account == "" {
		account = kvwire.DefaultName
	}
	return account, bucket
}

// Name returns "account/name", and "#7" for a handle that was made from an id.
func (b *Bucket) Name() string {
	if b.name == "" {
		return fmt.Sprintf("#%d", b.known.Load())
	}
	return b.account + "/" + b.name
}

// ID returns the bucket's id, which is asked for once. Errors: ErrBucketNotFound, ErrAccountNotFound.
func (b *Bucket) ID(ctx context.Context) (keys.BucketID, error) {
	if id := b.known.Load(); id != 0 {
		return keys.BucketID(id), nil
	}
	info, err := b.c.BucketInfo(ctx, b.account+"/"+b.name)
	if err != nil {
		return 0, err
	}
	b.known.Store(uint64(info.ID))
	return info.ID, nil
}

// with calls fn with the bucket's id. A bucket that was removed and made again under the same name has another one.
func (b *Bucket) with(ctx context.Context, fn func(id uint64) error) error {
	for again := false; ; again = true {
		cached := b.known.Load() != 0
		id, err := b.ID(ctx)
		if err != nil {
			return err
		}
		err = fn(uint64(id))
		if b.name == "" || !cached || again || id == kvwire.DefaultBucket || !errors.Is(err, ErrBucketNotFound) {
			return err
		}
		b.known.CompareAndSwap(uint64(id), 0)
	}
}

// Get returns the key's value: its latest version, unless that is a tombstone or has expired. Value.Version stays 0
// (GetVersion with Latest fills it in). Errors: ErrNotFound.
func (b *Bucket) Get(ctx context.Context, key []byte) (Value, error) {
	return b.get(ctx, &kvstorev1.GetRequest{Key: key})
}

// GetVersion returns the version with that number, 1..255, as it is stored: it may be a tombstone, or expired. Latest is
// always the latest one. Errors: ErrNotFound, ErrHistoryTruncated, ErrInvalidVersion.
func (b *Bucket) GetVersion(ctx context.Context, key []byte, number int) (Value, error) {
	n, err := version(number)
	if err == nil && n == 0 {
		err = fmt.Errorf("%w: %d", ErrInvalidVersion, number)
	}
	if err != nil {
		return Value{}, err
	}
	return b.get(ctx, &kvstorev1.GetRequest{Key: key, Version: n, WithVersion: true})
}

// GetAt returns the value that the key had at a time. Errors: ErrNotFound when there was none, ErrHistoryTruncated when it
// is gone.
func (b *Bucket) GetAt(ctx context.Context, key []byte, at hlc.Timestamp) (Value, error) {
	if at.IsZero() {
		return Value{}, named("get", fmt.Errorf("%w: no time", ErrBadRequest))
	}
	return b.get(ctx, &kvstorev1.GetRequest{Key: key, At: kvwire.Timestamp(at), WithVersion: true})
}

// Stat is Get with Version and Revision, and without the data.
func (b *Bucket) Stat(ctx context.Context, key []byte) (Value, error) {
	return b.get(ctx, &kvstorev1.GetRequest{Key: key, WithoutValue: true, WithVersion: true})
}

func (b *Bucket) get(ctx context.Context, req *kvstorev1.GetRequest) (v Value, err error) {
	err = b.with(ctx, func(id uint64) error {
		var resp kvstorev1.GetResponse
		req.BucketId = id
		err := b.c.read(ctx, &request{
			service: wire.ServiceKVStore, typ: kvwire.Get, method: "get", msg: req, keep: !req.WithoutValue, answer: resp.UnmarshalVTUnsafe,
		})
		if err == nil {
			v = valueOf(&resp)
		}
		return err
	})
	return v, err
}

// Describe returns the key's descriptor. A deleted or expired key has one. Errors: ErrNotFound.
func (b *Bucket) Describe(ctx context.Context, key []byte) (d Descriptor, err error) {
	err = b.with(ctx, func(id uint64) error {
		var resp kvstorev1.DescribeResponse
		err := b.c.read(ctx, &request{
			service: wire.ServiceKVStore, typ: kvwire.Describe, method: "describe",
			msg: &kvstorev1.DescribeRequest{Key: key, BucketId: id}, answer: resp.UnmarshalVTUnsafe,
		})
		if err == nil {
			d = descriptorOf(resp.Descriptor_)
		}
		return err
	})
	return d, err
}

// Put writes a new version of key; it is on disk when Put returns. Errors: keys.ErrEmptyKey, keys.ErrKeyTooLong,
// ErrValueTooLarge, ErrRevisionMismatch, ErrExists, ErrVersionsExhausted, ErrQuota, ErrUnknownOutcome.
func (b *Bucket) Put(ctx context.Context, key, value []byte, opts *PutOptions) (WriteResult, error) {
	req, err := putRequest(key, value, opts)
	if err != nil {
		return WriteResult{}, err
	}
	return b.write(ctx, kvwire.Put, req, func(id uint64) { req.BucketId = id }, func(s *kvstorev1.Session) { req.Session = s })
}

// Delete writes a tombstone as the key's new latest version; older ones stay readable. Errors: ErrNotFound when the key has
// no value; else as for Put.
func (b *Bucket) Delete(ctx context.Context, key []byte, opts *WriteOptions) (WriteResult, error) {
	req, err := deleteRequest(key, opts)
	if err != nil {
		return WriteResult{}, err
	}
	return b.write(ctx, kvwire.Delete, req, func(id uint64) { req.BucketId = id }, func(s *kvstorev1.Session) { req.Session = s })
}

// Purge removes a key with its whole history. Errors: ErrNotFound; else as for Put.
func (b *Bucket) Purge(ctx context.Context, key []byte, opts *WriteOptions) (WriteResult, error) {
	req, err := purgeRequest(key, opts)
	if err != nil {
		return WriteResult{}, err
	}
	return b.write(ctx, kvwire.Purge, req, func(id uint64) { req.BucketId = id }, func(s *kvstorev1.Session) { req.Session = s })
}

// SetVacuumable permits or forbids vacuum to take old versions of a key, without writing one. Errors: ErrNotFound; else as
// for Put. It has no IfVersion.
func (b *Bucket) SetVacuumable(ctx context.Context, key []byte, vacuumable bool, opts *WriteOptions) (WriteResult, error) {
	req, err := markRequest(key, vacuumable, opts)
	if err != nil {
		return WriteResult{}, err
	}
	return b.write(ctx, kvwire.SetVacuumable, req, func(id uint64) { req.BucketId = id }, func(s *kvstorev1.Session) { req.Session = s })
}

func (b *Bucket) write(ctx context.Context, t wire.MessageType, msg encoded, in func(uint64), set func(*kvstorev1.Session)) (res WriteResult, err error) {
	err = b.with(ctx, func(id uint64) error {
		in(id)
		var resp kvstorev1.WriteResponse
		err := b.c.write(ctx, &request{service: wire.ServiceKVStore, typ: t, method: kvwire.Name(t), msg: msg, answer: resp.UnmarshalVTUnsafe}, set)
		if err == nil {
			res = writeResultOf(&resp)
		}
		return err
	})
	return res, err
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func putRequest(key, value []byte, o *PutOptions) (*kvstorev1.PutRequest, error) {
	if err := keys.Validate(key); err != nil {
		return nil, err
	}
	if len(value) > maxValueBytes {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrValueTooLarge, len(value), maxValueBytes)
	}
	req := &kvstorev1.PutRequest{Key: key, Value: value}
	if o == nil {
		o = &PutOptions{}
	}
	if req.Checksum = o.Checksum; req.Checksum == nil {
		sum := crc32.Checksum(value, castagnoli)
		req.Checksum = &sum
	}
	var ok bool
	if req.ExpiresWallNanos, ok = kvwire.Nanos(o.ExpireAt); !ok {
		return nil, fmt.Errorf("%w: expiry %v is not between 1970 and 2262", ErrBadRequest, o.ExpireAt)
	}
	var err error
	req.IfVersion, err = version(o.IfVersion)
	req.IfRevision, req.IfAbsent, req.Vacuumable = revision(o.IfRevision), o.IfAbsent, o.Vacuumable
	return req, err
}

// maxValueBytes is the size of the largest value, as package versioning has it.
const maxValueBytes = 16 << 20

func deleteRequest(key []byte, o *WriteOptions) (*kvstorev1.DeleteRequest, error) {
	if o == nil {
		o = &WriteOptions{}
	}
	n, err := version(o.IfVersion)
	return &kvstorev1.DeleteRequest{Key: key, IfRevision: revision(o.IfRevision), IfVersion: n}, errors.Join(err, keys.Validate(key))
}

func purgeRequest(key []byte, o *WriteOptions) (*kvstorev1.PurgeRequest, error) {
	if o == nil {
		o = &WriteOptions{}
	}
	n, err := version(o.IfVersion)
	return &kvstorev1.PurgeRequest{Key: key, IfRevision: revision(o.IfRevision), IfVersion: n}, errors.Join(err, keys.Validate(key))
}

func markRequest(key []byte, vacuumable bool, o *WriteOptions) (*kvstorev1.SetVacuumableRequest, error) {
	if o == nil {
		o = &WriteOptions{}
	}
	if o.IfVersion != 0 {
		return nil, fmt.Errorf("%w: a mark has no IfVersion", ErrBadRequest)
	}
	return &kvstorev1.SetVacuumableRequest{Key: key, Vacuumable: vacuumable, IfRevision: revision(o.IfRevision)}, keys.Validate(key)
}
