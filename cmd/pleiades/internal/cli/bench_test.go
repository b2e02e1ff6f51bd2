package cli

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
)

func TestBench(t *testing.T) {
	w := newWorld(t)
	scratch := t.TempDir()
	small := []string{"--scratch", scratch, "--keys", "1000", "--duration", "20ms", "--warmup", "1ms"}
	got := w.run(append([]string{"bench", "engine/fill-seq", "versioned/sync-1", "-o", "json"}, small...)...)
	if got.code != exit.OK {
		t.Fatalf("exit %d: %s", got.code, got.err)
	}
	var report struct {
		Machine struct{ Library string }
		Results []struct {
			Workload     string
			OpsPerSecond float64 `json:"ops_per_second"`
			P50          int64   `json:"p50_ns"`
		}
	}
	if err := json.Unmarshal([]byte(got.out), &report); err != nil {
		t.Fatalf("%v: %s", err, got.out)
	}
	if len(report.Results) != 2 || report.Results[1].Workload != "versioned/sync-1" || report.Results[0].OpsPerSecond <= 0 ||
		report.Results[0].P50 <= 0 || !strings.Contains(report.Machine.Library, "RocksDB 7.8") {
		t.Errorf("%+v", report)
	}
	if got := w.run(append([]string{"bench", "engine/fill-seq"}, small...)...); !strings.Contains(got.out, "engine/fill-seq") || got.code != exit.OK {
		t.Errorf("exit %d: %s%s", got.code, got.out, got.err)
	}
	got = w.run(append([]string{"bench", "engine/fill-seq", "--benchstat"}, small...)...)
	if !strings.Contains(got.out, "BenchmarkPleiades/engine/fill-seq 1000 ") {
		t.Errorf("benchstat: %s", got.out)
	}
	if left, err := os.ReadDir(scratch); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if got := w.run("bench", "--list", "-o", "raw"); got.code != exit.OK || !strings.Contains(got.out, "shards/1000\n") {
		t.Errorf("list: exit %d: %s%s", got.code, got.out, got.err)
	}
	for _, wrong := range [][]string{{"bench", "engine/sing"}, {"bench", "--keys", "3"}, {"bench", "["}} {
		if got := w.run(wrong...); got.code != exit.Usage || !strings.Contains(got.err, "fix:") {
			t.Errorf("%v: exit %d: %s", wrong, got.code, got.err)
		}
	}
}
