package kvstore

import (
	"context"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/versioning"
)

// OnCommit has fn called after each commit of either shard, before its writers are answered.
func (s *Store) OnCommit(fn func()) { s.catalogLog.afterCommit, s.dataLog.afterCommit = fn, fn }

// Record has fn called with the commands and timestamps of each batch of the data shard, and of the catalog's.
func (s *Store) Record(fn func(data bool, cmd *kvstorev1.Command, ts hlc.Timestamp)) {
	s.catalogLog.record = func(cmd *kvstorev1.Command, ts hlc.Timestamp) { fn(false, cmd, ts) }
	s.dataLog.record = func(cmd *kvstorev1.Command, ts hlc.Timestamp) { fn(true, cmd, ts) }
}

// Stale returns what tells the data shard what the catalog says now of a bucket and its account, for whom it is late.
func (s *Store) Stale(id uint64) (tell func(context.Context) (account, bucket error)) {
	b, a, err := s.findBucket("", "", id)
	return func(ctx context.Context) (error, error) {
		if err != nil {
			return err, err
		}
		return s.shareAccount(ctx, a), s.shareBucket(ctx, b)
	}
}

// NewMachines returns the two machines of an engine, without a store.
func NewMachines(catalog, data *engine.Shard, clock *hlc.Clock, opts *Options) (c, d *Machine, done func(), err error) {
	o, err := opts.withDefaults()
	if err != nil {
		return nil, nil, nil, err
	}
	versions, err := versioning.Open(data, clock, &versioning.Options{Counted: true})
	if err != nil {
		return nil, nil, nil, err
	}
	c = &Machine{shard: catalog, limits: o, body: newCatalogBody(catalog, &o)}
	d = &Machine{shard: data, limits: o, body: newDataBody(versions)}
	return c, d, versions.Close, nil
}

// Fingerprint is fingerprint.
func Fingerprint(cmd *kvstorev1.Command) uint64 { return fingerprint(cmd) }

// Propose hands any command to the log of the data shard or the catalog's.
func (s *Store) Propose(ctx context.Context, data bool, cmd *kvstorev1.Command) (Result, error) {
	if data {
		return s.dataLog.Propose(ctx, cmd)
	}
	return s.catalogLog.Propose(ctx, cmd)
}

// LoadRecord decodes a record of the namespace 'm' as opening a store does.
func LoadRecord(key, value []byte) error {
	if len(key) < 2 || key[0] != byte(keys.NamespaceMeta) {
		return nil
	}
	switch key[1] {
	case metaCatalog, metaShare, metaUsage:
		kind, _, err := recordID(key)
		if err != nil {
			return err
		}
		records := map[byte]message{
			metaCatalog + kindAccount: new(kvstorev1.StoredAccount), metaCatalog + kindBucket: new(kvstorev1.StoredBucket),
			metaShare + kindAccount: new(kvstorev1.StoredAccountShare), metaShare + kindBucket: new(kvstorev1.StoredBucketShare),
		}
		if m := records[key[1]+kind]; m != nil && key[1] != metaUsage {
			return parse(key, value, m)
		}
		return parse(key, value, new(kvstorev1.StoredUsage))
	case metaSession:
		if len(key) == sessionKeyBytes {
			return parse(key, value, new(kvstorev1.StoredSession))
		}
		return parse(key, value, new(kvstorev1.StoredOutcome))
	case metaMachine:
		return parse(key, value, new(kvstorev1.StoredMachine))
	case metaIDs:
		return parse(key, value, new(kvstorev1.StoredCatalog))
	}
	return nil
}

// Shares returns how many buckets and accounts the data shard knows.
func (s *Store) Shares() (buckets, accounts int) {
	s.data.views.mu.RLock()
	defer s.data.views.mu.RUnlock()
	return len(s.data.views.buckets), len(s.data.views.accounts)
}
