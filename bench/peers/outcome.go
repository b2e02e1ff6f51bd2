package main

import (
	"cmp"
	"slices"
	"time"

	"github.com/shieldmaidens/pleiades/bench"
)

// outcome is all that a run found out: what JSON holds, and what tables and the plot are made of.
type outcome struct {
	Started        time.Time     `json:"started"`
	ElapsedSeconds float64       `json:"elapsed_seconds"`
	Machine        bench.Machine `json:"machine"`
	Spec           bench.Spec    `json:"spec"`
	Rounds         int           `json:"rounds"`
	Systems        []string      `json:"systems"`
	Workloads      []string      `json:"workloads"`
	// Procs is the GOMAXPROCS of each system, 0 where it means nothing.
	Procs map[string]int `json:"gomaxprocs"`
	// Results are by system and workload, one a round.
	Results map[string]map[string][]bench.Result `json:"results"`
	Syncs   []syncCount                          `json:"syncs"`
	Notes   []string                             `json:"notes,omitempty"`
}

func newOutcome(m bench.Machine, p *plan) *outcome {
	o := &outcome{
		Started: time.Now(), Machine: m, Spec: p.spec, Rounds: p.rounds, Workloads: p.workloads,
		Procs: map[string]int{}, Results: map[string]map[string][]bench.Result{},
	}
	for _, s := range p.systems {
		o.Systems = append(o.Systems, s.name)
		o.Results[s.name] = map[string][]bench.Result{}
	}
	return o
}

func (o *outcome) add(system string, _ int, results []bench.Result) {
	for _, r := range results {
		o.Results[system][r.Workload] = append(o.Results[system][r.Workload], r)
	}
}

// figure is the median of several rounds, with the lowest and the highest.
type figure struct {
	median, low, high float64
	n                 int
}

func figureOf(values []float64) figure {
	if len(values) == 0 {
		return figure{}
	}
	sorted := slices.Sorted(slices.Values(values))
	mid := sorted[len(sorted)/2]
	if len(sorted)%2 == 0 {
		mid = (mid + sorted[len(sorted)/2-1]) / 2
	}
	return figure{median: mid, low: sorted[0], high: sorted[len(sorted)-1], n: len(sorted)}
}

// spread is the range of the rounds as a share of the median.
func (f figure) spread() float64 {
	if f.median == 0 {
		return 0
	}
	return (f.high - f.low) / f.median
}

// speed returns a system's operations a second.
func (o *outcome) speed(system, workload string) figure {
	var v []float64
	for _, r := range o.Results[system][workload] {
		v = append(v, r.OpsPerSecond)
	}
	return figureOf(v)
}

// p99 returns a system's 99th percentile of latency in nanoseconds.
func (o *outcome) p99(system, workload string) figure {
	var v []float64
	for _, r := range o.Results[system][workload] {
		v = append(v, float64(r.Latency.P99))
	}
	return figureOf(v)
}

// cpu returns a system's processor time an operation in nanoseconds; db_bench does not tell it.
func (o *outcome) cpu(system, workload string) figure {
	var v []float64
	for _, r := range o.Results[system][workload] {
		if r.CPU > 0 && r.Ops > 0 {
			v = append(v, float64(r.CPU)/float64(r.Ops))
		}
	}
	return figureOf(v)
}

// ratio returns a's speed over b's, round by round: what slows the machine for a while slows both.
func (o *outcome) ratio(a, b, workload string) figure {
	ra, rb := o.Results[a][workload], o.Results[b][workload]
	var v []float64
	for i := range min(len(ra), len(rb)) {
		if rb[i].OpsPerSecond > 0 {
			v = append(v, ra[i].OpsPerSecond/rb[i].OpsPerSecond)
		}
	}
	return figureOf(v)
}

// syncs returns the counted syncs a put, and whether they were counted.
func (o *outcome) syncs(system, workload string) (syncCount, bool) {
	i := slices.IndexFunc(o.Syncs, func(c syncCount) bool {
		return cmp.Or(cmp.Compare(c.System, system), cmp.Compare(c.Workload, workload)) == 0
	})
	if i < 0 {
		return syncCount{}, false
	}
	return o.Syncs[i], true
}

// target is what the project promises of one workload.
type target struct {
	Workload string  `json:"workload"`
	Ours     string  `json:"ours"`
	Peer     string  `json:"peer"`
	AtLeast  float64 `json:"at_least"`
	Ratio    float64 `json:"ratio"`
	Met      bool    `json:"met"`
}

// targets compares with what issue by issue was promised. Being level means 0.95 and more: the
// rounds of one system differ by more than the rest.
func (o *outcome) targets() []target {
	const level = 0.95
	var all []target
	add := func(ours, peer string, atLeast float64, workloads ...string) {
		for _, w := range workloads {
			if f := o.ratio(ours, peer, w); f.n > 0 {
				all = append(all, target{Workload: w, Ours: ours, Peer: peer, AtLeast: atLeast, Ratio: f.median, Met: f.median >= atLeast})
			}
		}
	}
	writes := []string{bench.FillSeq, bench.FillRandom, bench.Batch100, bench.Sync1, bench.Sync64, bench.Sync256}
	for _, cpp := range []string{"db_bench", "rocksdb-c++"} {
		add("pleiades", cpp, 0.9, bench.FillSeq, bench.FillRandom, bench.Batch100, bench.ReadHit, bench.ReadMiss)
		add("pleiades", cpp, 0.8, bench.Scan100)
	}
	add("pleiades", "rocksdb-go", 3, bench.Sync64)
	if !o.Machine.Asserts {
		add("pleiades", "pebble", level, bench.Sync64, bench.Sync256)
	}
	add("versioned", "pebble-versioned", 1.3, bench.Sync64)
	add("pleiades", "badger", 1, bench.StoreWorkloads()...)
	add("pleiades", "bbolt", 1, writes...)
	return all
}
