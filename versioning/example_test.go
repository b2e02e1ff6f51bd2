package versioning_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/versioning"
)

// A versioned store in a Go program, without any network: open the engine, a shard, a clock and a
// store, and write.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "pleiades-example-")
	must(err)
	defer os.RemoveAll(dir)

	eng, err := engine.Open(dir, nil)
	must(err)
	defer eng.Close()
	shard, err := eng.EnsureShard(ctx, engine.FirstUserShard)
	must(err)
	clock, err := versioning.NewClock(eng, nil)
	must(err)
	defer clock.Close()
	store, err := versioning.Open(shard, clock, nil)
	must(err)
	stars, err := store.Bucket(1)
	must(err)

	_, err = stars.Put(ctx, []byte("Maia"), []byte("3.87"), nil)
	must(err)
	v, err := stars.Get(ctx, []byte("Maia"))
	must(err)
	fmt.Printf("%s\n", v.Data)

	_, err = stars.Get(ctx, []byte("Vega"))
	fmt.Println(errors.Is(err, base.ErrNotFound))
	// Output:
	// 3.87
	// true
}

// Every put is a version. With room for three, the fourth put drops the oldest, and the numbers of
// the others go down by one.
func ExampleBucket_History() {
	store, closeStore := openExample()
	defer closeStore()
	ctx := context.Background()
	stars, err := store.Bucket(1)
	must(err)
	must(stars.SetSettings(ctx, versioning.Settings{MaxVersions: 3, Rollover: versioning.Relabel}))

	key := []byte("Maia")
	for _, value := range []string{"a", "b", "c", "d"} {
		res, err := stars.Put(ctx, key, []byte(value), nil)
		must(err)
		fmt.Printf("put %s: version %d, rolled over %t\n", value, res.Version, res.RolledOver)
	}
	_, err = stars.Delete(ctx, key, nil)
	must(err)

	for v, err := range stars.History(ctx, key, &versioning.HistoryOptions{Values: true}) {
		must(err)
		fmt.Printf("version %d: %q tombstone %t\n", v.Version, v.Data, v.Tombstone)
	}
	v, err := stars.GetVersion(ctx, key, 2)
	must(err)
	before, err := stars.GetAt(ctx, key, v.Timestamp.Prev())
	must(err)
	fmt.Printf("right before version 2 the key held %q\n", before.Data)
	// Output:
	// put a: version 1, rolled over false
	// put b: version 2, rolled over false
	// put c: version 3, rolled over false
	// put d: version 3, rolled over true
	// version 3: "" tombstone true
	// version 2: "d" tombstone false
	// version 1: "c" tombstone false
	// right before version 2 the key held "c"
}

// One batch writes to several shards, all of it or nothing.
func ExampleBatch() {
	store, closeStore := openExample()
	defer closeStore()
	ctx := context.Background()
	eng := store.Engine()
	var buckets []*versioning.Bucket
	for i := range 3 {
		shard, err := eng.EnsureShard(ctx, engine.FirstUserShard+engine.ShardID(i)+1)
		must(err)
		s, err := versioning.Open(shard, store.Clock(), nil)
		must(err)
		b, err := s.Bucket(1)
		must(err)
		buckets = append(buckets, b)
	}

	batch := store.NewBatch()
	for _, b := range buckets {
		must(batch.Put(b, []byte("epoch"), []byte("J2000"), nil))
	}
	results, err := batch.Commit(ctx, nil)
	must(err)
	fmt.Println("same revision everywhere:", results[0].Revision == results[1].Revision && results[1].Revision == results[2].Revision)

	// The second operation is refused, so the first one is not done either.
	batch = store.NewBatch()
	must(batch.Put(buckets[0], []byte("epoch"), []byte("B1950"), nil))
	must(batch.Put(buckets[1], []byte("epoch"), []byte("B1950"), &versioning.PutOptions{IfAbsent: true}))
	_, err = batch.Commit(ctx, nil)
	fmt.Println("refused:", errors.Is(err, versioning.ErrExists))
	v, err := buckets[0].Get(ctx, []byte("epoch"))
	must(err)
	fmt.Printf("%s\n", v.Data)
	// Output:
	// same revision everywhere: true
	// refused: true
	// J2000
}

// A scan returns live keys in order; a token lets another scan, in any process, go on behind one.
func ExampleBucket_Scan() {
	store, closeStore := openExample()
	defer closeStore()
	ctx := context.Background()
	stars, err := store.Bucket(1)
	must(err)
	for _, name := range []string{"Alcyone", "Atlas", "Electra", "Maia", "Merope"} {
		_, err := stars.Put(ctx, []byte(name), []byte{byte(len(name))}, nil)
		must(err)
	}

	page := &versioning.ScanOptions{Limit: 2, Values: true}
	for {
		n := 0
		for e, err := range stars.Scan(ctx, page) {
			must(err)
			fmt.Printf("%s=%d\n", e.Key, e.Value.Data[0])
			page.Resume = e.Token()
			n++
		}
		fmt.Println("end of page")
		if n < page.Limit {
			break
		}
	}
	// Output:
	// Alcyone=7
	// Atlas=5
	// end of page
	// Electra=7
	// Maia=4
	// end of page
	// Merope=6
	// end of page
}

// Compare-and-set: a put that names the revision it was decided on fails if somebody was faster.
func ExampleBucket_Put() {
	store, closeStore := openExample()
	defer closeStore()
	ctx := context.Background()
	stars, err := store.Bucket(1)
	must(err)

	first, err := stars.Put(ctx, []byte("Maia"), []byte("3.8"), &versioning.PutOptions{IfAbsent: true})
	must(err)
	_, err = stars.Put(ctx, []byte("Maia"), []byte("3.87"), &versioning.PutOptions{IfRevision: &first.Revision})
	must(err)
	_, err = stars.Put(ctx, []byte("Maia"), []byte("3.9"), &versioning.PutOptions{IfRevision: &first.Revision})
	fmt.Println(errors.Is(err, versioning.ErrRevisionMismatch))
	// Output: true
}

// openExample opens a store in a temporary directory.
func openExample() (*versioning.Store, func()) {
	dir, err := os.MkdirTemp("", "pleiades-example-")
	must(err)
	eng, err := engine.Open(dir, nil)
	must(err)
	shard, err := eng.EnsureShard(context.Background(), engine.FirstUserShard)
	must(err)
	clock, err := versioning.NewClock(eng, &hlc.Options{})
	must(err)
	store, err := versioning.Open(shard, clock, nil)
	must(err)
	return store, func() {
		must(clock.Close())
		must(eng.Close())
		must(os.RemoveAll(dir))
	}
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
