package vacuum_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/vacuum"
	"github.com/shieldmaidens/pleiades/versioning"
)

// advance is a Wait that lets the manual clock go by.
func (r *rig) advance(ctx context.Context, d time.Duration) error {
	r.wall.Advance(d)
	return ctx.Err()
}

func TestRates(t *testing.T) {
	for _, c := range []struct {
		name        string
		opts        vacuum.Options
		least, most time.Duration
	}{
		{"unbounded", vacuum.Options{}, 0, 0},
		// 100 keys; the last quarter of a second is not waited for.
		{"keys", vacuum.Options{KeysPerSecond: 20}, 4500 * time.Millisecond, 5 * time.Second},
		{"slow keys", vacuum.Options{KeysPerSecond: 1}, 98 * time.Second, 100 * time.Second},
		// 200 versions of 48 bytes each: key 4+12, value 14, trailer 18.
		{"bytes", vacuum.Options{BytesPerSecond: 960}, 9500 * time.Millisecond, 10 * time.Second},
		{"dry run", vacuum.Options{KeysPerSecond: 20, DryRun: true}, 4500 * time.Millisecond, 5 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			b := r.bucket(1)
			for k := range 100 {
				for range 3 {
					_, err := b.Put(context.Background(), fmt.Appendf(nil, "k%03d", k), []byte("fourteen bytes"), &versioning.PutOptions{NoSync: true})
					r.must(err)
				}
			}
			c.opts.Wall, c.opts.Wait = r.wall.Now, r.advance
			start := r.wall.Now()
			report, err := vacuum.Run(context.Background(), b, vacuum.Policy{AllKeys: true, KeepNewest: 1}, &c.opts)
			r.must(err)
			if report.Versions != 200 || report.Bytes != 200*48 {
				t.Errorf("%+v", report)
			}
			took := r.wall.Now().Sub(start)
			if took < c.least || took > c.most || report.Waited != took {
				t.Errorf("took %v, want %v to %v; %+v", took, c.least, c.most, report)
			}
		})
	}
}

func TestPressure(t *testing.T) {
	r := newRig(t)
	b := r.bucket(1)
	r.put(b, "k", 1, 3, versioning.PutOptions{Vacuumable: ptr(true)})
	asked := 0
	opts := &vacuum.Options{
		Wall: r.wall.Now, Wait: r.advance,
		Pressure: func() bool { asked++; return asked <= 8 },
	}
	report, err := vacuum.Run(context.Background(), b, vacuum.Policy{}, opts)
	r.must(err)
	// 50, 100, ... 1,600 ms, then twice the most.
	if want := 3150*time.Millisecond + 4*time.Second; report.Yields != 8 || report.Waited != want || report.Versions != 2 {
		t.Errorf("%+v, want %v", report, want)
	}

	ctx, cancel := context.WithCancel(context.Background())
	opts.Pressure = func() bool { cancel(); return true }
	opts.Wait = nil // a real timer, which the context ends
	if _, err := vacuum.Run(ctx, b, vacuum.Policy{}, opts); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled while it yields: %v", err)
	}
	if vacuum.EnginePressure(r.eng)() {
		t.Error("an idle engine is under pressure")
	}
}

func TestProgress(t *testing.T) {
	r := newRig(t)
	b := r.bucket(1)
	for k := range 10 {
		r.put(b, fmt.Sprint("k", k), 1, 3, versioning.PutOptions{})
	}
	var seen []vacuum.Report
	report, err := vacuum.Run(context.Background(), b, vacuum.Policy{AllKeys: true, KeepNewest: 1}, &vacuum.Options{
		BatchKeys: 2, Compact: vacuum.CompactAlways, Progress: func(r vacuum.Report) { seen = append(seen, r) },
	})
	r.must(err)
	if len(seen) < 7 {
		t.Fatalf("%d calls", len(seen))
	}
	phases := map[vacuum.Phase]int{}
	for i, s := range seen {
		phases[s.Phase]++
		if i > 0 && (s.Versions < seen[i-1].Versions || s.Phase < seen[i-1].Phase) {
			t.Errorf("progress goes back from %+v to %+v", seen[i-1], s)
		}
	}
	if phases[vacuum.PhaseVacuum] < 5 || phases[vacuum.PhaseCompact] != 1 || phases[vacuum.PhaseDone] != 1 {
		t.Errorf("phases %v", phases)
	}
	if last := seen[len(seen)-1]; fmt.Sprint(last) != fmt.Sprint(report) || last.Versions != 20 {
		t.Errorf("the last call said %+v, the report is %+v", last, report)
	}
}
