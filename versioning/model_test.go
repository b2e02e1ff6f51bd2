package versioning_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/shieldmaidens/pleiades/internal/storemodel"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/versioning"
)

// modelSequence runs one sequence of operations on the buckets 3i+1, 3i+2 and 3i+3: one that only
// relabels and one that only cascades, with the same operations, and one that does anything.
func modelSequence(t *testing.T, r *rig, i uint64, seed uint64) {
	names := []string{"a", "\x00", "a\xff"}
	steps, deep := 12, false
	{
		rng := rand.New(rand.NewPCG(seed, 99))
		steps += rng.IntN(24)
		deep = rng.IntN(40) == 0
	}
	twins := [][]versioning.Rollover{{versioning.Relabel}, {versioning.Cascade}, {versioning.Relabel, versioning.Cascade, versioning.Refuse}}
	limits := storemodel.Limits()
	runs := make([]*storemodel.Driver, len(twins))
	for n, kinds := range twins {
		stream := uint64(1)
		if n == 2 {
			stream = 2
		}
		runs[n] = &storemodel.Driver{
			TB: t, Choices: rand.New(rand.NewPCG(seed, stream)), Store: func() *versioning.Store { return r.store }, Wall: r.wall,
			ID: keys.BucketID(3*i + uint64(n) + 1), Model: storemodel.NewBucket(), Rollovers: kinds, Names: names,
		}
		set := func(maxVersions int) {
			runs[n].Do(storemodel.Op{Kind: versioning.OpSetSettings, Settings: versioning.Settings{MaxVersions: maxVersions, Rollover: kinds[0]}})
		}
		set(limits[int(seed)%len(limits)])
		if deep {
			set(255)
			runs[n].Burst(240 + int(seed%30))
		}
	}
	other := rand.New(rand.NewPCG(seed, 3))
	for range steps {
		wall := r.wall.Now()
		runs[0].Step()
		moved := r.wall.Now().Sub(wall)
		r.wall.Step(-moved) // the twin sees the same time
		runs[1].Step()
		runs[2].Step()
		if other.IntN(600) == 0 {
			r.opts = &versioning.Options{Cache: mustCache(t, []int64{32 << 10, 1 << 20}[other.IntN(2)])}
			r.reopen()
		}
	}
	for _, x := range runs {
		for _, name := range names {
			x.VerifyKey(name)
		}
		x.VerifyScan()
	}
	sameAnswers(t, runs[0], runs[1])
}

// sameAnswers compares two buckets that got the same operations under different settings.
func sameAnswers(t *testing.T, a, b *storemodel.Driver) {
	t.Helper()
	for _, name := range a.Names {
		if da, db := answers(a, name), answers(b, name); da != db {
			t.Fatalf("key %q: %v and %v differ:\n%s\n%s", name, a.Rollovers, b.Rollovers, da, db)
		}
	}
}

// answers prints what can be read of a key, without what differs between buckets by design.
func answers(x *storemodel.Driver, name string) string {
	var out strings.Builder
	ctx, b, key := context.Background(), x.Bucket(), []byte(name)
	d, err := b.Describe(ctx, key)
	fmt.Fprintln(&out, d.Versions, d.Oldest, d.Deleted, d.Vacuumable, d.LatestBytes, d.WrittenBytes, d.ExpireAt, errors.Is(err, versioning.ErrNotFound))
	for n := 1; n <= versioning.MaxVersions; n++ {
		v, err := b.GetVersion(ctx, key, n)
		fmt.Fprintln(&out, n, v.Version, v.Size, v.Tombstone, v.ExpireAt, v.Checksum, errors.Is(err, versioning.ErrNotFound), errors.Is(err, versioning.ErrHistoryTruncated))
	}
	return out.String()
}

func mustCache(tb testing.TB, bytes int64) *versioning.Cache {
	tb.Helper()
	c, err := versioning.NewCache(bytes)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// TestModel drives the store with random sequences of operations and compares every answer with a
// slice of values. PLEIADES_MODEL_SEQUENCES says how many (default 300), PLEIADES_MODEL_SEED with
// which the first one starts; a failure names its own.
func TestModel(t *testing.T) {
	sequences := uint64(envInt(t, "PLEIADES_MODEL_SEQUENCES", 300))
	seed := uint64(envInt(t, "PLEIADES_MODEL_SEED", 1))
	const perEngine = 250
	for from := uint64(0); from < sequences; from += perEngine {
		r := newRig(t, nil)
		for i := from; i < min(from+perEngine, sequences); i++ {
			ok := t.Run(fmt.Sprintf("seed=%d", seed+i), func(t *testing.T) {
				r.tb = t
				modelSequence(t, r, i-from, seed+i)
			})
			r.tb = t
			if !ok {
				t.Fatalf("PLEIADES_MODEL_SEED=%d PLEIADES_MODEL_SEQUENCES=1 repeats it", seed+i)
			}
		}
		r.check()
		r.close()
	}
}

func envInt(tb testing.TB, name string, def int) int {
	tb.Helper()
	text := os.Getenv(name)
	if text == "" {
		return def
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		tb.Fatalf("%s is %q, must be a number above 0", name, text)
	}
	return n
}
