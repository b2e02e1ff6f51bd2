package bench

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/shieldmaidens/pleiades/versioning"
)

// The levels are the first part of a workload's name.
const (
	levelEngine    = "engine"
	levelVersioned = "versioned"
	levelShards    = "shards"
)

// Workload is one kind of work that Run knows.
type Workload struct {
	// Name is what Spec.Workloads chooses by.
	Name string
	// About says in a few words what it does.
	About string
}

// about describes the workloads on any store.
var about = map[string]string{
	FillSeq:    "puts in key order, unsynced, one writer",
	ReadHit:    "reads of random keys that exist, one reader, store at rest",
	ReadMiss:   "reads of random keys that do not exist",
	Scan100:    "scans from a random key, values included",
	FillRandom: "puts of random keys, unsynced, one writer",
	Batch100:   "batches of random keys, unsynced, one writer",
	Sync1:      "synced puts of random keys, one writer",
	Sync64:     "synced puts of random keys, 64 writers",
	Sync256:    "synced puts of random keys, 256 writers",
}

// Workloads lists all workloads in the order in which they run.
func Workloads() []Workload {
	var all []Workload
	for _, level := range []string{levelEngine, levelVersioned} {
		for _, name := range StoreWorkloads() {
			all = append(all, Workload{level + "/" + name, about[name]})
		}
	}
	for _, depth := range depths {
		for _, rollover := range []versioning.Rollover{versioning.Relabel, versioning.Cascade} {
			all = append(all, Workload{
				levelVersioned + "/" + depthName(depth, rollover),
				fmt.Sprintf("puts to keys that have %d versions and keep no more", depth),
			})
		}
	}
	for _, n := range shardCounts {
		all = append(all, Workload{shardName(n), fmt.Sprintf("%d shards: create, open, memory, writes spread over them", n)})
	}
	return all
}

func shardName(n int) string { return fmt.Sprintf("%s/%d", levelShards, n) }

// selectWorkloads resolves names and patterns; an empty list means all but the shards.
func selectWorkloads(patterns []string) ([]string, error) {
	for _, p := range patterns {
		matched := false
		for _, w := range Workloads() {
			ok, err := matchName(p, w.Name)
			if err != nil {
				return nil, fmt.Errorf("%w: pattern %q: %w", ErrSpec, p, err)
			}
			matched = matched || ok
		}
		if !matched {
			return nil, fmt.Errorf("%w: no workload matches %q", ErrSpec, p)
		}
	}
	var names []string
	for _, w := range Workloads() {
		wanted := len(patterns) == 0 && !strings.HasPrefix(w.Name, levelShards+"/")
		for _, p := range patterns {
			ok, _ := matchName(p, w.Name)
			wanted = wanted || ok
		}
		if wanted {
			names = append(names, w.Name)
		}
	}
	return names, nil
}

// matchName matches a pattern of path.Match; a level alone stands for all of its workloads.
func matchName(pattern, name string) (bool, error) {
	if strings.HasPrefix(name, pattern+"/") {
		return true, nil
	}
	return path.Match(pattern, name)
}

// Run measures what spec asks for and returns the report. note may be nil; it is called from Run's own
// goroutine, several times a second. Nothing is left on disk. When ctx ends Run stops within a second
// or two and returns ctx's error together with what was measured until then.
//
// Errors: ErrSpec, ErrWrongAnswer, ErrNoOperations, and what the engine and the file system return.
func Run(ctx context.Context, spec Spec, note func(Progress)) (Report, error) {
	spec, err := spec.withDefaults()
	if err != nil {
		return Report{}, err
	}
	names, err := selectWorkloads(spec.Workloads)
	if err != nil {
		return Report{}, err
	}
	report := Report{Machine: ReadMachine(spec.Dir), Started: time.Now()}
	steps := newSteps(names, note)
	err = runLevels(ctx, &spec, names, steps, &report)
	report.Elapsed = time.Since(report.Started)
	return report, err
}

func runLevels(ctx context.Context, spec *Spec, names []string, s *steps, report *Report) error {
	levels := []struct {
		name string
		open Opener
	}{{levelEngine, OpenEngine}, {levelVersioned, OpenVersioned}}
	for _, level := range levels {
		r := storeRun{spec: spec, open: level.open, names: under(names, level.name), values: newValues(spec.Seed, spec.ValueBytes)}
		r.note = s.at(level.name)
		err := r.all(ctx)
		for _, res := range r.results {
			res.Workload = level.name + "/" + res.Workload
			report.Results = append(report.Results, res)
		}
		if err != nil {
			return err
		}
	}
	var counts []int
	for _, n := range shardCounts {
		if slices.Contains(names, shardName(n)) {
			counts = append(counts, n)
		}
	}
	if len(counts) == 0 {
		return nil
	}
	r := storeRun{spec: spec, values: newValues(spec.Seed, spec.ValueBytes), note: s.at("")}
	var err error
	report.Shards, err = r.shardsRun(ctx, counts)
	return err
}

// under returns the names below a level, without it.
func under(names []string, level string) []string {
	var below []string
	for _, n := range names {
		if rest, ok := strings.CutPrefix(n, level+"/"); ok {
			below = append(below, rest)
		}
	}
	return below
}

// steps adds to each progress which of how many workloads it is about.
type steps struct {
	names []string
	note  func(Progress)
	step  int
}

func newSteps(names []string, note func(Progress)) *steps { return &steps{names: names, note: note} }

// at returns the function that takes the progress of one level; nil when nobody listens.
func (s *steps) at(level string) func(Progress) {
	if s.note == nil {
		return nil
	}
	return func(p Progress) {
		name := path.Join(level, p.Workload)
		for i, n := range s.names {
			if n == name || strings.HasPrefix(name, n+"/") || strings.HasPrefix(name, n+":") {
				s.step = i + 1
			}
		}
		p.Workload, p.Step, p.Steps = name, max(s.step, 1), len(s.names)
		s.note(p)
	}
}
