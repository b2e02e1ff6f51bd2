package main

import (
	"context"
	"os/exec"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/bench"
)

// Every system gives right answers on every workload: the loops check them.
func TestSystemsAnswerRight(t *testing.T) {
	dir := t.TempDir()
	options, err := writeOptions(dir)
	if err != nil {
		t.Fatal(err)
	}
	spec := bench.Spec{Dir: dir, Keys: 2000, ValueBytes: 128, BatchKeys: 100, ScanRows: 100, Duration: 30 * time.Millisecond, Warmup: 5 * time.Millisecond, FillLimit: time.Second, Seed: 1}
	for _, s := range systems() {
		t.Run(s.name, func(t *testing.T) {
			names := s.wanted(bench.StoreWorkloads())
			if s.open == nil { // it measures whole seconds
				if _, err := exec.LookPath("db_bench"); err != nil {
					t.Skip("db_bench is not installed")
				}
				names = []string{bench.FillSeq, bench.FillRandom, bench.Batch100}
			}
			results, err := s.run(context.Background(), names, env{options: options, spec: spec})
			if err != nil {
				t.Fatal(err)
			}
			if len(results) != len(names) {
				t.Fatalf("%d results of %d workloads", len(results), len(names))
			}
			for i, r := range results {
				if r.Workload != names[i] || r.Ops <= 0 || r.OpsPerSecond <= 0 || r.Latency.P50 <= 0 {
					t.Errorf("%s: %+v", names[i], r)
				}
				t.Logf("%-12s %s/s p50 %v p99 %v", r.Workload, bench.Count(r.OpsPerSecond), r.Latency.P50, r.Latency.P99)
			}
		})
	}
}
