package node_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/shieldmaidens/pleiades/node"
)

func Example() {
	dir, err := os.MkdirTemp("", "node")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	settings := node.Defaults()
	settings.Dir, settings.Listen, settings.Admin = dir, "127.0.0.1:0", "127.0.0.1:0"
	settings.Logger = slog.New(slog.DiscardHandler)
	n, err := node.Start(context.Background(), settings)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(n.State(), n.First(), n.SelfMade())
	fmt.Println(n.Stop(context.Background()), n.State())
	// Output:
	// ready true true
	// <nil> stopped
}
