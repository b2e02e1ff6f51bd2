package versioning_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/versioning"
)

// dump returns every record of a shard, byte for byte.
func dump(tb testing.TB, shard *engine.Shard) []string {
	tb.Helper()
	it, err := shard.NewIterator(nil)
	if err != nil {
		tb.Fatal(err)
	}
	var out []string
	for ok := it.First(); ok; ok = it.Next() {
		out = append(out, fmt.Sprintf("%x=%x", it.Key(), it.Value()))
	}
	if err := it.Close(); err != nil {
		tb.Fatal(err)
	}
	return out
}

// replica applies operations with timestamps from outside, as a replicated state machine does.
type replica struct {
	t     *testing.T
	r     *rig
	store *versioning.Store
}

func newReplica(t *testing.T, r *rig, id engine.ShardID, cacheBytes int64) *replica {
	t.Helper()
	shard, err := r.eng.CreateShard(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	store, err := versioning.Open(shard, r.clock, &versioning.Options{Cache: mustCache(t, cacheBytes)})
	if err != nil {
		t.Fatal(err)
	}
	return &replica{t: t, r: r, store: store}
}

type stampedOp struct {
	op versioning.Op
	ts hlc.Timestamp
}

// apply applies ops in one engine batch and returns the outcome of each.
func (x *replica) apply(ops []stampedOp, prefetch bool) []string {
	x.t.Helper()
	batch := x.r.eng.NewBatch()
	defer batch.Close()
	a := x.store.NewApplier(batch)
	if prefetch {
		var plain []versioning.Op
		for _, o := range ops {
			plain = append(plain, o.op)
		}
		if err := a.Prefetch(plain); err != nil {
			x.t.Fatal(err)
		}
	}
	var out []string
	for _, o := range ops {
		res, err := a.Apply(&o.op, o.ts)
		res.Reads = 0 // depends on caches and batching, by design
		out = append(out, fmt.Sprintf("%+v %s", res, strings.ReplaceAll(fmt.Sprint(err), x.store.Shard().ID().String(), "S")))
	}
	if a.Err() != nil {
		x.t.Fatal(a.Err())
	}
	if err := x.r.eng.Commit(context.Background(), batch, engine.NoSync); err != nil {
		x.t.Fatal(err)
	}
	a.Committed()
	return out
}

func randomStamped(rng *rand.Rand, n int) []stampedOp {
	names := [][]byte{[]byte("a"), []byte("b"), {0}, {0xFF}, []byte("other")}
	limits := []int{1, 2, 3, 7, 30, 255}
	ops := make([]stampedOp, n)
	ts := hlc.Timestamp{WallNanos: start.UnixNano()}
	for i := range ops {
		ts.WallNanos += int64(rng.IntN(3)) * 1000
		ts = ts.Next()
		op := versioning.Op{Kind: versioning.OpPut, Bucket: keys.BucketID(1 + rng.IntN(2)), Key: names[rng.IntN(len(names))]}
		switch p := rng.IntN(40); {
		case p < 28:
			op.Value = fmt.Appendf(nil, "%d", i)
			op.IfAbsent = rng.IntN(10) == 0
			if rng.IntN(6) == 0 {
				op.ExpiresWallNanos = ts.WallNanos + int64(rng.IntN(8000))
			}
		case p < 32:
			op.Kind = versioning.OpDelete
		case p < 33:
			op.Kind = versioning.OpPurge
		case p < 35:
			op.Kind, op.Vacuumable = versioning.OpSetVacuumable, new(rng.IntN(2) == 0)
		case p < 38:
			op.Kind, op.Oldest = versioning.OpDropVersions, 1+rng.IntN(40)
		default:
			op.Kind, op.Key = versioning.OpSetSettings, nil
			op.Settings = versioning.Settings{MaxVersions: limits[rng.IntN(len(limits))], Rollover: versioning.Rollover(1 + rng.IntN(3))}
		}
		if op.Kind != versioning.OpSetSettings && rng.IntN(30) == 0 {
			op.IfRevision = new(hlc.Timestamp)
		}
		ops[i] = stampedOp{op, ts}
	}
	return ops
}

// TestReplicasAreIdentical applies the same operations one by one, and in batches of random sizes
// with and without prefetching and with tiny caches: every answer and every byte must be the same.
func TestReplicasAreIdentical(t *testing.T) {
	r := newRig(t, nil)
	id := engine.FirstUserShard
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 7))
		ops := randomStamped(rng, 600)
		one, many := newReplica(t, r, id+1, 1<<20), newReplica(t, r, id+2, 32<<10)
		id += 2
		var answersOne, answersMany []string
		for i := range ops {
			answersOne = append(answersOne, one.apply(ops[i:i+1], false)...)
		}
		for rest := ops; len(rest) > 0; {
			n := min(len(rest), 1+rng.IntN(60))
			answersMany = append(answersMany, many.apply(rest[:n], rng.IntN(2) == 0)...)
			rest = rest[n:]
		}
		for i := range ops {
			if answersOne[i] != answersMany[i] {
				t.Fatalf("seed %d, operation %d %+v:\none by one: %s\nin batches: %s", seed, i, ops[i].op, answersOne[i], answersMany[i])
			}
		}
		if a, b := dump(t, one.store.Shard()), dump(t, many.store.Shard()); !slices.Equal(a, b) {
			t.Fatalf("seed %d: the replicas differ:\n%s\n\n%s", seed, strings.Join(a, "\n"), strings.Join(b, "\n"))
		}
		for _, x := range []*replica{one, many} {
			report, err := versioning.Check(t.Context(), x.store.Shard(), nil)
			if err != nil || report.Found > 0 {
				t.Fatalf("seed %d: %+v, %v", seed, report, err)
			}
			if err := r.eng.DropShard(t.Context(), x.store.Shard().ID()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A timestamp from outside that is not above the key's revision gives way to the next one above it.
func TestApplierMakesTimestampsGrow(t *testing.T) {
	r := newRig(t, nil)
	x := newReplica(t, r, engine.FirstUserShard+1, 1<<20)
	batch := r.eng.NewBatch()
	defer batch.Close()
	a := x.store.NewApplier(batch)
	ts := hlc.FromTime(start)
	put := versioning.Op{Kind: versioning.OpPut, Bucket: 1, Key: []byte("k"), Value: []byte("v")}
	purge := versioning.Op{Kind: versioning.OpPurge, Bucket: 1, Key: []byte("k")}
	for i, op := range []*versioning.Op{&put, &put, &purge, &put} {
		res, err := a.Apply(op, ts)
		if want := (hlc.Timestamp{WallNanos: ts.WallNanos, Logical: uint32(i)}); err != nil || res.Revision != want {
			t.Fatalf("operation %d: %+v, %v; want revision %s", i, res, err, want)
		}
	}
	if want := (hlc.Timestamp{WallNanos: ts.WallNanos, Logical: 3}); a.Highest() != want {
		t.Fatalf("highest %s, want %s", a.Highest(), want)
	}
	a.Discard()
}

// TestRevisionsStayAboveOnesFromElsewhere: a record whose revision is ahead of this node's clock
// (from a peer, or from before the wall clock was set back) pushes the clock, so that not even a purge
// makes revisions repeat; one too far ahead is refused.
func TestRevisionsStayAboveOnesFromElsewhere(t *testing.T) {
	r := newRig(t, nil)
	ctx, b := t.Context(), r.bucket(1)
	ahead := func(key string, d time.Duration) hlc.Timestamp {
		t.Helper()
		batch := r.eng.NewBatch()
		defer batch.Close()
		a := r.store.NewApplier(batch)
		op := versioning.Op{Kind: versioning.OpPut, Bucket: 1, Key: []byte(key), Value: []byte("from elsewhere")}
		res, err := a.Apply(&op, hlc.FromTime(start.Add(d)))
		if err != nil {
			t.Fatal(err)
		}
		if err := r.eng.Commit(ctx, batch, engine.Sync); err != nil {
			t.Fatal(err)
		}
		a.Committed()
		return res.Revision
	}
	last := ahead("near", 300*time.Millisecond)
	for i, write := range []func() (versioning.WriteResult, error){
		func() (versioning.WriteResult, error) { return b.Put(ctx, []byte("near"), nil, nil) },
		func() (versioning.WriteResult, error) { return b.Purge(ctx, []byte("near"), nil) },
		func() (versioning.WriteResult, error) { return b.Put(ctx, []byte("near"), nil, nil) },
	} {
		res, err := write()
		if err != nil || !last.Less(res.Revision) {
			t.Fatalf("write %d: %+v, %v; want a revision above %s", i, res, err, last)
		}
		last = res.Revision
	}
	far := ahead("far", time.Hour)
	if _, err := b.Put(ctx, []byte("far"), nil, nil); !errors.Is(err, hlc.ErrClockOffset) {
		t.Fatalf("%v, want a clock offset error", err)
	}
	batch := r.store.NewBatch()
	if err := batch.Put(b, []byte("far"), nil, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := batch.Commit(ctx, nil); !errors.Is(err, hlc.ErrClockOffset) {
		t.Fatalf("%v, want a clock offset error", err)
	}
	if d, err := b.Describe(ctx, []byte("far")); err != nil || d.Revision != far {
		t.Fatalf("%+v, %v", d, err)
	}
}
