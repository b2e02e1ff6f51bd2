package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// tiny is a spec that runs everything in seconds.
func tiny(t *testing.T) Spec {
	return Spec{
		Dir: t.TempDir(), Keys: 2000, Duration: 30 * time.Millisecond, Warmup: 5 * time.Millisecond, DepthKeys: 3,
	}
}

func TestRunEveryWorkload(t *testing.T) {
	spec := tiny(t)
	spec.Workloads = []string{"engine", "versioned", "shards/1"}
	steps := map[int]bool{}
	report, err := Run(context.Background(), spec, func(p Progress) {
		if p.Step < 1 || p.Step > p.Steps || p.Share < 0 || p.Share > 1 {
			t.Errorf("impossible progress %+v", p)
		}
		steps[p.Step] = true
	})
	if err != nil {
		t.Fatal(err)
	}
	want, err := selectWorkloads(spec.Workloads)
	if err != nil {
		t.Fatal(err)
	}
	var have []string
	for _, r := range report.Results {
		have = append(have, r.Workload)
		if r.Ops <= 0 || r.OpsPerSecond <= 0 || r.Latency.P50 <= 0 || r.Latency.Max < r.Latency.P999 || r.Latency.P99 < r.Latency.P50 {
			t.Errorf("%s measured nothing sensible: %+v", r.Workload, r)
		}
		if strings.Contains(r.Workload, "sync-1") && r.Syncs < r.Ops {
			t.Errorf("%s: %d synced puts by one writer, %d syncs", r.Workload, r.Ops, r.Syncs)
		}
	}
	have = append(have, "shards/1")
	if !slices.Equal(have, want) {
		t.Errorf("ran %v, not %v", have, want)
	}
	if len(report.Shards) != 1 || report.Shards[0].Open <= 0 || report.Shards[0].RSSBytes <= 0 {
		t.Errorf("shards: %+v", report.Shards)
	}
	if len(steps) < len(want)-1 {
		t.Errorf("progress named %d of %d steps", len(steps), len(want))
	}
	left, err := os.ReadDir(spec.Dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	var text bytes.Buffer
	if err := report.WriteText(&text); err != nil || !strings.Contains(text.String(), "engine/scan-100") {
		t.Errorf("text %q, %v", text.String(), err)
	}
	if _, err := json.Marshal(report); err != nil {
		t.Error(err)
	}
}

func TestCancelLeavesNothing(t *testing.T) {
	spec := tiny(t)
	spec.Duration = time.Hour
	spec.Workloads = []string{"engine/sync-64"}
	ctx, cancel := context.WithCancel(context.Background())
	_, err := Run(ctx, spec, func(Progress) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if left, _ := os.ReadDir(spec.Dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSpecFaultsComeTogether(t *testing.T) {
	_, err := Run(context.Background(), Spec{Keys: 10, ValueBytes: -1, Duration: -1}, nil)
	if !errors.Is(err, ErrSpec) {
		t.Fatalf("got %v", err)
	}
	for _, field := range []string{"Keys", "ValueBytes", "Duration"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("%v does not name %s", err, field)
		}
	}
	if _, err := Run(context.Background(), Spec{Workloads: []string{"engine/sing"}}, nil); !errors.Is(err, ErrSpec) {
		t.Errorf("unknown workload: %v", err)
	}
}

// liar forgets, invents and cuts short.
type liar struct {
	Store
	found bool
	short bool
}

func (l *liar) Session() (Session, error) {
	s, err := l.Store.Session()
	return &liarSession{s, l}, err
}

type liarSession struct {
	Session
	l *liar
}

func (s *liarSession) Get(dst, key []byte) ([]byte, bool, error) { return dst, s.l.found, nil }
func (s *liarSession) Scan(start []byte, rows int) (int, int64, error) {
	n, size, err := s.Session.Scan(start, rows)
	if s.l.short {
		n--
	}
	return n, size, err
}

func TestWrongAnswersFailTheRun(t *testing.T) {
	for _, c := range []struct {
		workload string
		liar     liar
	}{
		{ReadHit, liar{found: false}}, {ReadMiss, liar{found: true}}, {Scan100, liar{short: true}},
	} {
		open := func(dir string) (Store, error) {
			s, err := OpenEngine(dir)
			l := c.liar
			l.Store = s
			return &l, err
		}
		if _, err := RunStore(context.Background(), open, []string{c.workload}, tiny(t), nil); !errors.Is(err, ErrWrongAnswer) {
			t.Errorf("%s: %v", c.workload, err)
		}
	}
}
