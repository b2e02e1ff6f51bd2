package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shieldmaidens/pleiades/bench"
	"github.com/shieldmaidens/pleiades/engine"
)

// plan is what the run command was asked for.
type plan struct {
	dir, out   string
	rounds     int
	systems    []system
	workloads  []string
	spec       bench.Spec
	gomaxprocs int // 0: look for each system's best
	countSyncs bool
}

// runner measures systems in child processes.
type runner struct {
	plan
	options string
	self    string
	log     io.Writer
	began   time.Time
}

// run measures everything and returns the outcome. What was measured before an error or the end of ctx
// is returned with it.
func (p plan) run(ctx context.Context, log io.Writer) (*outcome, error) {
	dir, err := os.MkdirTemp(p.dir, "pleiades-peers-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	r := &runner{plan: p, log: log, began: time.Now()}
	r.spec.Dir = dir
	if r.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if r.options, err = writeOptions(dir); err != nil {
		return nil, err
	}
	o := newOutcome(bench.ReadMachine(p.dir), &r.plan)
	if err := lookForDBBench(); err != nil {
		r.drop("db_bench", err, o)
	}
	for i := range r.systems {
		s := &r.systems[i]
		n := p.gomaxprocs
		if s.goRuntime && n == 0 {
			if n, err = r.bestProcs(ctx, s); err != nil {
				return o, err
			}
		}
		o.Procs[s.name] = n
	}
	for round := range p.rounds {
		for i := range r.systems {
			s := &r.systems[i]
			results, err := r.child(ctx, s, s.wanted(p.workloads), o.Procs[s.name], nil)
			if err != nil {
				return o, err
			}
			o.add(s.name, round, results)
			r.note("round %d of %d: %s", round+1, p.rounds, s.name)
		}
	}
	if p.countSyncs {
		if err := r.countAllSyncs(ctx, o); err != nil {
			o.Notes = append(o.Notes, "syncs were not counted: "+err.Error())
		}
	}
	o.ElapsedSeconds = time.Since(r.began).Seconds()
	return o, ctx.Err()
}

func (r *runner) note(format string, args ...any) {
	fmt.Fprintf(r.log, "%4d s  %s\n", int(time.Since(r.began).Seconds()), fmt.Sprintf(format, args...))
}

// drop leaves a system out and says so in the outcome.
func (r *runner) drop(name string, why error, o *outcome) {
	had := len(r.systems)
	r.systems = slices.DeleteFunc(r.systems, func(s system) bool { return s.name == name })
	o.Systems = slices.DeleteFunc(o.Systems, func(s string) bool { return s == name })
	if len(r.systems) < had {
		o.Notes = append(o.Notes, name+" was left out: "+why.Error())
		r.note("%s is left out: %v", name, why)
	}
}

// child runs one system in a process of its own.
func (r *runner) child(ctx context.Context, s *system, workloads []string, procs int, change func(run *childRun, cmd *exec.Cmd)) ([]bench.Result, error) {
	run := childRun{System: s.name, Workloads: workloads, Options: r.options, Spec: r.spec}
	cmd := exec.CommandContext(ctx, r.self, "child")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	if procs > 0 {
		cmd.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(procs))
	}
	if change != nil {
		change(&run, cmd)
	}
	task, err := json.Marshal(run)
	if err != nil {
		return nil, err
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(task), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("%s: %w: %s", s.name, err, lastLines(stderr.String(), 5))
	}
	var report childReport
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil {
		return nil, fmt.Errorf("%s: read its answer: %w", s.name, err)
	}
	return report.Results, nil
}

// probeWorkloads stand for the others when a system's GOMAXPROCS is chosen.
var probeWorkloads = []string{bench.Sync64, bench.FillRandom, bench.ReadHit}

// probeProcs are the values that are tried: more than there are cores can help where goroutines block
// in system calls or in C.
var probeProcs = []int{2, 4, 8}

// bestProcs returns the GOMAXPROCS with the highest product of speeds.
func (r *runner) bestProcs(ctx context.Context, s *system) (int, error) {
	best, bestScore := 0, 0.0
	var tried []string
	for _, procs := range probeProcs {
		short := func(run *childRun, _ *exec.Cmd) {
			run.Spec.Keys = min(run.Spec.Keys, 50_000)
			run.Spec.Duration, run.Spec.Warmup, run.Spec.FillLimit = 500*time.Millisecond, 100*time.Millisecond, 500*time.Millisecond
		}
		results, err := r.child(ctx, s, probeWorkloads, procs, short)
		if err != nil {
			return 0, err
		}
		score := 1.0
		var speeds []string
		for _, res := range results {
			score *= res.OpsPerSecond
			speeds = append(speeds, res.Workload+" "+bench.Count(res.OpsPerSecond))
		}
		tried = append(tried, fmt.Sprintf("%d (%s)", procs, strings.Join(speeds, ", ")))
		if score > bestScore {
			best, bestScore = procs, score
		}
	}
	r.note("GOMAXPROCS of %s: %d of %s", s.name, best, strings.Join(tried, "; "))
	return best, nil
}

// lookForDBBench says why RocksDB's own tool cannot be part of this run.
func lookForDBBench() error {
	if !engine.Library().Asserts {
		return errors.New("Debian's tool runs on Debian's library only; compare with the loops in C++")
	}
	if _, err := exec.LookPath("db_bench"); err != nil {
		return errors.New("it is not installed (Debian: apt-get install rocksdb-tools)")
	}
	return nil
}
