package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/shieldmaidens/pleiades/bench"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/output"
)

// benchFlags are the flags of `pleiades bench`.
type benchFlags struct {
	spec      bench.Spec
	list      bool
	benchstat bool
	inFlight  int
}

func (a *App) bench() *cobra.Command {
	var f benchFlags
	var cmd *cobra.Command
	cmd = &cobra.Command{
		Use:   "bench [WORKLOAD...]",
		Short: "Measure this machine: engine, versions, shards",
		Long: `Measure this machine: fills, reads, scans, batches and synced writes on the engine and with versions, and what
shards cost. Workloads are chosen by name or pattern ("engine", "versioned/sync-*"); without any, all but those on
shards run, in about two minutes. The store in --dir is not touched: scratch stores are made below --scratch, which
should lie on the disk that matters, and removed again. Let nothing else run meanwhile.

With --addr (or --context) the node is measured instead, over the wire: put and get, with --in-flight requests under way,
in a bucket of its own that is removed again.

With -o json durations are in nanoseconds. An interruption still shows what was measured until then.`,
		Example: lines("pleiades bench", "pleiades bench engine/sync-64 --scratch /srv/data", "pleiades bench 'shards/*' -o json",
			"pleiades bench --list", "pleiades bench --addr 127.0.0.1:7420 --in-flight 64", "pleiades bench get --context local -o json"),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, w := range bench.Workloads() {
				names = append(names, w.Name+"\t"+w.About)
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: a.run(func(ctx context.Context, args []string) error {
			if f.list {
				return a.benchList()
			}
			if a.atNodeBench(cmd.Flags().Changed("context")) {
				return a.benchNode(ctx, args, &f)
			}
			f.spec.Workloads = args
			return a.benchRun(ctx, &f)
		}),
	}
	fs := cmd.Flags()
	fs.StringVar(&f.spec.Dir, "scratch", "", "directory for scratch stores (default /var/tmp)")
	fs.IntVarP(&f.spec.Keys, "keys", "n", 200_000, "number of keys")
	fs.IntVar(&f.spec.ValueBytes, "size", 128, "bytes of a value")
	fs.DurationVar(&f.spec.Duration, "duration", 2*time.Second, "of each timed workload")
	fs.DurationVar(&f.spec.Warmup, "warmup", 300*time.Millisecond, "before each timed workload")
	fs.Uint64Var(&f.spec.Seed, "seed", 1, "of the random keys and values")
	fs.IntVar(&f.inFlight, "in-flight", 64, "requests under way at a node, 1 to 256")
	fs.BoolVar(&f.list, "list", false, "list the workloads and end")
	fs.BoolVar(&f.benchstat, "benchstat", false, "print lines that benchstat reads")
	return cmd
}

// benchList lists what can be run.
func (a *App) benchList() error {
	s, err := a.out().Stream("workload")
	if err != nil {
		return err
	}
	for _, w := range bench.Workloads() {
		if err := s.Row(output.Row{output.F("workload", output.Bytes(w.Name)), output.F("about", w.About)}); err != nil {
			return err
		}
	}
	return s.Close()
}

// benchSteps is the resolution of the progress bar within one workload.
const benchSteps = 1000

// benchRun measures and prints, also what was measured before an error.
func (a *App) benchRun(ctx context.Context, f *benchFlags) error {
	var bar barOnce
	report, err := bench.Run(ctx, f.spec, func(p bench.Progress) {
		done := int64((float64(p.Step-1) + p.Share) * benchSteps)
		note := p.Workload
		if p.OpsPerSecond > 0 {
			note += "  " + bench.Count(p.OpsPerSecond) + " ops/s"
		}
		bar.of(a, "measuring", int64(p.Steps)*benchSteps, "").Set(done, note)
	})
	bar.Clear()
	if errors.Is(err, bench.ErrSpec) {
		err = exit.New(exit.Usage, "see: pleiades bench --help, and --list for the workloads", "%w", err)
	}
	if len(report.Results)+len(report.Shards) == 0 {
		return err
	}
	return errors.Join(err, a.benchPrint(&report, f.benchstat))
}

func (a *App) benchPrint(report *bench.Report, benchstat bool) error {
	if a.out().Structured() && !benchstat {
		return a.out().Object(benchObject(report))
	}
	var text strings.Builder
	if benchstat {
		benchLines(&text, report)
	} else if err := report.WriteText(&text); err != nil {
		return err
	}
	return a.out().Line(strings.TrimSuffix(text.String(), "\n"))
}

// benchLines writes results in the form of Go's benchmarks.
func benchLines(b *strings.Builder, report *bench.Report) {
	fmt.Fprintf(b, "cpu: %s\n", report.Machine.CPU)
	for _, r := range report.Results {
		fmt.Fprintf(b, "BenchmarkPleiades/%s %d %.1f ns/op %.0f ops/s %d p99-ns\n", r.Workload, r.Ops,
			float64(r.Elapsed)/float64(r.Ops), r.OpsPerSecond, r.Latency.P99)
	}
}

func benchObject(report *bench.Report) output.Row {
	m := report.Machine
	results := make([]output.Row, 0, len(report.Results))
	for i := range report.Results {
		results = append(results, benchResult(&report.Results[i]))
	}
	shards := make([]output.Row, 0, len(report.Shards))
	for i := range report.Shards {
		s := &report.Shards[i]
		shards = append(shards, output.Row{
			output.F("shards", s.Shards), output.F("create_ns", int64(s.Create)), output.F("open_ns", int64(s.Open)),
			output.F("open_rss_bytes", s.OpenRSSBytes), output.F("rss_bytes", s.RSSBytes),
			output.F("nosync", benchResult(&s.NoSync)), output.F("sync", benchResult(&s.Sync)),
		})
	}
	return output.Row{
		output.F("machine", output.Row{
			output.F("cpu", m.CPU), output.F("cores", m.Cores), output.F("memory_mib", m.MemoryMiB), output.F("kernel", m.Kernel),
			output.F("file_system", m.FileSystem), output.F("go", m.GoVersion), output.F("gomaxprocs", m.GOMAXPROCS),
			output.F("library", m.Library), output.F("asserts", m.Asserts),
		}),
		output.F("started", report.Started.UTC().Format(time.RFC3339)), output.F("elapsed_ns", int64(report.Elapsed)),
		output.F("results", results), output.F("shards", shards),
	}
}

func benchResult(r *bench.Result) output.Row {
	l := r.Latency
	return output.Row{
		output.F("workload", r.Workload), output.F("workers", r.Writers), output.F("ops", r.Ops), output.F("elapsed_ns", int64(r.Elapsed)),
		output.F("ops_per_second", r.OpsPerSecond), output.F("bytes_per_second", r.BytesPerSecond),
		output.F("mean_ns", int64(l.Mean)), output.F("p50_ns", int64(l.P50)), output.F("p95_ns", int64(l.P95)),
		output.F("p99_ns", int64(l.P99)), output.F("p999_ns", int64(l.P999)), output.F("max_ns", int64(l.Max)),
		output.F("syncs", r.Syncs),
	}
}
