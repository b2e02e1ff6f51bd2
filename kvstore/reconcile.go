package kvstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/versioning"
)

// reconcile brings catalog and data shard to the same state, where a crash came between them: the catalog decides what
// there is, the data shard what is being removed.
func (s *Store) reconcile(ctx context.Context) error {
	c := &s.catalog.published
	if c.accounts[DefaultAccountID] == nil || c.buckets[uint64(keys.DefaultBucket)] == nil {
		if _, err := s.local(ctx, s.catalogLog, &kvstorev1.Command{Bootstrap: &kvstorev1.Bootstrap{}}); err != nil {
			return fmt.Errorf("make the default account and bucket: %w", err)
		}
	}
	accounts, _ := s.catalog.accountList()
	for _, a := range accounts {
		if err := s.shareAccount(ctx, a); err != nil {
			return err
		}
	}
	for _, b := range s.catalog.bucketList(0) {
		if b.bucket.State == kvstorev1.State_STATE_DELETING {
			if err := s.seal(ctx, b.bucket.Id, false); err != nil {
				return err
			}
			continue
		}
		if err := s.shareBucket(ctx, b); err != nil {
			return err
		}
		if v, _ := s.data.views.bucketState(b.bucket.Id); v.deleting {
			if err := s.markDeleting(ctx, b.bucket); err != nil {
				return err
			}
		}
	}
	// What was told to the data shard behind the catalog's back, right before the crash.
	counted, err := s.data.counted()
	if err != nil {
		return err
	}
	for _, id := range slices.Collect(maps.Keys(s.data.buckets)) {
		v, _ := s.data.views.bucketState(id)
		if c.buckets[id] == nil && !v.deleting && (!counted || v.usage != (versioning.Usage{})) {
			s.log.Error("kvstore: a bucket has data but the catalog does not know it; it is left as it is", "bucket", id)
			continue
		}
		if err := s.withdrawBucket(ctx, id); err != nil {
			return err
		}
	}
	for _, id := range slices.Collect(maps.Keys(s.data.accounts)) {
		if err := s.withdrawAccount(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// shareAccount tells the data shard what the catalog says of an account, unless it knows.
func (s *Store) shareAccount(ctx context.Context, a *catalogAccount) error {
	if v, ok := s.data.views.accountState(a.account.Id); ok && v.generation >= a.generation {
		return nil
	}
	limits := a.account.GetLimits()
	_, err := s.local(ctx, s.dataLog, &kvstorev1.Command{ShareAccount: &kvstorev1.ShareAccount{
		AccountId: a.account.Id, Generation: a.generation, MaxKeys: limits.GetMaxKeys(), MaxBytes: limits.GetMaxBytes(), State: a.account.State,
	}})
	if err != nil {
		return err
	}
	return s.withdrawAccount(ctx, a.account.Id)
}

// withdrawAccount takes back what the data shard was told of an account that the catalog has forgotten since: who tells it
// does not hold the catalog still. Both who tells and who forgets call it afterwards, so that one of them sees the other.
func (s *Store) withdrawAccount(ctx context.Context, id uint64) error {
	c := &s.catalog.published
	c.RLock()
	there := c.accounts[id] != nil
	c.RUnlock()
	if _, known := s.data.views.accountState(id); there || !known {
		return nil
	}
	_, err := s.local(ctx, s.dataLog, &kvstorev1.Command{ShareAccount: &kvstorev1.ShareAccount{AccountId: id, Gone: true}})
	if errors.Is(err, kverr.ErrNotEmpty) {
		return nil // the last of its buckets is on its way out, and whose withdrawal comes behind
	}
	return err
}

// withdrawBucket does the same of a bucket, with what was written into it meanwhile.
func (s *Store) withdrawBucket(ctx context.Context, id uint64) error {
	c := &s.catalog.published
	c.RLock()
	there := c.buckets[id] != nil
	c.RUnlock()
	if _, known := s.data.views.bucketState(id); there || !known {
		return nil
	}
	if err := s.seal(ctx, id, false); err != nil {
		return err
	}
	for {
		step := &kvstorev1.RemoveStep{BucketId: id, Records: uint32(s.opts.RemoveRecords)}
		res, err := s.local(ctx, s.dataLog, &kvstorev1.Command{Remove: step})
		if errors.Is(err, kverr.ErrBucketNotFound) {
			return nil
		}
		if err != nil || res.Done {
			return err
		}
	}
}

// shareBucket tells the data shard what the catalog says of a bucket, unless it knows.
func (s *Store) shareBucket(ctx context.Context, b *catalogBucket) error {
	if v, ok := s.data.views.bucketState(b.bucket.Id); ok && v.generation >= b.generation {
		return nil
	}
	_, err := s.local(ctx, s.dataLog, &kvstorev1.Command{ShareBucket: &kvstorev1.ShareBucket{
		BucketId: b.bucket.Id, Generation: b.generation, AccountId: b.bucket.AccountId, Settings: b.bucket.Settings,
	}})
	if err != nil {
		return err
	}
	return s.withdrawBucket(ctx, b.bucket.Id)
}

// seal ends reading and writing of a bucket. A bucket that the data shard does not know has no data there.
func (s *Store) seal(ctx context.Context, id uint64, onlyEmpty bool) error {
	_, err := s.local(ctx, s.dataLog, &kvstorev1.Command{SealBucket: &kvstorev1.SealBucket{BucketId: id, OnlyEmpty: onlyEmpty}})
	if errors.Is(err, kverr.ErrBucketNotFound) {
		return nil
	}
	return err
}

// markDeleting tells the catalog that a bucket is being removed.
func (s *Store) markDeleting(ctx context.Context, b *kvstorev1.Bucket) error {
	_, err := s.local(ctx, s.catalogLog, &kvstorev1.Command{DeleteBucket: &kvstorev1.DeleteBucketRequest{Account: b.Account, Name: b.Name}})
	if errors.Is(err, kverr.ErrBucketNotFound) || errors.Is(err, kverr.ErrAccountNotFound) {
		return nil
	}
	return err
}

// recount reads all data and writes the counters, unless they are right. Nobody else writes meanwhile.
func (s *Store) recount(ctx context.Context, m *Machine) error {
	right, err := s.data.counted()
	if err != nil || right {
		return err
	}
	began := time.Now()
	batch := s.eng.NewBatch()
	defer batch.Close()
	shard := s.data.shard
	byAccount := map[*accountShare]versioning.Usage{}
	var total versioning.Usage
	for id, b := range s.data.buckets {
		handle, err := s.versions.Bucket(keys.BucketID(id))
		if err != nil {
			return err
		}
		usage, err := handle.CountUsage(ctx)
		if err != nil {
			return err
		}
		if err := s.data.encoder.putUsage(batch, shard, kindBucket, id, usage); err != nil {
			return err
		}
		byAccount[b.account] = byAccount[b.account].Add(usage)
		total = total.Add(usage)
	}
	for a, usage := range byAccount {
		if err := s.data.encoder.putUsage(batch, shard, kindAccount, a.id, usage); err != nil {
			return err
		}
	}
	if err := batch.Put(shard, keys.AppendCountedMark(nil), nil); err != nil {
		return err
	}
	if err := s.eng.Commit(ctx, batch, engine.Sync|engine.Reclaim); err != nil {
		return err
	}
	m.Discard()
	if total != (versioning.Usage{}) {
		s.log.Info("kvstore: counted what the buckets hold", "keys", total.Keys, "bytes", total.Bytes, "took", time.Since(began).Round(time.Millisecond))
	}
	return m.load()
}
