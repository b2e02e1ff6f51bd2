package versioning

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
)

// TestAnApplierIsUsedAgain: one applier that goes from batch to batch does what a new one for each does, also behind batches
// that were not committed and operations that were taken back.
func TestAnApplierIsUsedAgain(t *testing.T) {
	one, _ := openInternal(t)
	other, _ := openInternal(t)
	rng := rand.New(rand.NewPCG(22, 1))
	kept := one.NewApplier(nil)
	ts := hlc.Timestamp{WallNanos: 1e18}
	for round := range 300 {
		n, discard := 1+rng.IntN(12), rng.IntN(8) == 0
		lone := n == 1
		ops, rollback := make([]Op, n), make([]bool, n)
		for i := range ops {
			kind := []OpKind{OpPut, OpPut, OpPut, OpDelete, OpPurge}[rng.IntN(5)]
			ops[i] = Op{Kind: kind, Bucket: 1, Key: fmt.Appendf(nil, "key %d", rng.IntN(10))}
			if kind == OpPut {
				ops[i].Value = make([]byte, rng.IntN(1500))
			}
			rollback[i] = rng.IntN(6) == 0
		}
		do := func(s *Store, a *Applier, batch *engine.Batch) (out string) {
			if !lone && round%2 == 0 {
				if err := a.Prefetch(ops); err != nil {
					t.Fatal(err)
				}
			}
			for i := range ops {
				a.Savepoint()
				res, err := a.Apply(&ops[i], hlc.Timestamp{WallNanos: ts.WallNanos + int64(i)})
				if err != nil && !errors.Is(err, base.ErrNotFound) {
					t.Fatal(err)
				}
				out += fmt.Sprintln(res.Version, res.Revision, res.Dropped, err)
				if rollback[i] {
					a.Rollback()
				}
			}
			if discard {
				a.Discard()
				return out
			}
			if err := s.eng.Commit(t.Context(), batch, engine.NoSync); err != nil {
				t.Fatal(err)
			}
			a.Committed()
			return out
		}
		b1, b2 := one.eng.NewBatch(), other.eng.NewBatch()
		kept.Reset(b1, lone)
		got, want := do(one, kept, b1), do(other, other.NewApplier(b2), b2)
		b1.Close()
		b2.Close()
		if got != want {
			t.Fatalf("round %d:\n%s\nwith a new applier:\n%s", round, got, want)
		}
		ts.WallNanos += 1000
	}
	if got, want := allRows(t, one), allRows(t, other); got != want {
		t.Fatal("the stores differ")
	}
}

// allRows returns all records of a store's shard as text.
func allRows(t *testing.T, s *Store) (out string) {
	t.Helper()
	it, err := s.shard.NewIterator(nil)
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		out += fmt.Sprintf("%x = %x\n", it.Key(), it.Value())
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return out
}
