package crashtest

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/shieldmaidens/pleiades/internal/faultfs"
)

// workload is a program and what verifies the states that it crashes into.
type workload struct {
	name string
	// ops is how many operations each writer does.
	ops int
	// points is about how many sync points that makes.
	points int
	// synced is how many synced operations a run must have acknowledged at least.
	synced int
	// percent is this workload's share of the states.
	percent int
	check   func(seed uint64) checker
}

// checker verifies one state, and counts the synced operations that were acknowledged.
type checker interface {
	check(dir string, s *State) error
	synced(acks Acks) int
}

var workloads = []workload{
	{name: "engine", ops: 720, points: 4500, synced: 2000, percent: 50, check: func(seed uint64) checker { return engineCheck{seed, false} }},
	{name: "unsynced", ops: 400, points: 3000, synced: 50, percent: 15, check: func(seed uint64) checker { return engineCheck{seed, true} }},
	{name: "versioned", ops: 400, points: 1350, synced: 1000, percent: 35, check: func(seed uint64) checker { return versionedCheck{seed} }},
}

// statesPerRound bounds the states that are kept in memory at a time.
const statesPerRound = 3000

// TestCrash crashes each workload at its sync points, with every kind of loss, and verifies what is
// left. It fails also when it verified fewer states than planned, or states without any loss.
func TestCrash(t *testing.T) {
	faultfs.Require(t)
	for _, w := range workloads {
		t.Run(w.name, func(t *testing.T) {
			target := max(1, *statesFlag*w.percent/100)
			seed := seed(t)
			var tally Tally
			for round := uint64(0); tally.States < target && round < uint64(target/100+5) && !t.Failed(); round++ {
				tally.Add(w.round(t, seed+round, min(target-tally.States, statesPerRound)))
			}
			t.Logf("%d of %d planned states verified: %+v", tally.States, target, tally)
			if tally.States < target {
				t.Errorf("verified %d states, planned were %d", tally.States, target)
			}
			if target >= 2*faultfs.Losses && (tally.Lossy < target/2 || tally.Killed == 0 || tally.LostWrites == 0 || tally.LostNames == 0) {
				t.Error("the crashes took too little to have proved anything")
			}
		})
	}
}

// round runs the program once and verifies want of its states, if it has as many.
func (w workload) round(t *testing.T, seed uint64, want int) Tally {
	t.Helper()
	want += want/20 + 1 // some may be refused
	o := RecordOptions{Seed: seed, Every: w.points / want * 2 / 3, PerSync: (want + w.points - 1) / w.points}
	rec := Record(t, o, child(w.name, seed, w.ops))
	c := w.check(seed)
	synced := c.synced(rec.Acks)
	t.Logf("seed %d: %d synced operations, %d sync points, %d states recorded in %v", seed, synced, rec.Counts.SyncPoints(), len(rec.States), rec.Took)
	if synced < w.synced {
		t.Errorf("%d synced operations were acknowledged, planned were %d", synced, w.synced)
	}
	return Verify(t, rec.Sample(want), c.check)
}

// TestCrashInRecovery crashes the program again while it recovers from a crash.
func TestCrashInRecovery(t *testing.T) {
	faultfs.Require(t)
	const crashes, ops = 6, 60
	seed := seed(t)
	for _, w := range workloads {
		t.Run(w.name, func(t *testing.T) {
			rec := Record(t, RecordOptions{Seed: seed}, child(w.name, seed, ops))
			c := w.check(seed)
			var tally Tally
			for i, before := range rec.Sample(crashes) {
				if before.Image.Loss().Zeros() {
					continue // the store may rightly refuse to open
				}
				again := Record(t, RecordOptions{Seed: seed + uint64(i), Before: before}, child("reopen", seed, 0))
				tally.Add(Verify(t, again.Sample(30), c.check))
			}
			t.Logf("%+v", tally)
			if tally.States < 30 {
				t.Errorf("verified %d states, planned were 30", tally.States)
			}
		})
	}
}

// reopenChild opens the store, and with it recovers it, and closes it.
func reopenChild(dir string, _ uint64, _ int) error {
	v, err := openVersioned(context.Background(), filepath.Join(dir, "store"))
	if err != nil {
		return err
	}
	return v.close()
}

// TestCrashForReal lets the file system die under the program, where the other tests only look at what
// it would leave: from the chosen sync on everything fails. The program must notice, acknowledge
// nothing any more, and end with an error.
func TestCrashForReal(t *testing.T) {
	faultfs.Require(t)
	const ops = 250
	seed := seed(t)
	for _, w := range workloads {
		t.Run(w.name, func(t *testing.T) {
			c := w.check(seed)
			for n, point := range []int{3, 40, 111, 200, 311} {
				fs, dir := faultfs.MountTest(t, nil)
				fs.CrashAtSync(point)
				err := runUntilDone(child(w.name, seed, ops)(dir), RecordOptions{}.withDefaults().Timeout)
				if err == nil || errors.Is(err, errNotInTime) {
					t.Fatalf("the program on a disk that died at sync point %d ended with %v", point, err)
				}
				<-fs.Crashed()
				witness, err := fs.ReadFile(witnessName)
				if err != nil {
					t.Fatal(err)
				}
				acks, err := parseAcks(witness)
				if err != nil {
					t.Fatal(err)
				}
				s := &State{Number: n, Sync: point, Image: fs.Image(faultfs.LossOf(n, seed)), Acks: acks}
				if tally := Verify(t, []*State{s}, c.check); tally.States+tally.Refused != 1 {
					t.Fatalf("%+v", tally)
				}
			}
		})
	}
}
