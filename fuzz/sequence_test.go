package fuzz

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/internal/storemodel"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/vacuum"
	"github.com/shieldmaidens/pleiades/versioning"
)

// sequence is one input of FuzzSequence: a bucket, its model, and what may still be done that takes long.
type sequence struct {
	*storemodel.Driver
	rig      *rig
	reopens  int
	clones   int
	restores int
}

// The bounds of one input.
const (
	maxSteps   = 120
	maxReopens = 1
	maxClones  = 1
	// restores take a bucket of their own each.
	maxRestores = 2
)

// FuzzSequence does a sequence of operations on a store and on a plain model of it, and compares all answers: puts of every
// kind, deletes, purges, marks, drops, settings, batches, conditional writes, restores, time that passes, vacuums by any policy,
// reopenings, clones, dumps.
func FuzzSequence(f *testing.F) {
	addSeeds(f, 1, 12, 20, 40)
	r := newRig(f)
	f.Fuzz(func(t *testing.T, input []byte) {
		r.next(t)
		choices := storemodel.NewBytes(input)
		counted := choices.IntN(2) == 1
		if counted {
			r.openStore(&versioning.Options{Cache: smallCache(t), Counted: true})
		}
		x := &sequence{rig: r, reopens: maxReopens, clones: maxClones, restores: maxRestores, Driver: &storemodel.Driver{
			TB: t, Choices: choices, Reads: rand.New(rand.NewPCG(uint64(len(input)), 2)),
			Store: func() *versioning.Store { return r.store }, Wall: r.wall, ID: 1, Model: storemodel.NewBucket(),
			Counted: counted, Rollovers: []versioning.Rollover{versioning.Relabel, versioning.Cascade, versioning.Refuse},
			Names: []string{"a", "\x00", "a\xff"},
		}}
		for step := 0; step < maxSteps && choices.Len() > 0; step++ {
			x.step()
			if step%8 == 7 {
				x.VerifyKey(x.Names[step/8%len(x.Names)])
			}
		}
		x.verify()
		r.check(r.store.Shard())
	})
}

// verify compares everything.
func (x *sequence) verify() {
	x.TB.Helper()
	for _, name := range x.Names {
		x.VerifyKey(name)
	}
	x.VerifyScan()
	if u, err := x.Bucket().CountUsage(context.Background()); err != nil || u != x.Model.Usage() {
		x.Fatalf("the bucket holds %+v, %v; want %+v", u, err, x.Model.Usage())
	}
}

func (x *sequence) step() {
	x.TB.Helper()
	c := x.Choices
	switch p := c.IntN(64); {
	case p < 40:
		x.Do(x.Op(x.Model))
	case p < 46:
		x.Batch(1 + c.IntN(12))
	case p < 50:
		x.Apply(1 + c.IntN(12))
	case p < 54:
		x.rig.wall.Advance(time.Duration(c.IntN(1000)) * time.Millisecond)
	case p < 56:
		x.Burst(1 + c.IntN(40))
	case p < 60:
		x.vacuum()
	case p < 62:
		x.dumpAndRestore()
	case c.IntN(3) < 2: // the rest takes long
	case p == 62:
		x.reopen()
	default:
		x.clone()
	}
}

// vacuum removes what a policy does not keep.
func (x *sequence) vacuum() {
	x.TB.Helper()
	c := x.Choices
	p := vacuum.Policy{
		KeepNewest:    []int{0, 1, 2, 3, 7, 255}[c.IntN(6)],
		KeepNewerThan: []time.Duration{0, 0, time.Millisecond, time.Second, time.Hour}[c.IntN(5)],
	}
	what := c.IntN(8)
	p.Deleted, p.Expired = what&1 != 0, what&2 != 0
	p.AllKeys = what&4 != 0 && (p.KeepNewest > 0 || p.KeepNewerThan > 0)
	now, err := x.rig.clock.Now()
	if err != nil {
		x.Fatalf("%v", err)
	}
	report, err := vacuum.Run(context.Background(), x.Bucket(), p, &vacuum.Options{
		Now: now, BatchKeys: 1 + c.IntN(3), Compact: vacuum.CompactNever,
	})
	x.Logf("vacuum %+v at %s -> %v %v", p, now, report, err)
	if want := x.Model.Vacuum(p, now); err != nil || report.Versions != int64(want) || report.Skipped != 0 {
		x.Fatalf("vacuum %+v: %+v, %v; want %d versions", p, report, err, want)
	}
}

// dumpAndRestore dumps the bucket, restores the dump into an empty bucket, and dumps that one.
func (x *sequence) dumpAndRestore() {
	x.TB.Helper()
	if x.restores == 0 {
		return
	}
	x.restores--
	id := x.ID + keys.BucketID(maxRestores-x.restores)
	file := dumpOf(x.TB, x.Bucket())
	restored, refused, err := x.rig.restore(x.rig.bucket(id), file)
	x.Logf("dump of %d bytes, restored into bucket %d: %d versions, %v", len(file), id, restored, err)
	if err != nil || refused != 0 {
		x.Fatalf("restore: %d versions, %d refused, %v", restored, refused, err)
	}
	if again := dumpOf(x.TB, x.rig.bucket(id)); !sameDump(file, again) {
		x.Fatalf("the dump\n%x\nbecame\n%x", file, again)
	}
}

// reopen closes the engine and opens it again.
func (x *sequence) reopen() {
	x.TB.Helper()
	if x.reopens == 0 {
		return
	}
	x.reopens--
	x.Logf("reopen")
	x.rig.reopen()
	if x.Counted {
		x.rig.openStore(&versioning.Options{Counted: true})
	}
	x.verify()
}

// clone clones the shard; the clone answers like the original, and goes on to when the original changes.
func (x *sequence) clone() {
	x.TB.Helper()
	if x.clones == 0 {
		return
	}
	x.clones--
	x.Logf("clone")
	ctx, eng := context.Background(), x.rig.eng
	const id = engine.FirstUserShard + 1
	shard, err := eng.CloneShard(ctx, x.rig.store.Shard(), id)
	if err != nil {
		x.Fatalf("clone: %v", err)
	}
	store, err := versioning.Open(shard, x.rig.clock, &versioning.Options{Counted: x.Counted})
	if err != nil {
		x.Fatalf("%v", err)
	}
	kept := *x.Driver
	kept.Store, kept.Model = func() *versioning.Store { return store }, x.Model.Clone()
	x.Do(storemodel.Op{Kind: versioning.OpPut, Key: x.Names[0], Data: "only here"})
	twin := &sequence{Driver: &kept, rig: x.rig}
	twin.verify()
	twin.Do(storemodel.Op{Kind: versioning.OpPut, Key: x.Names[0], Data: "only there"})
	twin.verify()
	x.rig.check(shard)
	store.Close()
	if err := eng.DropShard(ctx, id); err != nil {
		x.Fatalf("drop the clone: %v", err)
	}
}
