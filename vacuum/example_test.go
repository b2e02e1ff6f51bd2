package vacuum_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/vacuum"
	"github.com/shieldmaidens/pleiades/versioning"
)

func Example() {
	ctx := context.Background()
	check := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	dir, err := os.MkdirTemp("", "vacuum")
	check(err)
	defer os.RemoveAll(dir)
	eng, err := engine.Open(dir, nil)
	check(err)
	defer eng.Close()
	clock, err := versioning.NewClock(eng, nil)
	check(err)
	defer clock.Close()
	shard, err := eng.CreateShard(ctx, engine.FirstUserShard)
	check(err)
	store, err := versioning.Open(shard, clock, nil)
	check(err)
	bucket, err := store.Bucket(keys.DefaultBucket)
	check(err)
	for i := range 20 {
		_, err := bucket.Put(ctx, []byte("star"), fmt.Append(nil, "observation ", i), nil)
		check(err)
	}

	// Keep 5 versions of every key, and whatever was current in the last hour.
	policy := vacuum.Policy{AllKeys: true, KeepNewest: 5, KeepNewerThan: time.Hour}
	report, err := vacuum.Run(ctx, bucket, policy, &vacuum.Options{DryRun: true})
	check(err)
	fmt.Println(report)

	policy.KeepNewerThan = 0
	report, err = vacuum.Run(ctx, bucket, policy, nil)
	check(err)
	fmt.Println(report.Versions, "versions freed, space reclaimed:", report.Compacted)
	desc, err := bucket.Describe(ctx, []byte("star"))
	check(err)
	fmt.Printf("versions %d to %d are left\n", desc.Oldest, desc.Versions)
	// Output:
	// looked at 1 keys: would free 0 versions, 0 bytes: 0 keys trimmed, 0 removed
	// 15 versions freed, space reclaimed: true
	// versions 16 to 20 are left
}
