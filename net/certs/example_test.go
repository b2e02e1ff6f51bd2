package certs_test

import (
	"fmt"
	"os"

	"github.com/shieldmaidens/pleiades/net/certs"
)

// A constellation on one machine: a CA, a node and a client, and the configurations they meet with.
func Example() {
	dir, err := os.MkdirTemp("", "certs")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	_, err = certs.CreateCA(dir, &certs.CAOptions{Constellation: "demo"})
	if err == nil {
		_, err = certs.CreateNode(dir, &certs.LeafOptions{Name: "n1", Hosts: []string{"localhost", "192.0.2.7"}})
	}
	if err == nil {
		_, err = certs.CreateClient(dir, &certs.LeafOptions{Name: "ada"})
	}
	if err != nil {
		panic(err)
	}
	node, err := certs.Open(dir, certs.NodeLeaf, nil)
	if err != nil {
		panic(err)
	}
	defer node.Close()
	client, err := certs.Open(dir, certs.ClientLeaf("ada"), nil)
	if err != nil {
		panic(err)
	}
	defer client.Close()
	server := node.ServerTLS("pwp/1", certs.NodeProtocol)
	dial := client.ClientTLS("pwp/1", certs.Peer{Host: "192.0.2.7"})
	fmt.Println(node.Identity(), server.NextProtos)
	fmt.Println(client.Identity(), dial.NextProtos)
	// Output:
	// pleiades://demo/node/n1 [pwp/1 pwp-node/1]
	// pleiades://demo/client/ada [pwp/1]
}
