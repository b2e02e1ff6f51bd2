//go:build planted_splitdescriptor

package versioning

import (
	"context"

	"github.com/shieldmaidens/pleiades/engine"
)

// putDescriptor commits the descriptor in a batch of its own, before the versions. `make
// crash-canaries` builds with it, to show that the crash suite notices.
func (a *Applier) putDescriptor(key []byte) error {
	alone := a.store.eng.NewBatch()
	defer alone.Close()
	if err := alone.Put(a.store.shard, key, a.desc); err != nil {
		return err
	}
	return a.store.eng.Commit(context.Background(), alone, engine.Sync)
}
