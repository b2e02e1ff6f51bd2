package client_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/shieldmaidens/pleiades/client"
	"github.com/shieldmaidens/pleiades/internal/nodetest"
	"github.com/shieldmaidens/pleiades/net/certs"
)

func Example() {
	addr, certsDir, stop := nodetest.Example() // in a shell: pleiades node start
	defer stop()
	ctx := context.Background()

	identity, err := certs.Open(certsDir, certs.ClientLeaf("root"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer identity.Close()
	c, err := client.Open(ctx, []string{addr}, &client.Options{Certs: identity})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()

	if _, err := c.CreateBucket(ctx, "stars", nil); err != nil {
		fmt.Println(err)
		return
	}
	stars := c.Bucket("stars")
	for _, colour := range []string{"white", "blue"} {
		if _, err := stars.Put(ctx, []byte("maia"), []byte(colour), nil); err != nil {
			fmt.Println(err)
			return
		}
	}
	for v, err := range stars.History(ctx, []byte("maia"), &client.HistoryOptions{Values: true}) {
		fmt.Println(v.Version, string(v.Data), err)
	}
	for e, err := range stars.Scan(ctx, &client.ScanOptions{Prefix: []byte("m"), Values: true}) {
		fmt.Println(string(e.Key), string(e.Value.Data), err)
	}
	_, err = stars.Get(ctx, []byte("electra"))
	fmt.Println(errors.Is(err, client.ErrNotFound))
	// Output:
	// 2 blue <nil>
	// 1 white <nil>
	// maia blue <nil>
	// true
}

// open connects a client to a node.
func open(t testing.TB, n *nodetest.Node, opts *client.Options) *client.Client {
	t.Helper()
	if opts == nil {
		opts = &client.Options{}
	}
	opts.Certs = n.Certs()
	c, err := client.Open(t.Context(), []string{n.Addr()}, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("closing the client: %v", err)
		}
	})
	return c
}
