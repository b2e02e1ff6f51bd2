package pwp_test

import (
	"context"
	"errors"
	"testing"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/pwptest"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// TestHoldAndReserve: what handlers hold is bounded for the connection, one of them always has room, and what was reserved
// and not used is there again for the next request.
func TestHoldAndReserve(t *testing.T) {
	server, err := pwp.NewServer(&pwp.ServerOptions{Limits: &pwp.Limits{
		HeldBytesPerConn: 1000, MaxQueuedBytes: 1000, QueuedBytesPerConn: 100_000,
	}})
	check(t, err)
	check(t, server.Handle(wire.ServiceKVStore, pwp.Service{Handler: pwp.HandlerFunc(func(r *pwp.Request) error {
		first, err := r.Hold(1 << 40) // counts as half of what there is
		if err != nil {
			return err
		}
		second, err := r.Hold(500)
		if err != nil {
			return err
		}
		if _, err := r.Hold(1); !errors.Is(err, pwp.ErrHeld) || !errors.Is(err, base.ErrOverloaded) {
			t.Errorf("a third: %v", err)
		}
		second()
		first()
		if !r.TryReserve(60_000) || r.TryReserve(60_000) || r.Crowded() {
			t.Error("room for one is not room for one")
		}
		if r.Type() == 3 {
			return r.Reply(4, field3(make([]byte, 59_990))) // with the room that it has
		}
		return nil
	})}))
	here, there := pwptest.Pipe(nil)
	served := make(chan error, 1)
	go func() { served <- server.ServeConn(context.Background(), there) }()
	client, err := pwp.NewClient(here, nil)
	check(t, err)
	p, err := client.Open(t.Context(), wire.ServiceKVStore, nil)
	check(t, err)
	for _, typ := range []wire.MessageType{1, 3, 1, 3, 3} {
		_, body, err := p.Call(t.Context(), typ, nil, nil)
		if typ == 3 && (err != nil || len(body) < 59_990) || typ == 1 && !errors.Is(err, pwp.ErrNoAnswer) {
			t.Errorf("type %d: %d bytes, %v", typ, len(body), err)
		}
	}
	check(t, client.Close())
	check(t, server.Close())
	<-served
}
