package crashtest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/shieldmaidens/pleiades/versioning"
)

// versionedCheck verifies states of the versioned workload.
type versionedCheck struct{ seed uint64 }

// check opens what a crash left, verifies every invariant of versioned keys, and compares with what was
// acknowledged.
func (c versionedCheck) check(dir string, s *State) (err error) {
	ctx := context.Background()
	v, err := openVersioned(ctx, filepath.Join(dir, "store"))
	if err != nil && zeroedManifest(s, err) {
		return ErrRefused
	}
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() { err = errors.Join(err, v.close()) }()
	if err := v.verify(ctx); err != nil {
		return err
	}
	for w := range versionedWriters {
		got, err := v.read(ctx, newVersionedModel(c.seed, w))
		if err != nil {
			return err
		}
		if err := c.compare(w, s, got); err != nil {
			return err
		}
	}
	if s.Number%3 == 0 {
		// Going on must not break what it finds: timestamps, revisions and slots follow on.
		for _, at := range newVersionedModel(c.seed, s.Number%versionedWriters).places() {
			if err := v.one(ctx, step{kind: versioning.OpPut, at: at, value: 7}, true); err != nil {
				return fmt.Errorf("writing after recovery: %w", err)
			}
		}
		if err := v.verify(ctx); err != nil {
			return fmt.Errorf("after writing again: %w", err)
		}
	}
	return v.eng.Err()
}

// verify runs the check of the versioned layer over every shard.
func (v *versionedStore) verify(ctx context.Context) error {
	for _, store := range v.stores {
		report, err := versioning.Check(ctx, store.Shard(), nil)
		if err != nil {
			return fmt.Errorf("check: %w", err)
		}
		if report.Found > 0 {
			return fmt.Errorf("check found %d things wrong, the first: %v", report.Found, report.Findings[0])
		}
	}
	return nil
}

// read reads everything of one writer.
func (v *versionedStore) read(ctx context.Context, m *versionedModel) (map[place]readHistory, error) {
	got := map[place]readHistory{}
	for _, at := range m.places() {
		b, err := v.bucket(at)
		if err != nil {
			return nil, err
		}
		d, err := b.Describe(ctx, []byte(at.key))
		if errors.Is(err, versioning.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		r := readHistory{oldest: d.Oldest, vacuumable: d.Vacuumable}
		for value, err := range b.History(ctx, []byte(at.key), &versioning.HistoryOptions{OldestFirst: true, Values: true}) {
			if err != nil {
				return nil, fmt.Errorf("history of %v: %w", at, err)
			}
			r.data = append(r.data, string(value.Data))
			r.dead = append(r.dead, value.Tombstone)
		}
		got[at] = r
	}
	return got, nil
}

// compare accepts the state after some number of the writer's operations, as for the engine.
func (c versionedCheck) compare(w int, s *State, got map[place]readHistory) error {
	m := newVersionedModel(c.seed, w)
	acked, durable := s.Acks[w], 0
	for m.n < acked {
		o := m.next()
		m.apply(o)
		if o.sync || s.Killed() {
			durable = m.n
		}
	}
	var tried []string
	for m = versionedModelAt(c.seed, w, durable); m.n <= acked+1; m.apply(m.next()) {
		d := diffVersioned(m, got)
		if d == "" {
			return nil
		}
		tried = append(tried, fmt.Sprintf("after %d operations: %s", m.n, d))
	}
	return fmt.Errorf("writer %d: %d operations acknowledged, %d of them durable; the store is in no state that may be:\n%q", w, acked, durable, tried)
}

// synced counts the synced operations among those acknowledged.
func (c versionedCheck) synced(acks Acks) (n int) {
	for w := range versionedWriters {
		for m := newVersionedModel(c.seed, w); m.n < acks[w]; {
			o := m.next()
			m.apply(o)
			if o.sync {
				n++
			}
		}
	}
	return n
}
