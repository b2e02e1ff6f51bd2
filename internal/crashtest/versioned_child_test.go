package crashtest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/vacuum"
	"github.com/shieldmaidens/pleiades/versioning"
)

// versionedStore is a store directory with its stores of versioned keys, open.
type versionedStore struct {
	eng    *engine.Engine
	clock  *hlc.Clock
	stores []*versioning.Store
}

// openVersioned opens the store in dir. Missing shards are made.
func openVersioned(ctx context.Context, dir string) (_ *versionedStore, err error) {
	v := &versionedStore{}
	if v.eng, err = engine.Open(dir, smallOptions()); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, v.eng.Close())
		}
	}()
	if v.clock, err = versioning.NewClock(v.eng, nil); err != nil {
		return nil, err
	}
	for _, id := range sharedShards[:versionedStores] {
		sh, err := v.eng.EnsureShard(ctx, id)
		if err != nil {
			return nil, err
		}
		store, err := versioning.Open(sh, v.clock, nil)
		if err != nil {
			return nil, err
		}
		v.stores = append(v.stores, store)
	}
	return v, nil
}

func (v *versionedStore) close() error {
	for _, s := range v.stores {
		s.Close()
	}
	return errors.Join(v.clock.Close(), v.eng.Close())
}

func (v *versionedStore) bucket(at place) (*versioning.Bucket, error) {
	return v.stores[at.store].Bucket(at.bucket)
}

// versionedChild runs the versioned workload.
func versionedChild(dir string, seed uint64, ops int) (err error) {
	witness, err := OpenWitness(dir)
	if err != nil {
		return err
	}
	ctx := context.Background()
	v, err := openVersioned(ctx, filepath.Join(dir, "store"))
	if err != nil {
		return err
	}
	defer func() {
		if err != nil { // after success the program waits to be killed, with the store open
			err = errors.Join(err, v.close())
		}
	}()
	var writers errgroup.Group
	for w := range versionedWriters {
		writers.Go(func() error {
			m := newVersionedModel(seed, w)
			for range ops {
				o := m.next()
				if err := v.do(ctx, o); err != nil {
					return fmt.Errorf("writer %d, operation %d, %v: %w", w, m.n, o, err)
				}
				if err := witness.Ack(w, m.n); err != nil {
					return err
				}
				m.apply(o)
			}
			return nil
		})
	}
	return writers.Wait()
}

// do does one operation of a writer.
func (v *versionedStore) do(ctx context.Context, o versionedOp) error {
	if o.vacuum != nil {
		b, err := v.bucket(*o.vacuum)
		if err != nil {
			return err
		}
		_, err = vacuum.Run(ctx, b, vacuum.Policy{AllKeys: true, KeepNewest: vacuumKeep, Deleted: true}, nil)
		return err
	}
	if len(o.steps) == 1 {
		return v.one(ctx, o.steps[0], !o.sync)
	}
	batch := v.stores[0].NewBatch()
	for _, s := range o.steps {
		op := versioning.Op{Kind: s.kind, Bucket: s.at.bucket, Key: []byte(s.at.key), Oldest: s.oldest}
		if s.value != 0 {
			op.Value = s.value.bytes()
		}
		if s.kind == versioning.OpSetVacuumable {
			op.Vacuumable = &s.vacuumable
		}
		if err := batch.Add(v.stores[s.at.store], &op); err != nil {
			return err
		}
	}
	_, err := batch.Commit(ctx, &versioning.BatchOptions{NoSync: !o.sync})
	return err
}

// one does a single change by the bucket's methods.
func (v *versionedStore) one(ctx context.Context, s step, noSync bool) error {
	b, err := v.bucket(s.at)
	if err != nil {
		return err
	}
	key, o := []byte(s.at.key), &versioning.WriteOptions{NoSync: noSync}
	if s.cas {
		o.IfRevision = new(hlc.Timestamp) // zero: the key does not exist
		d, err := b.Describe(ctx, key)
		if err != nil && !errors.Is(err, versioning.ErrNotFound) {
			return err
		}
		if err == nil {
			*o.IfRevision = d.Revision
		}
	}
	switch s.kind {
	case versioning.OpSetSettings:
		err = b.SetSettings(ctx, s.settings)
	case versioning.OpPut:
		_, err = b.Put(ctx, key, s.value.bytes(), &versioning.PutOptions{IfRevision: o.IfRevision, NoSync: noSync})
	case versioning.OpDelete:
		_, err = b.Delete(ctx, key, o)
	case versioning.OpPurge:
		_, err = b.Purge(ctx, key, o)
	case versioning.OpSetVacuumable:
		_, err = b.SetVacuumable(ctx, key, s.vacuumable, o)
	case versioning.OpDropVersions:
		_, err = b.DropVersions(ctx, key, s.oldest, o)
	default:
		err = fmt.Errorf("no such step: %v", s.kind)
	}
	return err
}
