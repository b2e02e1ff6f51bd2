package endpoint_test

import (
	"context"
	"fmt"
	"os"

	"github.com/shieldmaidens/pleiades/net/certs"
	"github.com/shieldmaidens/pleiades/net/endpoint"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "pleiades-certs-")
	fail(err)
	defer os.RemoveAll(dir)
	_, err = certs.CreateCA(dir, nil)
	fail(err)
	_, err = certs.CreateNode(dir, &certs.LeafOptions{Name: "alcyone"})
	fail(err)
	_, err = certs.CreateClient(dir, nil)
	fail(err)

	// A node: a socket, and a server of stream pairs.
	nodeCerts, err := certs.Open(dir, certs.NodeLeaf, nil)
	fail(err)
	node, err := endpoint.Open(&endpoint.Options{Listen: "127.0.0.1:0", Certs: nodeCerts})
	fail(err)
	server, err := pwp.NewServer(nil)
	fail(err)
	fail(server.Handle(wire.ServiceKVStore, pwp.Service{Handler: pwp.HandlerFunc(func(r *pwp.Request) error {
		return r.Reply(0x02, []byte("\x1a\x04Maia")) // field 3 of the response
	})}))
	served := make(chan error)
	go func() {
		conn, err := node.Accept(ctx)
		fail(err)
		fmt.Println("in came", conn.Identity())
		served <- server.ServeConn(ctx, conn)
	}()

	// A client: a socket, and one shared connection to a peer.
	clientCerts, err := certs.Open(dir, certs.ClientLeaf(certs.DefaultClient), nil)
	fail(err)
	client, err := endpoint.Open(&endpoint.Options{Certs: clientCerts})
	fail(err)
	conn, err := client.Peer(ctx, node.Addr().String(), nil)
	fail(err)
	pairs, err := conn.Client()
	fail(err)
	pair, err := pairs.Open(ctx, wire.ServiceKVStore, nil)
	fail(err)
	_, msg, err := pair.Call(ctx, 0x01, nil, nil)
	fmt.Printf("%v answered % x, %v\n", conn.Identity(), msg, err)

	fail(client.Close(ctx))
	fmt.Println(<-served)
	fail(server.Close())
	fail(node.Close(ctx))
	// Output:
	// in came pleiades://pleiades/client/root
	// pleiades://pleiades/node/alcyone answered 08 01 1a 04 4d 61 69 61, <nil>
	// endpoint: the peer closed the connection: shutdown
}

// fail ends the example.
func fail(err error) {
	if err != nil {
		panic(err)
	}
}
