package bench_test

import (
	"context"
	"fmt"
	"time"

	"github.com/shieldmaidens/pleiades/bench"
)

// A short run of two workloads. Figures differ from run to run, so the example shows none.
func ExampleRun() {
	report, err := bench.Run(context.Background(), bench.Spec{
		Workloads: []string{"engine/sync-64", "versioned/fill-seq"},
		Keys:      2000,
		Duration:  100 * time.Millisecond,
		Warmup:    10 * time.Millisecond,
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range report.Results {
		fmt.Println(r.Workload, r.Writers, "writers:", r.OpsPerSecond > 0)
	}
	// Output:
	// engine/sync-64 64 writers: true
	// versioned/fill-seq 1 writers: true
}
