package client

import (
	"context"
	"fmt"
	"iter"
	"time"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/kvstore/kvwire"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// Rollover says what a put does when a key has as many versions as its bucket allows.
type Rollover uint8

// The policies, with the numbers of the wire. 0 is none: left as it is, or the default.
const (
	// Relabel drops the oldest version and renumbers the others without touching them. The default.
	Relabel Rollover = 1
	// Cascade does the same and moves their records too.
	Cascade Rollover = 2
	// Refuse fails the put with ErrVersionsExhausted.
	Refuse Rollover = 3
)

func (r Rollover) String() string {
	switch r {
	case Relabel:
		return "relabel"
	case Cascade:
		return "cascade"
	case Refuse:
		return "refuse"
	}
	return fmt.Sprintf("rollover %d", uint8(r))
}

// BucketSettings are what the owner of a bucket chooses. The zero value of a field is its default when a bucket is made, and
// leaves it as it is when one is changed.
type BucketSettings struct {
	// MaxVersions of a key are kept, 1..255; default 255.
	MaxVersions int
	Rollover    Rollover
	// MaxKeys and MaxBytes; nil or 0: no limit.
	MaxKeys, MaxBytes *uint64
}

func (s *BucketSettings) message() (*kvstorev1.BucketSettings, error) {
	if s == nil {
		return nil, nil
	}
	if s.MaxVersions < 0 || s.MaxVersions > MaxVersions {
		return nil, fmt.Errorf("%w: %d versions, allowed are 1 to %d", ErrInvalidSettings, s.MaxVersions, MaxVersions)
	}
	return &kvstorev1.BucketSettings{
		MaxVersions: uint32(s.MaxVersions), Rollover: kvstorev1.RolloverPolicy(s.Rollover), MaxKeys: s.MaxKeys, MaxBytes: s.MaxBytes,
	}, nil
}

// BucketInfo is what is known of a bucket.
type BucketInfo struct {
	// ID is never used again.
	ID keys.BucketID
	// Name is unique in its account.
	Name, Account string
	AccountID     uint64
	Created       time.Time
	Settings      BucketSettings
	State         State
	Usage         Usage
}

func bucketOf(m *kvstorev1.Bucket) BucketInfo {
	s := m.GetSettings()
	return BucketInfo{
		ID: keys.BucketID(m.GetId()), Name: m.GetName(), Account: m.GetAccount(), AccountID: m.GetAccountId(), Created: createdOf(m.GetCreated()),
		Settings: BucketSettings{
			MaxVersions: int(s.GetMaxVersions()), Rollover: Rollover(s.GetRollover()), MaxKeys: limitOf(s.GetMaxKeys()), MaxBytes: limitOf(s.GetMaxBytes()),
		},
		State: State(m.GetState()), Usage: usageOf(m.GetUsage()),
	}
}

// limitOf returns a limit; nil for none.
func limitOf(n uint64) *uint64 {
	if n == 0 {
		return nil
	}
	return &n
}

// CreateBucket makes the bucket "name" or "account/name". settings may be nil. Errors: ErrBucketExists, ErrAccountNotFound,
// ErrInvalidName, ErrInvalidSettings, ErrNotOwner, ErrQuota.
func (c *Client) CreateBucket(ctx context.Context, name string, settings *BucketSettings) (BucketInfo, error) {
	account, bucket := splitName(name)
	m, err := settings.message()
	if err != nil {
		return BucketInfo{}, named("create-bucket", err)
	}
	req := &kvstorev1.CreateBucketRequest{Account: account, Name: bucket, Settings: m}
	return c.bucket(ctx, kvwire.CreateBucket, req, func(s *kvstorev1.Session) { req.Session = s })
}

// BucketInfo returns what is known of the bucket "name" or "account/name". Errors: ErrBucketNotFound, ErrAccountNotFound.
func (c *Client) BucketInfo(ctx context.Context, name string) (BucketInfo, error) {
	account, bucket := splitName(name)
	return c.bucket(ctx, kvwire.GetBucket, &kvstorev1.GetBucketRequest{Account: account, Name: bucket}, nil)
}

// Info returns what is known of the bucket.
func (b *Bucket) Info(ctx context.Context) (BucketInfo, error) {
	if b.name == "" {
		return b.c.bucket(ctx, kvwire.GetBucket, &kvstorev1.GetBucketRequest{Id: b.known.Load()}, nil)
	}
	return b.c.BucketInfo(ctx, b.account+"/"+b.name)
}

// SetBucket changes the settings of a bucket. Nothing that is stored changes by that; each key follows with its next put.
// Errors: as for CreateBucket, and ErrBucketNotFound, ErrDeleting.
func (c *Client) SetBucket(ctx context.Context, name string, settings BucketSettings) (BucketInfo, error) {
	account, bucket := splitName(name)
	m, err := settings.message()
	if err != nil {
		return BucketInfo{}, named("update-bucket", err)
	}
	req := &kvstorev1.UpdateBucketRequest{Account: account, Name: bucket, Settings: m}
	return c.bucket(ctx, kvwire.UpdateBucket, req, func(s *kvstorev1.Session) { req.Session = s })
}

func (c *Client) bucket(ctx context.Context, t wire.MessageType, msg encoded, set func(*kvstorev1.Session)) (BucketInfo, error) {
	var resp kvstorev1.BucketResponse
	r := &request{service: wire.ServiceKVStore, typ: t, method: kvwire.Name(t), msg: msg, keep: true, answer: resp.UnmarshalVTUnsafe}
	if err := c.readOrWrite(ctx, r, set); err != nil {
		return BucketInfo{}, err
	}
	return bucketOf(resp.Bucket), nil
}

// Buckets walks over the buckets of an account in the order of their names, and over those of all accounts when account is
// empty. Errors: ErrAccountNotFound.
func (c *Client) Buckets(ctx context.Context, account string) iter.Seq2[BucketInfo, error] {
	return list(ctx, c, kvwire.ListBuckets, &kvstorev1.ListBucketsRequest{Account: account}, func(msg []byte) ([]BucketInfo, error) {
		var resp kvstorev1.ListBucketsResponse
		err := resp.UnmarshalVT(msg)
		out := make([]BucketInfo, 0, len(resp.Buckets))
		for _, m := range resp.Buckets {
			out = append(out, bucketOf(m))
		}
		return out, err
	}, func(b BucketInfo) string { return b.Account + "\x00" + b.Name }) // no name holds a zero byte
}

// DeleteBucket removes a bucket with all of its data, and returns when all of it is gone. Ending it earlier does not stop
// it: the node goes on, and calling it again follows it. Errors: ErrBucketNotFound, ErrNotEmpty, ErrNotOwner, ErrReserved.
func (c *Client) DeleteBucket(ctx context.Context, name string, opts *RemoveOptions) (Removal, error) {
	account, bucket := splitName(name)
	req := &kvstorev1.DeleteBucketRequest{Account: account, Name: bucket, OnlyEmpty: opts != nil && opts.OnlyEmpty}
	return c.remove(ctx, kvwire.DeleteBucket, req, func(s *kvstorev1.Session) { req.Session = s }, ErrBucketNotFound, opts)
}
