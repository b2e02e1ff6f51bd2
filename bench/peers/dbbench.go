package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shieldmaidens/pleiades/bench"
)

// runDBBench runs RocksDB's own tool with the engine's options and turns its output into results. Its
// reads run twice, the first time to warm up; its writes have no warm-up.
func runDBBench(ctx context.Context, names []string, e env) ([]bench.Result, error) {
	s := e.spec
	seconds := strconv.Itoa(max(int(math.Round(s.Duration.Seconds())), 1))
	var results []bench.Result
	keep := func(r bench.Result, workload string, writers int) {
		r.Workload, r.Writers = workload, writers
		results = append(results, r)
	}
	reads := map[string]string{bench.ReadHit: "readrandom", bench.ReadMiss: "readmissing", bench.Scan100: "seekrandom"}
	wanted := func(n string) bool { return slices.Contains(names, n) }
	if wanted(bench.FillSeq) || wanted(bench.ReadHit) || wanted(bench.ReadMiss) || wanted(bench.Scan100) {
		run := []string{"fillseq", "compact"}
		order := []string{bench.ReadHit, bench.ReadMiss, bench.Scan100}
		for _, n := range order {
			if wanted(n) {
				run = append(run, reads[n], reads[n])
			}
		}
		out, err := dbBench(ctx, e, "--benchmarks="+strings.Join(run, ","), "--duration="+seconds, "--seek_nexts="+strconv.Itoa(s.ScanRows))
		if err != nil {
			return nil, err
		}
		if wanted(bench.FillSeq) {
			keep(out["fillseq"], bench.FillSeq, 1)
		}
		for _, n := range order {
			if wanted(n) {
				keep(out[reads[n]], n, 1)
			}
		}
	}
	writes := []struct {
		name    string
		writers int
		args    []string
	}{
		{bench.FillRandom, 1, nil},
		{bench.Batch100, 1, []string{"--batch_size=" + strconv.Itoa(s.BatchKeys)}},
		{bench.Sync1, 1, []string{"--sync=1", "--duration=" + seconds}},
		{bench.Sync64, 64, []string{"--sync=1", "--threads=64", "--duration=" + seconds}},
		{bench.Sync256, 256, []string{"--sync=1", "--threads=256", "--duration=" + seconds}},
	}
	for _, w := range writes {
		if !wanted(w.name) {
			continue
		}
		out, err := dbBench(ctx, e, append(w.args, "--benchmarks=fillrandom")...)
		if err != nil {
			return nil, err
		}
		r := out["fillrandom"]
		if w.name == bench.Batch100 { // it counts pairs
			r.OpsPerSecond /= float64(s.BatchKeys)
			r.Ops /= int64(s.BatchKeys)
		}
		keep(r, w.name, w.writers)
	}
	return results, nil
}

// dbBench runs the tool once on a fresh store and returns the last result of each of its benchmarks.
func dbBench(ctx context.Context, e env, args ...string) (map[string]bench.Result, error) {
	dir, err := os.MkdirTemp(e.spec.Dir, "pleiades-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	args = append([]string{
		"--db=" + filepath.Join(dir, "store"), "--options_file=" + e.options,
		"--num=" + strconv.Itoa(e.spec.Keys), "--key_size=" + strconv.Itoa(bench.KeyBytes), "--value_size=" + strconv.Itoa(e.spec.ValueBytes),
		"--cache_size=" + strconv.Itoa(cacheBytes), "--bloom_bits=" + strconv.Itoa(bloomBits),
		"--seed=" + strconv.FormatUint(e.spec.Seed, 10), "--histogram=1",
	}, args...)
	cmd := exec.CommandContext(ctx, "db_bench", args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("db_bench: %w: %s", err, lastLines(stderr.String(), 3))
	}
	out, err := parseDBBench(stdout.String())
	if err == nil && len(out) == 0 {
		err = fmt.Errorf("db_bench printed no result: %s", lastLines(stdout.String(), 3))
	}
	return out, err
}

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(s, "\r", "\n")), "\n")
	return strings.Join(lines[max(len(lines)-n, 0):], "; ")
}

var (
	dbBenchLine    = regexp.MustCompile(`^(\w+)\s+:\s+([\d.]+) micros/op (\d+) ops/sec ([\d.]+) seconds (\d+) operations;(?:\s+([\d.]+) MB/s)?(?:.*\((\d+) of (\d+) found\))?`)
	dbBenchAverage = regexp.MustCompile(`^Count: \d+ Average: ([\d.]+)`)
	dbBenchMax     = regexp.MustCompile(`^Min: .* Max: (\d+)`)
	dbBenchShares  = regexp.MustCompile(`^Percentiles: P50: ([\d.]+) .*P99: ([\d.]+) P99\.9: ([\d.]+)`)
)

// parseDBBench reads the tool's output. It has no 95th percentile.
func parseDBBench(out string) (map[string]bench.Result, error) {
	results := map[string]bench.Result{}
	name := ""
	for line := range strings.Lines(out) {
		line = strings.TrimSpace(line)
		micros := func(s string) time.Duration {
			v, _ := strconv.ParseFloat(s, 64)
			return time.Duration(v * 1e3)
		}
		number := func(s string) float64 {
			v, _ := strconv.ParseFloat(s, 64)
			return v
		}
		r := results[name]
		switch m := dbBenchLine.FindStringSubmatch(line); {
		case m != nil:
			name = m[1]
			r = bench.Result{
				Ops: int64(number(m[5])), OpsPerSecond: number(m[3]), BytesPerSecond: number(m[6]) * (1 << 20),
				Elapsed: time.Duration(number(m[4]) * 1e9), Syncs: -1,
			}
			r.Units, r.Bytes = r.Ops, int64(r.BytesPerSecond*r.Elapsed.Seconds())
			switch {
			case name == "readrandom" && m[7] != m[8]:
				return nil, fmt.Errorf("db_bench found %s of %s keys that were all written", m[7], m[8])
			case name == "readmissing" && m[7] != "0":
				return nil, fmt.Errorf("db_bench found %s keys that were never written", m[7])
			}
		case name == "":
			continue
		}
		if m := dbBenchAverage.FindStringSubmatch(line); m != nil {
			r.Latency.Mean = micros(m[1])
		}
		if m := dbBenchMax.FindStringSubmatch(line); m != nil {
			r.Latency.Max = micros(m[1])
		}
		if m := dbBenchShares.FindStringSubmatch(line); m != nil {
			r.Latency.P50, r.Latency.P99, r.Latency.P999 = micros(m[1]), micros(m[2]), micros(m[3])
		}
		results[name] = r
	}
	return results, nil
}
