package crashtest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/internal/faultfs"
)

// State is what one crash left, and what had been acknowledged by then.
type State struct {
	// Number counts the states of a recording.
	Number int
	// Sync is the sync point at which the machine crashed, before it took effect; 0 for the end of the
	// run. Op and Path say what was being synced.
	Sync int
	Op   faultfs.Op
	Path string
	// Image is what is left.
	Image *faultfs.Image
	// Acks is what had been acknowledged.
	Acks Acks

	witness int64 // how much of the witness was written
	again   bool  // it crashed before: see RecordOptions.Before
}

// Killed reports whether the process died and the machine did not: nothing acknowledged may be missing
// then, synced or not.
func (s *State) Killed() bool {
	loss := s.Image.Loss()
	return !s.again && loss.Data == faultfs.DataKept && loss.Dirs == faultfs.DirsKept
}

// String says where and how it crashed.
func (s *State) String() string {
	where := "at the end"
	if s.Sync > 0 {
		where = fmt.Sprintf("at sync point %d, %v of %s", s.Sync, s.Op, s.Path)
	}
	return fmt.Sprintf("state %d, crashed %s; %v", s.Number, where, s.Image)
}

// Recording is one run of a program and the states that crashes of it would have left.
type Recording struct {
	States []*State
	// Acks is what was acknowledged by the end.
	Acks   Acks
	Counts faultfs.Counts
	Took   time.Duration
}

// RecordOptions configures Record.
type RecordOptions struct {
	// Seed of the losses.
	Seed uint64
	// Every is how many sync points lie between two at which states are recorded, PerSync how many
	// states are recorded there, each with another kind of loss. Default 1.
	Every, PerSync int
	// Before is an earlier crash on whose remains the program is run; nil for an empty directory. The
	// program acknowledges nothing then: what was acknowledged before counts.
	Before *State
	// Timeout is how long the program may take. Default 3 minutes.
	Timeout time.Duration
}

func (o RecordOptions) withDefaults() RecordOptions {
	o.Every, o.PerSync = max(o.Every, 1), max(o.PerSync, 1)
	if o.Timeout == 0 {
		o.Timeout = 3 * time.Minute
	}
	return o
}

// errNotInTime says that a program did not end, and was killed.
var errNotInTime = errors.New("not done in time")

// endStates are the losses tried when the program is through.
const endStates = faultfs.Losses

// Record mounts a file system, runs the program that command returns for its directory, and records a
// state at every sync point. The program prints "done" when it is through and then waits to be killed.
// The test is skipped where FUSE is not available, and fails when the program does.
func Record(t testing.TB, o RecordOptions, command func(dir string) *exec.Cmd) *Recording {
	t.Helper()
	o = o.withDefaults()
	rec := &Recording{}
	add := func(s State, size int64) {
		s.Number, s.witness = len(rec.States), size
		rec.States = append(rec.States, &s)
	}
	var image *faultfs.Image
	if o.Before != nil {
		image = o.Before.Image
	}
	fs, dir := faultfs.MountTest(t, &faultfs.Options{Image: image, Observe: func(m *faultfs.Moment) {
		if m.Sync == 0 || m.Sync%o.Every != 0 {
			return
		}
		for range o.PerSync {
			n := len(rec.States)
			add(State{
				Sync: m.Sync, Op: m.Op, Path: m.Path, Image: m.Image(faultfs.LossOf(n, o.Seed+uint64(n))),
			}, m.FileSize(witnessName))
		}
	}})
	began := time.Now()
	if err := runUntilDone(command(dir), o.Timeout); err != nil {
		t.Fatalf("crashtest: the program under test: %v", err)
	}
	rec.Took = time.Since(began)
	rec.Counts = fs.Counts()
	var witness []byte
	if o.Before == nil {
		var err error
		if witness, err = fs.ReadFile(witnessName); err != nil {
			t.Fatalf("crashtest: the program left no witness: %v", err)
		}
	}
	for n := range endStates {
		add(State{Image: fs.Image(faultfs.LossOf(n, o.Seed))}, int64(len(witness)))
	}
	for _, s := range rec.States {
		if o.Before != nil {
			s.Acks, s.again = o.Before.Acks, !o.Before.Killed()
			continue
		}
		var err error
		if s.Acks, err = parseAcks(witness[:s.witness]); err != nil {
			t.Fatal(err)
		}
	}
	rec.Acks = rec.States[len(rec.States)-1].Acks
	if err := fs.Unmount(); err != nil {
		t.Fatal(err)
	}
	return rec
}

// runUntilDone runs a program until it says "done", and kills it.
func runUntilDone(cmd *exec.Cmd, timeout time.Duration) error {
	var errText strings.Builder
	cmd.Stderr = &errText
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	timer := time.AfterFunc(timeout, func() { _ = cmd.Process.Kill() })
	line, readErr := bufio.NewReader(out).ReadString('\n')
	inTime := timer.Stop()
	_ = cmd.Process.Kill() // it may have died already
	_, _ = io.Copy(io.Discard, out)
	waitErr := cmd.Wait()
	switch {
	case readErr == nil && strings.TrimSpace(line) == "done":
		return nil
	case !inTime:
		return fmt.Errorf("%w, %v: %s", errNotInTime, timeout, errText.String())
	default:
		return fmt.Errorf("%w\n%s%s", errors.Join(waitErr, readErr), line, errText.String())
	}
}

// Sample returns n of the states, evenly spread and the last one among them; all when n is larger.
func (r *Recording) Sample(n int) []*State {
	if n >= len(r.States) {
		return r.States
	}
	picked := make([]*State, 0, n)
	for k := range n {
		picked = append(picked, r.States[len(r.States)-1-k*len(r.States)/n])
	}
	slices.Reverse(picked)
	return picked
}
