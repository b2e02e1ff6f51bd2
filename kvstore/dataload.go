package kvstore

import (
	"errors"
	"fmt"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/keys"
)

// load reads all shares and counters.
func (d *dataBody) load() error {
	d.accounts, d.buckets = map[uint64]*accountShare{}, map[uint64]*bucketShare{}
	err := walk(d.shard, metaKey(metaShare), func(key, value []byte) error {
		kind, id, err := recordID(key)
		if err != nil {
			return err
		}
		if kind == kindAccount {
			return d.loadAccount(key, value, id)
		}
		return d.loadBucket(key, value, id)
	})
	if err != nil {
		return err
	}
	if err := walk(d.shard, metaKey(metaUsage), d.loadUsage); err != nil {
		return err
	}
	d.views.mu.Lock()
	defer d.views.mu.Unlock()
	for _, a := range d.accounts {
		d.publishAccount(a)
	}
	for _, b := range d.buckets {
		d.publishBucket(b)
	}
	return nil
}

func (d *dataBody) loadAccount(key, value []byte, id uint64) error {
	var pb kvstorev1.StoredAccountShare
	if err := parse(key, value, &pb); err != nil {
		return err
	}
	d.accounts[id] = &accountShare{id: id, generation: pb.Generation, maxKeys: pb.MaxKeys, maxBytes: pb.MaxBytes, state: pb.State}
	return nil
}

func (d *dataBody) loadBucket(key, value []byte, id uint64) error {
	var pb kvstorev1.StoredBucketShare
	if err := parse(key, value, &pb); err != nil {
		return err
	}
	account := d.accounts[pb.AccountId] // 'a' sorts before 'b'
	if account == nil || id == 0 {
		return fmt.Errorf("%w: %s is of account %d, which is missing", ErrRecord, keys.Pretty(key), pb.AccountId)
	}
	d.buckets[id] = &bucketShare{
		id: id, generation: pb.Generation, account: account, maxKeys: pb.MaxKeys, maxBytes: pb.MaxBytes, state: pb.State,
		removedTo: pb.RemovedTo, removed: usageOf(pb.Removed),
	}
	return nil
}

func (d *dataBody) loadUsage(key, value []byte) error {
	kind, id, err := recordID(key)
	if err != nil {
		return err
	}
	var pb kvstorev1.StoredUsage
	if err := parse(key, value, &pb); err != nil {
		return err
	}
	if kind == kindAccount {
		if a := d.accounts[id]; a != nil {
			a.usage = usageOf(pb.Usage)
		}
	} else if b := d.buckets[id]; b != nil {
		b.usage = usageOf(pb.Usage)
	}
	return nil
}

// counted reports whether the stored counters are right: whether only such writers were here as count.
func (d *dataBody) counted() (bool, error) {
	there, err := d.shard.Has(keys.AppendCountedMark(nil), nil)
	if errors.Is(err, engine.ErrNotFound) {
		return false, nil
	}
	return there, err
}
