package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/kvstore"
	"github.com/shieldmaidens/pleiades/kvstore/kvservice"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

func (n *Node) startStore(context.Context) (stopFunc, error) {
	store, err := kvstore.Open(n.eng, n.clock, &kvstore.Options{Logger: n.log.With("part", "kvstore"), SessionIdle: n.settings.SessionIdle})
	if err != nil {
		return nil, err
	}
	n.store = store
	return func(context.Context) error { return store.Close() }, nil
}

// storeService is the key-value service.
func (n *Node) storeService() pwp.Service {
	return kvservice.New(n.store, &kvservice.Options{Ready: n.notReady})
}

// notReady says why the store takes no new pairs now. It does not block.
func (n *Node) notReady() error {
	if state := n.State(); state == StateDraining || state == StateStopped {
		return fmt.Errorf("%w: the node is %s; try another one, or again in a moment", wire.ErrUnavailable, state)
	}
	return nil
}

// storeChecks are what the store looks at in itself. That the disk is full keeps it from writing, not from working.
func (n *Node) storeChecks(ctx context.Context) []check {
	var list []check
	for _, c := range n.store.Health(ctx) {
		found := check{name: "store " + c.Name, found: "serves"}
		if c.Err != nil {
			found.fault = c.Err.Error()
			found.readiness = errors.Is(c.Err, base.ErrDiskFull) || errors.Is(c.Err, base.ErrOverloaded) || errors.Is(c.Err, context.Canceled)
		}
		list = append(list, found)
	}
	return list
}
