package bench

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// Progress is how far a run has come.
type Progress struct {
	// Workload is the name of what runs now; Step of Steps counts the workloads from 1. Both are 0 in
	// what RunStore reports.
	Workload    string
	Step, Steps int
	// Share is how much of this workload is done, 0 to 1, and OpsPerSecond its speed until now.
	Share        float64
	OpsPerSecond float64
}

// Result is what one workload measured.
type Result struct {
	// Workload is its name, such as "engine/sync-64"; without the level in what RunStore returns.
	Workload string `json:"workload"`
	Writers  int    `json:"workers"`
	// Ops is how many operations were done in Elapsed. Units counts the pairs written or rows read in
	// them: more than Ops for batches and scans.
	Ops     int64         `json:"ops"`
	Units   int64         `json:"units"`
	Elapsed time.Duration `json:"elapsed_ns"`
	// Bytes are the keys' and values' bytes that were written or read.
	Bytes          int64   `json:"bytes"`
	OpsPerSecond   float64 `json:"ops_per_second"`
	BytesPerSecond float64 `json:"bytes_per_second"`
	Latency        Latency `json:"latency"`
	// CPU is the time that the whole process spent on its processors in Elapsed, user and system, background
	// work included. Other processes change it far less than Elapsed.
	CPU time.Duration `json:"cpu_ns"`
	// Syncs is how often the store says that it synced its log; -1 when it does not count.
	Syncs int64 `json:"syncs"`
}

// Report is what Run measured, and where.
type Report struct {
	Machine Machine       `json:"machine"`
	Started time.Time     `json:"started"`
	Elapsed time.Duration `json:"elapsed_ns"`
	Results []Result      `json:"results"`
	Shards  []ShardResult `json:"shards,omitempty"`
}

// WriteText writes the report as tables for people.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintln(&b, r.Machine)
	if r.Machine.Asserts {
		fmt.Fprintln(&b, "RocksDB has assertions on: figures are about half of a release build's (make rocksdb)")
	}
	if len(r.Results) > 0 {
		t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(t, "\nWORKLOAD\tOPS\tOPS/S\tMB/S\tP50\tP95\tP99\tP99.9\tMAX\tSYNCS\t")
		for _, res := range r.Results {
			l := res.Latency
			fmt.Fprintf(t, "%s\t%d\t%s\t%.1f\t%s\t%s\t%s\t%s\t%s\t%s\t\n", res.Workload, res.Ops, Count(res.OpsPerSecond),
				res.BytesPerSecond/1e6, span(l.P50), span(l.P95), span(l.P99), span(l.P999), span(l.Max), syncText(res.Syncs))
		}
		t.Flush()
	}
	if len(r.Shards) > 0 {
		t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(t, "\nSHARDS\tCREATE\tOPEN\tMEMORY AT OPEN\tMEMORY\tWRITES/S\tSYNCED/S\tP99 SYNCED\t")
		for _, s := range r.Shards {
			fmt.Fprintf(t, "%d\t%s\t%s\t%d MiB\t%d MiB\t%s\t%s\t%s\t\n", s.Shards, span(s.Create), span(s.Open),
				s.OpenRSSBytes>>20, s.RSSBytes>>20, Count(s.NoSync.OpsPerSecond), Count(s.Sync.OpsPerSecond), span(s.Sync.Latency.P99))
		}
		t.Flush()
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func syncText(n int64) string {
	if n < 0 {
		return "-"
	}
	return strconv.FormatInt(n, 10)
}

// span writes a duration with three digits.
func span(d time.Duration) string {
	switch {
	case d >= time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 2, 64) + "s"
	case d >= time.Millisecond:
		return digits(float64(d)/1e6) + "ms"
	case d >= time.Microsecond:
		return digits(float64(d)/1e3) + "µs"
	default:
		return strconv.FormatInt(int64(d), 10) + "ns"
	}
}

// Count writes a number with three digits and k or M: 98.3k.
func Count(v float64) string {
	switch {
	case v >= 1e6:
		return digits(v/1e6) + "M"
	case v >= 1e3:
		return digits(v/1e3) + "k"
	default:
		return digits(v)
	}
}

func digits(v float64) string {
	switch {
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}
