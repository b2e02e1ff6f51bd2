package engine_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/shieldmaidens/pleiades/engine"
)

// Two shards, one atomic batch, and what a reader sees of it.
func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	eng, err := engine.Open(dir, nil)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	stars, _ := eng.EnsureShard(ctx, 1001)
	names, _ := eng.EnsureShard(ctx, 1002)

	b := eng.NewBatch()
	_ = b.Put(stars, []byte("25Tau"), []byte("Alcyone")) // errors: the shard was dropped, the batch is full
	_ = b.Put(names, []byte("Alcyone"), []byte("25Tau"))
	if err := eng.Commit(ctx, b, engine.Sync); err != nil {
		log.Fatal(err)
	}
	b.Close()

	value, err := stars.Get(nil, []byte("25Tau"), nil)
	fmt.Printf("%s %v\n", value, err)
	_, err = names.Get(nil, []byte("Merope"), nil)
	fmt.Println(err)
	for _, s := range eng.Shards() {
		fmt.Println("shard", s.ID, "in family", s.Family)
	}
	if err := eng.Close(); err != nil {
		log.Fatal(err)
	}
	// Output:
	// Alcyone <nil>
	// engine: key not found
	// shard 1001 in family 1001
	// shard 1002 in family 1002
}
