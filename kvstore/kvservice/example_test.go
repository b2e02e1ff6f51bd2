package kvservice_test

import (
	"context"
	"fmt"
	"os"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/kvstore"
	"github.com/shieldmaidens/pleiades/kvstore/kvservice"
	"github.com/shieldmaidens/pleiades/kvstore/kvwire"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/pwptest"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
	"github.com/shieldmaidens/pleiades/versioning"
)

func Example() {
	dir, err := os.MkdirTemp("", "kvservice-*")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	eng, err := engine.Open(dir, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer eng.Close()
	clock, err := versioning.NewClock(eng, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer clock.Close()
	store, err := kvstore.Open(eng, clock, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()

	server, err := pwp.NewServer(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	service := kvservice.New(store, &kvservice.Options{
		// A connection in memory has no certificate: this program trusts itself.
		Caller: func(pwp.Conn) (kvstore.Caller, error) { return kvstore.Caller{}, nil },
	})
	if err := server.Handle(wire.ServiceKVStore, service); err != nil {
		fmt.Println(err)
		return
	}
	here, there := pwptest.Pipe(nil) // in a node: what an endpoint accepted
	served := make(chan error)
	go func() { served <- server.ServeConn(context.Background(), there) }()

	client, err := pwp.NewClient(here, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	pair, err := client.Open(context.Background(), wire.ServiceKVStore, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	put, _ := (&kvstorev1.PutRequest{Key: []byte("maia"), Value: []byte("blue")}).MarshalVT()
	_, body, err := pair.Call(context.Background(), kvwire.Put, put, nil)
	var made kvstorev1.WriteResponse
	fmt.Println(made.UnmarshalVT(body), made.Version, err)
	get, _ := (&kvstorev1.GetRequest{Key: []byte("electra")}).MarshalVT()
	_, _, err = pair.Call(context.Background(), kvwire.Get, get, nil)
	fmt.Println(err)

	_ = client.Close()
	_ = server.Close()
	<-served
	// Output:
	// <nil> 1 <nil>
	// versioning: not found: key "electra" in bucket 1 of shard 1001
}
