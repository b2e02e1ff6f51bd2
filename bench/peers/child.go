package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"runtime/pprof"

	"golang.org/x/sys/unix"

	"github.com/shieldmaidens/pleiades/bench"
)

// childRun is what a child process is asked for, as JSON on its standard input, and childReport what it
// answers on its standard output.
type childRun struct {
	System    string     `json:"system"`
	Workloads []string   `json:"workloads"`
	Options   string     `json:"options"`
	Spec      bench.Spec `json:"spec"`
	// Profile is where a CPU profile goes; empty: none.
	Profile string `json:"profile,omitempty"`
	// Mark makes the child mark the begin and the end of the workloads in its system calls.
	Mark bool `json:"mark,omitempty"`
}

type childReport struct {
	GOMAXPROCS int            `json:"gomaxprocs"`
	Results    []bench.Result `json:"results"`
}

// child runs one system in this process.
func child() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	if err := childMain(ctx); err != nil {
		warn(err.Error())
		return 1
	}
	return 0
}

func childMain(ctx context.Context) error {
	var run childRun
	if err := json.NewDecoder(os.Stdin).Decode(&run); err != nil {
		return fmt.Errorf("read the task: %w", err)
	}
	sys, err := findSystem(run.System)
	if err != nil {
		return err
	}
	if run.Profile != "" {
		f, err := os.Create(run.Profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	if run.Mark {
		markSyscalls()
	}
	results, err := sys.run(ctx, run.Workloads, env{options: run.Options, spec: run.Spec})
	if run.Mark {
		markSyscalls()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", run.System, err)
	}
	return json.NewEncoder(os.Stdout).Encode(childReport{GOMAXPROCS: runtime.GOMAXPROCS(0), Results: results})
}

// markFD is no file's: syncing it fails and shows in a trace.
const markFD = 1 << 30

func markSyscalls() { unix.Fdatasync(markFD) }
