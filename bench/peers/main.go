// Command peers runs the workloads of package bench on Pleiades and on the stores it is compared with,
// and prints one table: `make bench-peers`.
//
//	peers [flags]
//
// The systems run one after the other, round by round (A B C A B C …), each in a child process of its
// own with its best GOMAXPROCS, on fresh stores, in the same loops; db_bench, RocksDB's own tool, runs
// its loops. It is a module of its own: who uses Pleiades does not download other databases.
//
// It writes results.txt, results.json and results.svg into the directory -out and the text to standard
// output. The exit status is 0 also when a target is missed: the text says so.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/shieldmaidens/pleiades/bench"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "child" {
		os.Exit(child())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	err := command(ctx, os.Args[1:])
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case errors.Is(err, context.Canceled):
		warn("interrupted")
		os.Exit(130)
	case err != nil:
		warn(err.Error())
		os.Exit(1)
	}
}

func warn(s string) { fmt.Fprintln(os.Stderr, "peers:", s) }

func command(ctx context.Context, args []string) error {
	p, err := parsePlan(args)
	if err != nil {
		return err
	}
	o, err := p.run(ctx, os.Stderr)
	if o == nil {
		return err
	}
	return errors.Join(err, o.save(p.out))
}

func parsePlan(args []string) (plan, error) {
	var p plan
	fs := flag.NewFlagSet("peers", flag.ContinueOnError)
	fs.StringVar(&p.dir, "dir", "/var/tmp", "where scratch stores are made: on the disk that matters")
	fs.StringVar(&p.out, "out", "bin/bench-peers", "directory of the results")
	fs.IntVar(&p.rounds, "rounds", 5, "rounds")
	fs.IntVar(&p.spec.Keys, "keys", 300_000, "number of keys")
	fs.IntVar(&p.spec.ValueBytes, "value-bytes", 128, "size of a value")
	fs.DurationVar(&p.spec.Duration, "duration", time.Second, "of each timed workload")
	fs.DurationVar(&p.spec.Warmup, "warmup", 200*time.Millisecond, "before each timed workload")
	fs.DurationVar(&p.spec.FillLimit, "fill-limit", 3*time.Second, "bound on the measured part of a fill")
	fs.IntVar(&p.gomaxprocs, "gomaxprocs", 0, "of all systems; 0 looks for each one's best")
	fs.BoolVar(&p.countSyncs, "count-syncs", true, "count system calls by strace, in a run of its own")
	only := fs.String("systems", "", "systems to run, with commas; empty: all")
	loads := fs.String("workloads", "", "workloads to run, with commas; empty: all")
	if err := fs.Parse(args); err != nil {
		return p, err
	}
	p.spec.BatchKeys, p.spec.ScanRows, p.spec.Seed = 100, 100, 1
	p.systems, p.workloads = systems(), bench.StoreWorkloads()
	if *only != "" {
		p.systems = nil
		for name := range strings.SplitSeq(*only, ",") {
			s, err := findSystem(name)
			if err != nil {
				return p, err
			}
			p.systems = append(p.systems, s)
		}
	}
	if *loads != "" {
		p.workloads = strings.Split(*loads, ",")
		for _, w := range p.workloads {
			if !slices.Contains(bench.StoreWorkloads(), w) {
				return p, fmt.Errorf("no workload %q; there are %v", w, bench.StoreWorkloads())
			}
		}
	}
	if p.rounds < 1 {
		return p, errors.New("-rounds must be at least 1")
	}
	return p, nil
}

// save writes the results into dir and the text to standard output.
func (o *outcome) save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var text strings.Builder
	if err := o.writeText(&text); err != nil {
		return err
	}
	raw, err := json.MarshalIndent(struct {
		*outcome
		Targets []target `json:"targets"`
	}{o, o.targets()}, "", " ")
	if err != nil {
		return err
	}
	_, err = os.Stdout.WriteString(text.String())
	return errors.Join(err,
		os.WriteFile(filepath.Join(dir, "results.txt"), []byte(text.String()), 0o644),
		os.WriteFile(filepath.Join(dir, "results.json"), append(raw, '\n'), 0o644),
		os.WriteFile(filepath.Join(dir, "results.svg"), []byte(o.svg()), 0o644))
}
