package kvservice_test

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"testing"

	"github.com/shieldmaidens/pleiades/internal/nodetest"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/kvstore/kvservice"
	"github.com/shieldmaidens/pleiades/kvstore/kvwire"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/pwptest"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// TestBatchBomb: a batch of millions of operations, two bytes each on the wire, is refused before it is decoded: decoded it
// would be a hundred times as large.
func TestBatchBomb(t *testing.T) {
	n := nodetest.Start(t, nil)
	server, err := pwp.NewServer(nil)
	if err == nil {
		err = server.Handle(wire.ServiceKVStore, kvservice.New(n.Store(), &kvservice.Options{Caller: trusted}))
	}
	if err != nil {
		t.Fatal(err)
	}
	here, there := pwptest.Pipe(nil)
	served := make(chan error, 1)
	go func() { served <- server.ServeConn(context.Background(), there) }()
	client, err := pwp.NewClient(here, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _, _, _ = client.Close(), server.Close(), <-served }()
	bulk, err := client.Open(t.Context(), wire.ServiceKVStore, &pwp.PairOptions{Bulk: true})
	if err != nil {
		t.Fatal(err)
	}
	body := bytes.Repeat([]byte{0x1a, 0x00}, 4<<20)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err = bulk.Call(t.Context(), kvwire.Batch, body, nil)
	runtime.ReadMemStats(&after)
	if !errors.Is(kvwire.FromWire(err), kverr.ErrBatchTooLarge) {
		t.Errorf("%v", err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 128<<20 {
		t.Errorf("it took %d MiB", took>>20)
	}
}
