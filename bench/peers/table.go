package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/shieldmaidens/pleiades/bench"
)

// writeText writes the outcome as tables for people.
func (o *outcome) writeText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", o.Machine)
	if o.Machine.Asserts {
		fmt.Fprintln(&b, "RocksDB has assertions on: its figures, ours included, are about half of a release build's (ROCKSDB=release)")
	}
	s := o.Spec
	fmt.Fprintf(&b, "keys of %d bytes, values of %d, %d keys, batches of %d, scans of %d rows; timed workloads %v; %d rounds in turn, each in a process of its own\n",
		bench.KeyBytes, s.ValueBytes, s.Keys, s.BatchKeys, s.ScanRows, s.Duration, o.Rounds)
	fmt.Fprintf(&b, "GOMAXPROCS, the best of %v for each:", probeProcs)
	for _, name := range o.Systems {
		if n := o.Procs[name]; n > 0 {
			fmt.Fprintf(&b, " %s %d", name, n)
		}
	}
	fmt.Fprintf(&b, "\n%s; took %d s\n", o.Started.Format("2006-01-02 15:04"), int(o.ElapsedSeconds))
	for _, n := range o.Notes {
		fmt.Fprintln(&b, "note:", n)
	}
	o.table(&b, "Operations a second, median (range of the rounds in % of it)", func(system, workload string) string {
		f := o.speed(system, workload)
		if f.n == 0 {
			return "-"
		}
		return fmt.Sprintf("%s (%.0f)", bench.Count(f.median), 100*f.spread())
	})
	o.table(&b, "Pleiades over the other, median of the rounds' ratios (lowest to highest)", func(system, workload string) string {
		ours := "pleiades"
		switch system {
		case "pleiades":
			return ""
		case "pebble-versioned":
			ours = "versioned"
		}
		f := o.ratio(ours, system, workload)
		if f.n == 0 {
			return "-"
		}
		return fmt.Sprintf("%.2f (%.2f-%.2f)", f.median, f.low, f.high)
	})
	o.table(&b, "99th percentile of latency, median of the rounds", func(system, workload string) string {
		f := o.p99(system, workload)
		if f.n == 0 {
			return "-"
		}
		return shortSpan(time.Duration(f.median))
	})
	o.table(&b, "Processor time an operation, of the whole process, median of the rounds", func(system, workload string) string {
		f := o.cpu(system, workload)
		if f.n == 0 {
			return "-"
		}
		return shortSpan(time.Duration(f.median))
	})
	if len(o.Syncs) > 0 {
		o.tableOf(&b, "fsync, fdatasync and msync for each acknowledged put, counted by strace in a run of its own", []string{bench.Sync1, bench.Sync64}, func(system, workload string) string {
			c, ok := o.syncs(system, workload)
			if !ok {
				return "-"
			}
			return fmt.Sprintf("%.3f", c.perPut())
		})
	}
	o.writeTargets(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

func (o *outcome) writeTargets(b *strings.Builder) {
	all := o.targets()
	if len(all) == 0 {
		return
	}
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nTargets\n\nWORKLOAD\tOURS\tOVER\tAT LEAST\tRATIO\t")
	for _, g := range all {
		verdict := "met"
		if !g.Met {
			verdict = "SHORT"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%.2f\t%.2f\t%s\n", g.Workload, g.Ours, g.Peer, g.AtLeast, g.Ratio, verdict)
	}
	t.Flush()
}

func (o *outcome) table(b *strings.Builder, title string, cell func(system, workload string) string) {
	o.tableOf(b, title, o.Workloads, cell)
}

func (o *outcome) tableOf(b *strings.Builder, title string, workloads []string, cell func(system, workload string) string) {
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(b, "\n%s\n\n", title)
	fmt.Fprintf(t, "\t%s\t\n", strings.Join(o.Systems, "\t"))
	for _, w := range workloads {
		fmt.Fprintf(t, "%s\t", w)
		for _, s := range o.Systems {
			fmt.Fprintf(t, "%s\t", cell(s, w))
		}
		fmt.Fprintln(t)
	}
	t.Flush()
}

func shortSpan(d time.Duration) string {
	switch {
	case d >= time.Millisecond:
		return fmt.Sprintf("%.1fms", float64(d)/1e6)
	case d >= time.Microsecond:
		return fmt.Sprintf("%.1fµs", float64(d)/1e3)
	default:
		return d.String()
	}
}
