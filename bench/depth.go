package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/shieldmaidens/pleiades/versioning"
)

// depths are how many versions a key keeps in the workloads with a depth.
var depths = []int{1, 10, 255}

// depthName names the workload of puts to keys that have as many versions as their bucket keeps, so
// that every put drops the oldest.
func depthName(depth int, rollover versioning.Rollover) string {
	return fmt.Sprintf("put/depth=%d/%s", depth, rollover)
}

// depthRuns runs the wanted workloads with a depth, each on a fresh store: DepthKeys keys are filled up
// to their limit, unmeasured, and then put to at random, unsynced, by one writer.
func (r *storeRun) depthRuns(ctx context.Context) error {
	for _, depth := range depths {
		for _, rollover := range []versioning.Rollover{versioning.Relabel, versioning.Cascade} {
			name := depthName(depth, rollover)
			if !r.wants(name) {
				continue
			}
			err := r.onFresh(ctx, func(ctx context.Context, store Store) error {
				return r.putDeep(ctx, store, name, depth, rollover)
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *storeRun) putDeep(ctx context.Context, store Store, name string, depth int, rollover versioning.Rollover) error {
	v, ok := store.(*versionedStore)
	if !ok {
		return fmt.Errorf("%w: %s needs the versioned store", ErrSpec, name)
	}
	settings := versioning.Settings{MaxVersions: depth, Rollover: rollover}
	if err := v.bucket.SetSettings(ctx, settings); err != nil {
		return err
	}
	spec := *r.spec
	spec.Keys = spec.DepthKeys
	values := r.values.fork(0)
	noted := time.Now()
	for version := range depth {
		batch := v.store.NewBatch()
		for k := range spec.DepthKeys {
			if err := batch.Put(v.bucket, appendKey(nil, uint64(k)), values.next(), nil); err != nil {
				return err
			}
		}
		if _, err := batch.Commit(ctx, &versioning.BatchOptions{NoSync: true}); err != nil {
			return err
		}
		if r.note != nil && time.Since(noted) > tickEvery {
			noted = time.Now()
			r.note(Progress{Workload: "loading", Share: float64(version) / float64(depth)})
		}
	}
	inner := *r
	inner.spec, inner.results = &spec, nil
	err := inner.measure(ctx, store, &load{
		name: name, workers: 1, warmup: spec.Warmup, duration: spec.Duration, step: inner.putRandom(false),
	})
	r.results = append(r.results, inner.results...)
	return err
}
