package versioning

import (
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/keys"
)

const (
	// prefetchKeys and prefetchBytes bound what one call into the engine prefetches.
	prefetchKeys  = 1024
	prefetchBytes = 4 << 20
	// prefetchTotal bounds the old versions that one batch prefetches. They would be rewritten by the
	// batch, so one that needs many more does not fit into the engine's bound and is refused by it.
	prefetchTotal = 64 << 20
)

// Prefetch reads what operations on the given keys will need, many keys a call. It is only about
// speed: Apply reads by itself what is not there. ops may be of other stores' too if they are equal
// in bucket and key.
func (a *Applier) Prefetch(ops []Op) error {
	if err := a.store.claimShard(); err != nil {
		return err // what is read here must not change under another writer
	}
	var w prefetchWants
	for i := range ops {
		if err := a.want(&w, &ops[i]); err != nil {
			return err
		}
	}
	return a.prefetchWanted(&w)
}

// prefetchWants is what a prefetch reads: descriptors, and behind them latest versions.
type prefetchWants struct{ descriptors, latest []*keyState }

// prefetch reads the descriptors of the keys that ops of this store touch, and then the latest
// versions that puts and deletes will move.
func (a *Applier) prefetch(ops []batchOp) error {
	if err := a.store.claimShard(); err != nil {
		return err // what is read here must not change under another writer
	}
	var w prefetchWants
	for i := range ops {
		if ops[i].store != a.store {
			continue
		}
		if err := a.want(&w, &ops[i].op); err != nil {
			return err
		}
	}
	return a.prefetchWanted(&w)
}

// want adds to w what op needs.
func (a *Applier) want(w *prefetchWants, op *Op) error {
	if op.Kind == OpSetSettings {
		return nil
	}
	st := a.overlay.state(a.store, op.Bucket, op.Key)
	if !st.loaded && st.prefetched == 0 {
		st.prefetched = -1 // once is enough
		w.descriptors = append(w.descriptors, st)
	}
	if op.appends() {
		settings, err := a.bucketSettings(op.Bucket)
		if err != nil {
			return err
		}
		if settings.MaxVersions > 1 && !op.IfAbsent {
			w.latest = append(w.latest, st)
		}
	}
	return nil
}

func (a *Applier) prefetchWanted(w *prefetchWants) error {
	if err := a.prefetchDescriptors(w.descriptors); err != nil {
		return err
	}
	return a.prefetchLatest(w.latest)
}

func (a *Applier) prefetchDescriptors(states []*keyState) error {
	var missing []*keyState
	for _, st := range states {
		st.prefetched = 0
		if desc, latest, ok := a.store.cache.get(st.hash, st.cacheKey()); ok {
			st.loaded, st.desc = true, desc
			st.latest, st.haveLatest, st.latestOwned = latest, latest != nil, true
			continue
		}
		missing = append(missing, st)
	}
	return a.prefetchRecords(missing, keys.DelimTag, keys.TagDescriptor, func(st *keyState, stored []byte, found bool) (err error) {
		st.prefetched++
		if found {
			if st.desc, err = parseDescriptor(stored); err != nil {
				st.prefetched = 0
				return nil // the operation on this key will meet it again, and say so
			}
		}
		st.loaded = true
		return nil
	})
}

func (a *Applier) prefetchLatest(states []*keyState) error {
	var group []*keyState
	bytes, total := int64(0), int64(0)
	flush := func() error {
		err := a.prefetchRecords(group, keys.DelimLatest, keys.TagLatest, func(st *keyState, stored []byte, found bool) error {
			if found {
				st.prefetched++
				st.latest, st.haveLatest, st.latestOwned = stored, true, false
			}
			return nil
		})
		group, bytes = group[:0], 0
		return err
	}
	for _, st := range states {
		if !st.loaded || !st.desc.exists() || st.haveLatest || st.desc.latestBytes > prefetchBytes/4 {
			continue
		}
		if bytes+st.desc.latestBytes > prefetchBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		if total += st.desc.latestBytes + MaxTrailerBytes; total > prefetchTotal {
			break
		}
		group = append(group, st)
		bytes += st.desc.latestBytes + MaxTrailerBytes
	}
	return flush()
}

// prefetchRecords reads one record of each key. What fn is given stays valid.
func (a *Applier) prefetchRecords(states []*keyState, delimiter, tag byte, fn func(st *keyState, stored []byte, found bool) error) error {
	stored := make([][]byte, 0, min(len(states), prefetchKeys))
	for len(states) > 0 {
		n := min(len(states), prefetchKeys)
		stored = stored[:0]
		for _, st := range states[:n] {
			stored = append(stored, st.recordKey(delimiter, tag))
		}
		r := new(engine.MultiResult)
		if err := a.store.shard.MultiGetInto(r, stored, nil); err != nil {
			return err
		}
		for i, st := range states[:n] {
			value, found := r.Value(i)
			if err := fn(st, value, found); err != nil {
				return err
			}
		}
		states = states[n:]
	}
	return nil
}
