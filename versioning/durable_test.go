package versioning_test

import (
	"context"
	"testing"

	"github.com/shieldmaidens/pleiades/versioning"
)

// TestSyncedNothing: a synced write that finds everything as it should be makes durable what an unsynced
// one had made so. Without that a power failure would take back what it has confirmed.
func TestSyncedNothing(t *testing.T) {
	r := newRig(t, nil)
	ctx, b, key := context.Background(), r.bucket(1), []byte("key")
	unsynced := &versioning.WriteOptions{NoSync: true}
	if _, err := b.Put(ctx, key, []byte("value"), nil); err != nil {
		t.Fatal(err)
	}
	syncs := func() uint64 {
		t.Helper()
		m, err := r.eng.Metrics()
		if err != nil {
			t.Fatal(err)
		}
		return m.Commits.Syncs
	}
	for name, again := range map[string]func() error{
		"single": func() error {
			_, err := b.SetVacuumable(ctx, key, true, nil)
			return err
		},
		"batch": func() error {
			batch := r.store.NewBatch()
			if err := batch.SetVacuumable(b, key, true, nil); err != nil {
				return err
			}
			_, err := batch.Commit(ctx, nil)
			return err
		},
	} {
		if _, err := b.SetVacuumable(ctx, key, false, nil); err != nil {
			t.Fatal(err)
		}
		before := syncs()
		if _, err := b.SetVacuumable(ctx, key, true, unsynced); err != nil {
			t.Fatal(err)
		}
		if syncs() != before {
			t.Fatalf("%s: an unsynced write was synced", name)
		}
		if err := again(); err != nil {
			t.Fatal(err)
		}
		if syncs() == before {
			t.Errorf("%s: a synced write returned without a sync", name)
		}
	}
}
