package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/shieldmaidens/pleiades/bench"
)

// syncCount is how often the kernel was asked to sync during one workload.
type syncCount struct {
	System   string `json:"system"`
	Workload string `json:"workload"`
	Puts     int64  `json:"puts"`
	// Syncs counts fsync, fdatasync and msync; Opens the files opened so that every write syncs.
	Syncs int64 `json:"syncs"`
	Opens int64 `json:"sync_opens"`
}

// perPut is the syncs for each acknowledged put. A single writer's is at least 1 if the store keeps
// its word.
func (c syncCount) perPut() float64 { return float64(c.Syncs) / float64(max(c.Puts, 1)) }

// countAllSyncs runs synced workloads of every system once more under strace, which sees the system
// calls of all of them alike. It slows them down: only the counts are used.
func (r *runner) countAllSyncs(ctx context.Context, o *outcome) error {
	if _, err := exec.LookPath("strace"); err != nil {
		return errors.New("strace is not installed (Debian: apt-get install strace)")
	}
	for i := range r.systems {
		s := &r.systems[i]
		for _, workload := range s.wanted([]string{bench.Sync1, bench.Sync64}) {
			c, err := r.countSyncs1(ctx, s, workload, o.Procs[s.name])
			if err != nil {
				return err
			}
			o.Syncs = append(o.Syncs, c)
		}
		r.note("syncs of %s counted", s.name)
	}
	return nil
}

func (r *runner) countSyncs1(ctx context.Context, s *system, workload string, procs int) (syncCount, error) {
	trace := filepath.Join(r.spec.Dir, "trace")
	defer os.Remove(trace)
	strace, err := exec.LookPath("strace")
	if err != nil {
		return syncCount{}, err
	}
	results, err := r.child(ctx, s, []string{workload}, procs, func(run *childRun, cmd *exec.Cmd) {
		run.Mark = true
		run.Spec.Duration, run.Spec.Warmup = time.Second, -1
		cmd.Path = strace
		cmd.Args = append([]string{strace, "-f", "-qq", "-o", trace, "-e", "trace=fsync,fdatasync,msync,openat,open"}, cmd.Args...)
		cmd.Args[7] = r.self
	})
	if err != nil {
		return syncCount{}, err
	}
	f, err := os.Open(trace)
	if err != nil {
		return syncCount{}, err
	}
	defer f.Close()
	c := syncCount{System: s.name, Workload: workload, Puts: results[0].Ops}
	marks := 0
	mark := fmt.Sprintf("fdatasync(%d", markFD)
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		switch {
		case strings.Contains(line, mark):
			marks++
		case marks != 1 || strings.Contains(line, "resumed>"):
		case strings.Contains(line, "fsync("), strings.Contains(line, "fdatasync("), strings.Contains(line, "msync("):
			c.Syncs++
		case strings.Contains(line, "O_SYNC"), strings.Contains(line, "O_DSYNC"):
			c.Opens++
		}
	}
	if marks != 2 {
		return c, fmt.Errorf("the trace of %s has %d marks, not 2", s.name, marks)
	}
	return c, nil
}
