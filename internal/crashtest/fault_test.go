package crashtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"syscall"
	"testing"

	"github.com/shieldmaidens/pleiades/internal/faultfs"
)

// randomRule makes some operation on some file fail, once or from then on.
func randomRule(rng *rand.Rand) faultfs.Rule {
	kinds := []struct {
		ops   faultfs.Op
		path  string
		after int
	}{
		{faultfs.OpWrite, "*.log", 300},
		{faultfs.OpAnySync, "*.log", 150},
		{faultfs.OpCreate, "*.log", 5},
		{faultfs.OpWrite, "*.sst", 60},
		{faultfs.OpAnySync, "*.sst", 20},
		{faultfs.OpCreate, "*.sst", 20},
		{faultfs.OpRead, "*.sst", 60},
		{faultfs.OpOpen, "*.sst", 40},
		{faultfs.OpLink, "*.sst", 10},
		{faultfs.OpUnlink, "*.sst", 10},
		{faultfs.OpWrite, "MANIFEST-*", 40},
		{faultfs.OpAnySync, "MANIFEST-*", 40},
		{faultfs.OpAnySync, "CURRENT*", 2},
		{faultfs.OpWrite | faultfs.OpCreate, "OPTIONS-*", 30},
		{faultfs.OpRename, "OPTIONS-*", 10},
		{faultfs.OpWrite, "LOG", 5},
		{faultfs.OpDirSync, "", 40},
		{faultfs.OpRename, "", 10},
		{faultfs.OpMkdir, "", 5},
		{faultfs.OpWrite, "PLEIADES.synced", 100},
		{faultfs.OpWrite, "", 500},
		{faultfs.OpAnySync, "", 300},
		{faultfs.OpAllocate | faultfs.OpTruncate, "", 50},
		{faultfs.OpReadDir, "", 5},
	}
	k := kinds[rng.IntN(len(kinds))]
	r := faultfs.Rule{Ops: k.ops, Path: k.path, After: rng.IntN(k.after), Times: rng.IntN(2), Err: syscall.EIO}
	if rng.IntN(3) == 0 && k.ops&(faultfs.OpRead|faultfs.OpOpen|faultfs.OpReadDir) == 0 {
		r.Err = syscall.ENOSPC
	}
	return r
}

// TestFaults lets operations of the disk fail under the programs, one kind a run. A program may end with
// an error, or never meet the fault; it may not die, and what it was told must hold.
func TestFaults(t *testing.T) {
	faultfs.Require(t)
	const ops = 80
	runs := max(12, *statesFlag/14)
	seed := seed(t)
	rng := rand.New(rand.NewPCG(seed, 2))
	fired, stopped := 0, 0
	var tally Tally
	for n := range runs {
		w, rule := workloads[n%len(workloads)], randomRule(rng)
		run := seed + uint64(n)
		ok := t.Run(fmt.Sprintf("%d-%s", n, w.name), func(t *testing.T) {
			fs, dir := faultfs.MountTest(t, nil)
			fault := fs.Inject(rule)
			err := runUntilDone(child(w.name, run, ops)(dir), RecordOptions{}.withDefaults().Timeout)
			var exit *exec.ExitError
			if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != 1) {
				t.Fatalf("%v, fired %d times: the program ended with %v", fault, fault.Fired(), err)
			}
			if fault.Fired() > 0 {
				fired++
			}
			if err != nil {
				stopped++
			}
			witness, rerr := fs.ReadFile(witnessName)
			if rerr != nil {
				t.Skipf("%v: nothing was begun", fault)
			}
			acks, rerr := parseAcks(witness)
			if rerr != nil {
				t.Fatal(rerr)
			}
			var states []*State
			for i, loss := range []faultfs.Loss{faultfs.KillLoss, {}} {
				states = append(states, &State{Number: 4*n + i, Image: fs.Image(loss), Acks: acks})
			}
			tally.Add(Verify(t, states, w.check(run).check))
			if t.Failed() {
				t.Logf("%v, fired %d times; the program ended with %v", fault, fault.Fired(), err)
			}
		})
		if !ok {
			t.Logf("run %d had seed %d and the rule %v", n, run, rule)
		}
	}
	t.Logf("%d runs, %d met their fault, %d ended by it; %+v", runs, fired, stopped, tally)
	if fired < runs/4 || stopped == 0 || tally.States < runs {
		t.Error("too little went wrong to have proved anything")
	}
}
