package versioning_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/versioning"
)

// TestUsageIsExact: the sum of what random operations say equals what a reading of the whole bucket finds, under every
// rollover, with operations taken back in between.
func TestUsageIsExact(t *testing.T) {
	for _, rollover := range []versioning.Rollover{versioning.Relabel, versioning.Cascade} {
		for _, most := range []int{1, 3, 255} {
			t.Run(fmt.Sprintf("%v/max=%d", rollover, most), func(t *testing.T) {
				r := newRig(t, &versioning.Options{Counted: true})
				bucket, err := r.store.Bucket(9)
				if err != nil {
					t.Fatal(err)
				}
				if err := bucket.SetSettings(t.Context(), versioning.Settings{MaxVersions: most, Rollover: rollover}); err != nil {
					t.Fatal(err)
				}
				rng := rand.New(rand.NewPCG(4, uint64(most)))
				var total versioning.Usage
				for range 40 {
					total = total.Add(randomBatch(t, r, rng))
				}
				found, err := bucket.CountUsage(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if found != total || found.Versions == 0 {
					t.Fatalf("found %+v, counted %+v", found, total)
				}
			})
		}
	}
}

// randomBatch applies operations on few keys, some of which it takes back, and commits the rest.
func randomBatch(t *testing.T, r *rig, rng *rand.Rand) (sum versioning.Usage) {
	t.Helper()
	batch := r.eng.NewBatch()
	defer batch.Close()
	a := r.store.NewApplier(batch)
	for range 1 + rng.IntN(12) {
		a.Savepoint()
		var delta versioning.Usage
		for range 1 + rng.IntN(3) {
			ts, err := r.clock.Now()
			if err != nil {
				t.Fatal(err)
			}
			op := versioning.Op{Kind: versioning.OpPut, Bucket: 9, Key: []byte{'a' + byte(rng.IntN(4))}}
			switch rng.IntN(10) {
			case 0:
				op.Kind = versioning.OpDelete
			case 1:
				op.Kind = versioning.OpPurge
			case 2:
				op.Kind, op.Oldest = versioning.OpDropVersions, 1+rng.IntN(5)
			default:
				op.Value = make([]byte, rng.IntN(40))
			}
			res, err := a.Apply(&op, ts)
			if err != nil && !errors.Is(err, versioning.ErrNotFound) {
				t.Fatal(err)
			}
			delta = delta.Add(res.Usage)
		}
		if rng.IntN(3) == 0 {
			a.Rollback()
			continue
		}
		sum = sum.Add(delta)
	}
	if err := r.eng.Commit(t.Context(), batch, engine.NoSync); err != nil {
		t.Fatal(err)
	}
	a.Committed()
	return sum
}

// TestWritesThatNobodyCountsRemoveTheMark, in the same batch, and counted ones leave it.
func TestWritesThatNobodyCountsRemoveTheMark(t *testing.T) {
	for _, counted := range []bool{true, false} {
		r := newRig(t, &versioning.Options{Counted: counted})
		shard := r.store.Shard()
		batch := r.eng.NewBatch()
		if err := batch.Put(shard, keys.AppendCountedMark(nil), nil); err != nil {
			t.Fatal(err)
		}
		if err := r.eng.Commit(t.Context(), batch, engine.NoSync); err != nil {
			t.Fatal(err)
		}
		batch.Close()
		bucket, err := r.store.Bucket(1)
		if err != nil {
			t.Fatal(err)
		}
		zero := hlc.Timestamp{WallNanos: 1}
		if _, err := bucket.Put(t.Context(), []byte("k"), []byte("v"), &versioning.PutOptions{IfRevision: &zero}); err == nil {
			t.Fatal("a put with an impossible condition went through")
		}
		if there, err := shard.Has(keys.AppendCountedMark(nil), nil); err != nil || !there {
			t.Fatalf("a refused write removed the mark: %v", err)
		}
		if _, err := bucket.Put(t.Context(), []byte("k"), []byte("v"), nil); err != nil {
			t.Fatal(err)
		}
		if there, err := shard.Has(keys.AppendCountedMark(nil), nil); err != nil || there != counted {
			t.Fatalf("counted %t: the mark is there: %t, %v", counted, there, err)
		}
	}
}

// TestIfVersionComparesTheLatestNumber.
func TestIfVersionComparesTheLatestNumber(t *testing.T) {
	r := newRig(t, nil)
	batch := r.eng.NewBatch()
	defer batch.Close()
	a := r.store.NewApplier(batch)
	defer a.Discard()
	put := func(ifVersion int) error {
		ts, err := r.clock.Now()
		if err != nil {
			t.Fatal(err)
		}
		_, err = a.Apply(&versioning.Op{Kind: versioning.OpPut, Bucket: 1, Key: []byte("k"), IfVersion: ifVersion}, ts)
		return err
	}
	for i, want := range []error{versioning.ErrRevisionMismatch, nil, nil, versioning.ErrRevisionMismatch, nil} {
		if err := put([]int{1, 0, 1, 1, 2}[i]); !errors.Is(err, want) {
			t.Fatalf("put %d: %v, want %v", i, err, want)
		}
	}
}
