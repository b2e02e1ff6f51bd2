package main

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/bench"
)

const dbBenchOutput = `DB path: [/x]
fillseq      :       1.845 micros/op 541796 ops/sec 0.185 seconds 100000 operations;   60.0 MB/s
Microseconds per write:
Count: 100000 Average: 1.8457  StdDev: 6.11
Min: 0  Median: 0.8058  Max: 1733
Percentiles: P50: 0.81 P75: 1.65 P99: 5.96 P99.9: 36.77 P99.99: 103.20
readrandom   :       9.000 micros/op 1 ops/sec 0.185 seconds 100000 operations;   60.0 MB/s (100000 of 100000 found)
readrandom   :       2.000 micros/op 500000 ops/sec 1.000 seconds 500000 operations;   60.0 MB/s (500000 of 500000 found)

Count: 500000 Average: 2.0  StdDev: 6.11
readmissing  :       1.845 micros/op 541796 ops/sec 0.185 seconds 100000 operations; (0 of 100000 found)
`

func TestParseDBBench(t *testing.T) {
	out, err := parseDBBench(dbBenchOutput)
	if err != nil {
		t.Fatal(err)
	}
	fill := out["fillseq"]
	if fill.OpsPerSecond != 541796 || fill.Ops != 100000 || fill.Latency.P99 != 5960*time.Nanosecond || fill.Latency.Max != 1733*time.Microsecond {
		t.Errorf("fillseq: %+v", fill)
	}
	if read := out["readrandom"]; read.OpsPerSecond != 500000 || read.Latency.Mean != 2*time.Microsecond || read.Latency.P99 != 0 {
		t.Errorf("the last readrandom: %+v", read)
	}
	if _, ok := out["readmissing"]; !ok {
		t.Error("readmissing is missing")
	}
	for _, wrong := range []string{"(499999 of 500000 found)", "(1 of 100000 found)"} {
		text := strings.Replace(dbBenchOutput, "(500000 of 500000 found)", wrong, 1)
		if strings.HasPrefix(wrong, "(1 ") {
			text = strings.Replace(dbBenchOutput, "(0 of 100000 found)", wrong, 1)
		}
		if _, err := parseDBBench(text); err == nil {
			t.Errorf("%s was accepted", wrong)
		}
	}
}

// example is an outcome with three rounds of two systems.
func example() *outcome {
	o := newOutcome(bench.Machine{CPU: "a <b> & c"}, &plan{
		rounds: 3, systems: []system{{name: "pleiades"}, {name: "db_bench"}}, workloads: []string{bench.FillSeq, bench.Scan100},
	})
	for _, ours := range []float64{100, 300, 200} {
		o.add("pleiades", 0, []bench.Result{{Workload: bench.FillSeq, OpsPerSecond: ours}})
		o.add("db_bench", 0, []bench.Result{{Workload: bench.FillSeq, OpsPerSecond: 250}})
	}
	o.Syncs = []syncCount{{System: "pleiades", Workload: bench.Sync1, Puts: 100, Syncs: 101}}
	return o
}

func TestRatiosArePaired(t *testing.T) {
	o := example()
	if f := o.speed("pleiades", bench.FillSeq); f.median != 200 || f.low != 100 || f.high != 300 || f.spread() != 1 {
		t.Errorf("speed %+v", f)
	}
	if f := o.ratio("pleiades", "db_bench", bench.FillSeq); f.median != .8 || f.low != .4 || f.high != 1.2 {
		t.Errorf("ratio %+v", f)
	}
	if f := figureOf([]float64{4, 1, 2, 3}); math.Abs(f.median-2.5) > 1e-9 {
		t.Errorf("median of four %+v", f)
	}
	i := slices.IndexFunc(o.targets(), func(g target) bool { return g.Workload == bench.FillSeq && g.Peer == "db_bench" })
	if i < 0 || o.targets()[i].Met {
		t.Errorf("0.8 of db_bench must be short of the target: %+v", o.targets())
	}
}

func TestTextAndPlot(t *testing.T) {
	o := example()
	var text strings.Builder
	if err := o.writeText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"0.80 (0.40-1.20)", "200 (100)", "1.010", "SHORT"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text lacks %q:\n%s", want, text.String())
		}
	}
	dec := xml.NewDecoder(strings.NewReader(o.svg()))
	for {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("the plot is not XML: %v", err)
		}
	}
}

func TestDatabaseOptions(t *testing.T) {
	path, err := writeOptions(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	text, err := databaseOptions(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"max_total_wal_size=", "create_if_missing=true;", "db_write_buffer_size="} {
		if !strings.Contains(text, want) {
			t.Errorf("the engine's options lack %s: %s", want, text)
		}
	}
}
