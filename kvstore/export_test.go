package kvstore

import (
	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/versioning"
)

// OnCommit has fn called after each commit of either shard, before its writers are answered.
func (s *Store) OnCommit(fn func()) { s.catalogLog.afterCommit, s.dataLog.afterCommit = fn, fn }

// Record has fn called with the commands and timestamps of each batch of the data shard, and of the catalog's.
func (s *Store) Record(fn func(data bool, cmd *kvstorev1.Command, ts hlc.Timestamp)) {
	s.catalogLog.record = func(cmd *kvstorev1.Command, ts hlc.Timestamp) { fn(false, cmd, ts) }
	s.dataLog.record = func(cmd *kvstorev1.Command, ts hlc.Timestamp) { fn(true, cmd, ts) }
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
