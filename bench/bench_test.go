package bench

import (
	"context"
	"strings"
	"testing"
	"time"
)

// BenchmarkWorkload runs every workload but the shards once for each count; -bench chooses, such as
// -bench 'Workload/engine/sync-64'. It reports the workload's own figures: b.N is not its measure.
func BenchmarkWorkload(b *testing.B) {
	for _, w := range Workloads() {
		if strings.HasPrefix(w.Name, levelShards+"/") {
			continue
		}
		b.Run(w.Name, func(b *testing.B) {
			var ops, p99 float64
			for range b.N {
				report, err := Run(context.Background(), Spec{
					Dir: b.TempDir(), Workloads: []string{w.Name}, Keys: 100_000, Duration: time.Second,
				}, nil)
				if err != nil {
					b.Fatal(err)
				}
				ops += report.Results[0].OpsPerSecond
				p99 += float64(report.Results[0].Latency.P99)
			}
			b.ReportMetric(ops/float64(b.N), "ops/s")
			b.ReportMetric(p99/float64(b.N), "p99-ns")
		})
	}
}
