package kvstore

import (
	"context"
	"fmt"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/versioning"
)

// shareAccount takes over what the catalog says of an account.
func (d *dataBody) shareAccount(s *kvstorev1.ShareAccount) (Result, error) {
	a := d.accounts[s.GetAccountId()]
	if s.GetGone() {
		if a == nil {
			return Result{}, nil
		}
		for _, b := range d.buckets {
			if b.account == a {
				return Result{Err: fmt.Errorf("%w: account %d has bucket %d", kverr.ErrNotEmpty, a.id, b.id)}, nil
			}
		}
		delete(d.accounts, a.id)
		d.lost = append(d.lost, a.id)
		if err := d.batch.Delete(d.shard, appendIDKey(nil, metaShare, kindAccount, a.id)); err != nil {
			return Result{}, err
		}
		return Result{}, d.batch.Delete(d.shard, appendIDKey(nil, metaUsage, kindAccount, a.id))
	}
	if s.GetAccountId() == 0 {
		return Result{Err: fmt.Errorf("%w: account 0", kverr.ErrBadRequest)}, nil
	}
	if a == nil {
		a = &accountShare{id: s.GetAccountId()}
		d.accounts[a.id] = a
	} else if a.generation >= s.GetGeneration() {
		return Result{}, nil
	}
	a.generation, a.maxKeys, a.maxBytes = s.GetGeneration(), s.GetMaxKeys(), s.GetMaxBytes()
	if a.state != kvstorev1.State_STATE_DELETING {
		a.state = s.GetState()
	}
	a.shareDirty = true
	if !a.usageDirty {
		a.usageDirty = true
		d.touched = append(d.touched, a)
	}
	return Result{}, nil
}

// shareBucket takes over what the catalog says of a bucket.
func (d *dataBody) shareBucket(s *kvstorev1.ShareBucket, ts hlc.Timestamp) (Result, hlc.Timestamp, error) {
	id := s.GetBucketId()
	account := d.accounts[s.GetAccountId()]
	if id == 0 || account == nil {
		return Result{Err: fmt.Errorf("%w: account %d, bucket %d", kverr.ErrAccountNotFound, s.GetAccountId(), id)}, ts, nil
	}
	b := d.buckets[id]
	if b != nil && b.generation >= s.GetGeneration() {
		return Result{}, ts, nil
	}
	highest, err := d.shareSettings(keys.BucketID(id), s.GetSettings(), ts)
	if err != nil {
		if refused, ok := refusal(err); ok {
			return Result{Err: refused}, ts, nil
		}
		return Result{}, ts, err
	}
	if b == nil {
		b = &bucketShare{id: id, account: account, state: kvstorev1.State_STATE_ACTIVE}
		d.buckets[id] = b
	}
	b.generation = s.GetGeneration()
	b.maxKeys, b.maxBytes = s.GetSettings().GetMaxKeys(), s.GetSettings().GetMaxBytes()
	d.markShare(b)
	return Result{}, highest, nil
}

// shareSettings writes those settings of a bucket that are not 0. It must be the first command of its batch: it reads.
func (d *dataBody) shareSettings(id keys.BucketID, s *kvstorev1.BucketSettings, ts hlc.Timestamp) (hlc.Timestamp, error) {
	handle, err := d.store.Bucket(id)
	if err != nil {
		return ts, err
	}
	now, err := handle.Settings(context.Background())
	if err != nil {
		return ts, err
	}
	want := now
	if s.GetMaxVersions() != 0 {
		want.MaxVersions = int(min(s.GetMaxVersions(), anyVersion))
	}
	if s.GetRollover() != 0 {
		want.Rollover = versioning.Rollover(min(uint32(s.GetRollover()), 255))
	}
	if want == now {
		return ts, nil
	}
	res, err := d.applier.Apply(&versioning.Op{Kind: versioning.OpSetSettings, Bucket: id, Settings: want}, ts)
	if err != nil {
		return ts, err
	}
	if ts.Less(res.Revision) {
		ts = res.Revision
	}
	return ts, nil
}
