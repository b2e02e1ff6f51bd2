package bench

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/shieldmaidens/pleiades/base"
)

// Spec says what is measured. The zero value of each field means its default; Run copies it.
type Spec struct {
	// Dir is where scratch stores are made, in a fresh directory of their own. It should be on the disk
	// that matters, never in memory. Default the system's directory for temporary files that survive a
	// restart, /var/tmp.
	Dir string
	// Workloads are names or patterns of path.Match, such as "engine/*" or "versioned/sync-64"; see
	// Workloads. Empty means all but those on shards, which take minutes.
	Workloads []string

	// Keys is the number of different keys. Default 200,000; 1,000 to 1,000,000,000.
	Keys int
	// ValueBytes is the size of a value. Default 128; 1 to 1 MiB.
	ValueBytes int
	// BatchKeys is how many keys one batch writes, ScanRows how many rows one scan reads. Default 100;
	// 1 to 10,000. Keys must be at least twice as many.
	BatchKeys, ScanRows int

	// Duration is how long a timed workload is measured, after Warmup. Defaults 2 s and 300 ms. A Warmup
	// of -1 means none.
	Duration, Warmup time.Duration
	// FillLimit bounds the measured part of a fill. Default 10 s.
	FillLimit time.Duration
	// DepthKeys is how many keys the workloads with a depth put to. Default 200; 1 to 1,000,000.
	DepthKeys int

	// Seed of the random keys and values. Default 1.
	Seed uint64
}

// noWarmup as Spec.Warmup means none.
const noWarmup = -1

// withDefaults returns a copy with every default filled in; all faults come in one error.
func (s Spec) withDefaults() (Spec, error) {
	if s.Dir == "" {
		s.Dir = defaultDir()
	}
	var faults []error
	number := func(name string, p *int, def, lo, hi int) {
		if *p == 0 {
			*p = def
		}
		if *p < lo || *p > hi {
			faults = append(faults, fmt.Errorf("%s is %d, must be %d to %d", name, *p, lo, hi))
		}
	}
	span := func(name string, p *time.Duration, def time.Duration) {
		if *p == 0 {
			*p = def
		}
		if *p < 0 || *p > time.Hour {
			faults = append(faults, fmt.Errorf("%s is %v, must be above 0 and at most 1h", name, *p))
		}
	}
	number("Keys", &s.Keys, 200_000, 1000, 1_000_000_000)
	number("ValueBytes", &s.ValueBytes, 128, 1, 1<<20)
	number("BatchKeys", &s.BatchKeys, 100, 1, 10_000)
	number("ScanRows", &s.ScanRows, 100, 1, 10_000)
	number("DepthKeys", &s.DepthKeys, 200, 1, 1_000_000)
	span("Duration", &s.Duration, 2*time.Second)
	if s.Warmup != noWarmup {
		span("Warmup", &s.Warmup, 300*time.Millisecond)
	}
	span("FillLimit", &s.FillLimit, 10*time.Second)
	if s.Keys < 2*max(s.BatchKeys, s.ScanRows) {
		faults = append(faults, fmt.Errorf("%s is %d, must be at least twice BatchKeys (%d) and ScanRows (%d)", "Keys", s.Keys, s.BatchKeys, s.ScanRows))
	}
	if s.Seed == 0 {
		s.Seed = 1
	}
	if len(faults) > 0 {
		return Spec{}, fmt.Errorf("%w: %w", ErrSpec, errors.Join(faults...))
	}
	return s, nil
}

// defaultDir is /var/tmp where there is one: /tmp is memory on many systems, and a store in memory
// says nothing about syncs.
func defaultDir() string {
	if st, err := os.Stat("/var/tmp"); err == nil && st.IsDir() {
		return "/var/tmp"
	}
	return os.TempDir()
}

var (
	// ErrSpec is a Spec that cannot be run; the message lists every fault.
	ErrSpec = base.New(base.ErrInvalid, "bench: the specification is not valid")
	// ErrWrongAnswer is a store that answered a read differently from what was written: the run is void.
	ErrWrongAnswer = base.New(base.ErrCorruption, "bench: the store gave a wrong answer")
	// ErrNoOperations is a workload that finished none: its figures would mean nothing.
	ErrNoOperations = base.New(base.ErrInvalid, "bench: the workload ran no operation; give it more time")
)
