package kvstore_test

import (
	"context"
	"fmt"
	"log"
	"os"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/kvstore"
	"github.com/shieldmaidens/pleiades/versioning"
)

// A bucket with a quota, and a write that is sent twice and done once.
func Example() {
	dir, err := os.MkdirTemp("", "kvstore")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	eng, err := engine.Open(dir, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer eng.Close()
	clock, err := versioning.NewClock(eng, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer clock.Close()
	store, err := kvstore.Open(eng, clock, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	ctx, atlas := context.Background(), kvstore.Caller{Name: "atlas", Role: kvstore.RoleClient}
	maxKeys := uint64(1)
	stars, err := store.CreateBucket(ctx, atlas, &kvstorev1.CreateBucketRequest{
		Name: "stars", Settings: &kvstorev1.BucketSettings{MaxKeys: &maxKeys},
	})
	if err != nil {
		log.Fatal(err)
	}
	session, err := store.OpenSession(ctx, atlas)
	if err != nil {
		log.Fatal(err)
	}
	for range 2 { // the first answer was lost, say
		w, err := store.Put(ctx, atlas, &kvstorev1.PutRequest{
			BucketId: stars.Id, Key: []byte("maia"), Value: []byte("magnitude 3.9"),
			Session: &kvstorev1.Session{Id: session.Id, Sequence: 1},
		})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("version", w.Version, "repeated", w.Repeated)
	}
	_, err = store.Put(ctx, atlas, &kvstorev1.PutRequest{BucketId: stars.Id, Key: []byte("merope"), Value: []byte("4.2")})
	fmt.Println(err)
	// Output:
	// version 1 repeated false
	// version 1 repeated true
	// kvstore: over the quota: bucket 1001 would hold 2 keys, its limit is 1
}
