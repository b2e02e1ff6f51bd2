package kvstore

import (
	"fmt"
	"sync"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/versioning"
)

// accountShare is what a data shard knows of an account. Only the machine touches it.
type accountShare struct {
	id         uint64
	generation uint64
	maxKeys    uint64
	maxBytes   uint64
	state      kvstorev1.State
	usage      versioning.Usage
	// shareDirty and usageDirty: the batch changes the record.
	shareDirty, usageDirty bool
}

// bucketShare is what a data shard knows of a bucket.
type bucketShare struct {
	id         uint64
	generation uint64
	account    *accountShare
	maxKeys    uint64
	maxBytes   uint64
	state      kvstorev1.State
	removedTo  []byte
	removed    versioning.Usage
	usage      versioning.Usage

	shareDirty, usageDirty bool
}

func (a *accountShare) record() *kvstorev1.StoredAccountShare {
	return &kvstorev1.StoredAccountShare{
		Format: recordFormat, Generation: a.generation, MaxKeys: a.maxKeys, MaxBytes: a.maxBytes, State: a.state,
	}
}

func (b *bucketShare) record() *kvstorev1.StoredBucketShare {
	return &kvstorev1.StoredBucketShare{
		Format: recordFormat, Generation: b.generation, AccountId: b.account.id, MaxKeys: b.maxKeys, MaxBytes: b.maxBytes,
		State: b.state, RemovedTo: b.removedTo, Removed: usageMessage(b.removed),
	}
}

// over returns ErrQuota if a change by delta leads beyond a limit. What lowers usage is never over.
func over(what string, id, maxKeys, maxBytes uint64, now, delta versioning.Usage) error {
	if maxKeys > 0 && delta.Keys > 0 && now.Keys > 0 && uint64(now.Keys) > maxKeys {
		return fmt.Errorf("%w: %s %d would hold %d keys, its limit is %d", kverr.ErrQuota, what, id, now.Keys, maxKeys)
	}
	if maxBytes > 0 && delta.Bytes > 0 && now.Bytes > 0 && uint64(now.Bytes) > maxBytes {
		return fmt.Errorf("%w: %s %d would hold %d bytes, its limit is %d", kverr.ErrQuota, what, id, now.Bytes, maxBytes)
	}
	return nil
}

// add changes the counters of a bucket and its account.
func (b *bucketShare) add(delta versioning.Usage) {
	if delta == (versioning.Usage{}) {
		return
	}
	b.usage, b.account.usage = b.usage.Add(delta), b.account.usage.Add(delta)
}

// take undoes add.
func (b *bucketShare) take(delta versioning.Usage) {
	b.add(versioning.Usage{Keys: -delta.Keys, Versions: -delta.Versions, Bytes: -delta.Bytes})
}

// shareViews is what was committed of the shares, for readers.
type shareViews struct {
	mu       sync.RWMutex
	buckets  map[uint64]*bucketView
	accounts map[uint64]*accountView
}

// accountView and bucketView change under the lock of shareViews only.
type accountView struct {
	generation uint64
	deleting   bool
	usage      versioning.Usage
}

type bucketView struct {
	generation uint64
	deleting   bool
	account    *accountView
	bucket     *versioning.Bucket
	usage      versioning.Usage
	removed    versioning.Usage
}

// open returns the handle of a bucket that can be read. Errors: ErrBucketNotFound, ErrDeleting.
func (v *shareViews) open(id keys.BucketID) (*versioning.Bucket, error) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	b := v.buckets[uint64(id)]
	switch {
	case b == nil:
		return nil, fmt.Errorf("%w: bucket %d", kverr.ErrBucketNotFound, id)
	case b.deleting || b.account.deleting:
		return nil, fmt.Errorf("%w: bucket %d", kverr.ErrDeleting, id)
	}
	return b.bucket, nil
}

// bucketState returns a copy of what is known of a bucket.
func (v *shareViews) bucketState(id uint64) (bucketView, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if b := v.buckets[id]; b != nil {
		return *b, true
	}
	return bucketView{}, false
}

func (v *shareViews) accountState(id uint64) (accountView, bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if a := v.accounts[id]; a != nil {
		return *a, true
	}
	return accountView{}, false
}
