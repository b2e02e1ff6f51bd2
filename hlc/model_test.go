package hlc_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shieldmaidens/pleiades/hlc"
)

// TestModelCrashes runs random histories of one store: timestamps, remote timestamps, moves of the
// wall clock in both directions, failing disks, kill -9 and clean ends. Over the whole history
// timestamps grow, and each is below the bound that the disk held when it was issued.
func TestModelCrashes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := &model{manual: hlc.NewManual(epoch), bound: &memBound{}}
		m.start(t)
		t.Repeat(map[string]func(*rapid.T){
			"now":    func(t *rapid.T) { m.issue(t, hlc.Timestamp{}) },
			"update": m.update,
			"advance": func(t *rapid.T) {
				m.manual.Advance(time.Duration(rapid.Int64Range(0, int64(400*time.Millisecond)).Draw(t, "by")))
			},
			// Corrections of the wall clock that a start tolerates.
			"step": func(t *rapid.T) {
				m.manual.Step(time.Duration(rapid.Int64Range(-int64(5*time.Millisecond), int64(time.Second)).Draw(t, "by")))
			},
			// Set back far while the clock runs, and right again before it could restart.
			"set back": func(t *rapid.T) {
				m.manual.Step(-time.Hour)
				m.issue(t, hlc.Timestamp{})
				m.issue(t, hlc.Timestamp{})
				m.manual.Step(time.Hour)
			},
			"failing disk": func(t *rapid.T) {
				m.bound.storeErr, m.bound.loses = errDisk, rapid.Bool().Draw(t, "stored all the same")
				m.issue(t, hlc.Timestamp{})
				m.manual.Advance(300 * time.Millisecond)
				m.issue(t, hlc.Timestamp{})
				if rapid.Bool().Draw(t, "crash") {
					m.start(t)
				}
				m.bound.storeErr = nil
			},
			"crash": m.start,
			"end": func(t *rapid.T) {
				last := m.clock.Last()
				if err := m.clock.Close(); err != nil {
					t.Fatal(err)
				}
				if m.issued && m.bound.stored != last.Next() {
					t.Fatalf("Close stored %v behind %v", m.bound.stored, last)
				}
				m.start(t)
			},
		})
	})
}

// model is what must hold between all clocks on one store.
type model struct {
	manual *hlc.Manual
	bound  *memBound
	clock  *hlc.Clock
	last   hlc.Timestamp // highest ever issued
	issued bool          // by this clock
}

func (m *model) start(t *rapid.T) {
	opts := m.manual.Options()
	opts.Bound = m.bound
	clock, err := hlc.NewClock(opts)
	for errors.Is(err, hlc.ErrClockBehind) { // several corrections in a row: wait, as it says
		m.manual.Advance(10 * time.Millisecond)
		clock, err = hlc.NewClock(opts)
	}
	if err != nil {
		t.Fatal(err)
	}
	if clock.Last().Less(m.last) {
		t.Fatalf("started at %v, below %v", clock.Last(), m.last)
	}
	m.clock, m.issued = clock, false
}

func (m *model) update(t *rapid.T) {
	wall := hlc.FromTime(m.manual.Now()).WallNanos
	offset := rapid.OneOf(rapid.Int64Range(-int64(time.Second), int64(time.Second)),
		rapid.SampledFrom([]int64{int64(500 * time.Millisecond), int64(500*time.Millisecond) + 1})).Draw(t, "offset")
	logical := rapid.SampledFrom([]uint32{0, 1, math.MaxUint32}).Draw(t, "logical")
	m.issue(t, hlc.Timestamp{WallNanos: wall + offset, Logical: logical})
}

// issue asks for a timestamp, remote's successor unless that is zero, and checks it.
func (m *model) issue(t *rapid.T, remote hlc.Timestamp) {
	before := m.clock.Last()
	wall := hlc.FromTime(m.manual.Now())
	var ts hlc.Timestamp
	var err error
	if remote.IsZero() {
		ts, err = m.clock.Now()
	} else {
		ts, err = m.clock.Update(remote)
	}
	tooFar := remote.WallNanos > wall.WallNanos+int64(500*time.Millisecond)
	if errors.Is(err, hlc.ErrClockOffset) != tooFar {
		t.Fatalf("remote %v at wall %v: %v", remote, wall, err)
	}
	if err != nil {
		if !tooFar && m.bound.storeErr == nil {
			t.Fatalf("refused with a good disk: %v", err)
		}
		if m.clock.Last() != before {
			t.Fatalf("a refused call moved the clock from %v to %v", before, m.clock.Last())
		}
		return
	}
	if !m.last.Less(ts) || !remote.Less(ts) || ts.Less(wall) {
		t.Fatalf("issued %v after %v, remote %v, wall %v", ts, m.last, remote, wall)
	}
	if !ts.Less(m.bound.stored) {
		t.Fatalf("issued %v with bound %v on disk", ts, m.bound.stored)
	}
	if m.clock.Last() != ts {
		t.Fatalf("Last is %v after %v", m.clock.Last(), ts)
	}
	m.last, m.issued = ts, true
}

// TestCrashLoopDoesNotCreep restarts a clock thousands of times while no time goes by, with local
// and with remote timestamps: it stays startable, near the wall clock.
func TestCrashLoopDoesNotCreep(t *testing.T) {
	manual, bound := hlc.NewManual(epoch), &memBound{}
	opts := manual.Options()
	opts.Bound = bound
	for i := range 2000 {
		clock, err := hlc.NewClock(opts)
		if err != nil {
			t.Fatalf("start %d: %v", i, err)
		}
		if _, err := clock.Now(); err != nil {
			t.Fatal(err)
		}
		if i%2 == 1 {
			if _, err := clock.Update(hlc.FromTime(manual.Now().Add(500 * time.Millisecond))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if ahead := bound.stored.Time().Sub(manual.Now()); ahead > 501*time.Millisecond {
		t.Fatalf("the bound crept to %v ahead of the wall clock", ahead)
	}
}

// TestWritesAreFew counts bound writes of a busy second.
func TestWritesAreFew(t *testing.T) {
	for _, c := range []struct {
		name   string
		remote time.Duration // ahead of the wall clock; 0 is none
		most   int
	}{
		{"local", 0, 10},
		{"remote=400ms", 400 * time.Millisecond, 25},
	} {
		t.Run(c.name, func(t *testing.T) {
			manual, bound := hlc.NewManual(epoch), &memBound{}
			opts := manual.Options()
			opts.Bound = bound
			clock, err := hlc.NewClock(opts)
			if err != nil {
				t.Fatal(err)
			}
			for range 1000 {
				manual.Advance(time.Millisecond)
				for range 10 {
					if c.remote > 0 {
						_, err = clock.Update(hlc.FromTime(manual.Now().Add(c.remote)))
					} else {
						_, err = clock.Now()
					}
					if err != nil {
						t.Fatal(err)
					}
				}
			}
			if bound.writes > c.most || bound.writes < 4 {
				t.Fatalf("%d writes for 10,000 timestamps in a second", bound.writes)
			}
		})
	}
}

func TestLogicalOverflowCarries(t *testing.T) {
	manual, bound := hlc.NewManual(epoch), &memBound{}
	opts := manual.Options()
	opts.Bound = bound
	clock, err := hlc.NewClock(opts)
	if err != nil {
		t.Fatal(err)
	}
	wall := hlc.FromTime(epoch).WallNanos
	full := hlc.Timestamp{WallNanos: wall, Logical: math.MaxUint32 - 1}
	for _, want := range []hlc.Timestamp{{WallNanos: wall, Logical: math.MaxUint32}, {WallNanos: wall + 1}, {WallNanos: wall + 1, Logical: 1}} {
		var got hlc.Timestamp
		if want.Logical == math.MaxUint32 {
			got, err = clock.Update(full)
		} else {
			got, err = clock.Now()
		}
		if err != nil || got != want {
			t.Fatalf("%v, %v, want %v", got, err, want)
		}
	}
}

func TestEndOfTime(t *testing.T) {
	manual := hlc.NewManual(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))
	opts := manual.Options()
	opts.Bound = &memBound{}
	clock, err := hlc.NewClock(opts)
	if err != nil {
		t.Fatal(err)
	}
	if ts, err := clock.Now(); !errors.Is(err, hlc.ErrExhausted) {
		t.Fatalf("%v, %v", ts, err)
	}
	if err := clock.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestPresent: reads have a time whatever becomes of the bound's store, and it never goes back.
func TestPresent(t *testing.T) {
	wall := hlc.NewManual(time.Unix(1000, 0))
	o := wall.Options()
	o.Bound = failingBound{}
	c, err := hlc.NewClock(o)
	if err != nil {
		t.Fatal(err)
	}
	want := func(seconds int64) {
		t.Helper()
		if got, err := c.Present(); err != nil || got != (hlc.Timestamp{WallNanos: seconds * 1e9}) {
			t.Fatalf("%v, %v; want %d s", got, err, seconds)
		}
	}
	want(1000)
	if _, err := c.Now(); err == nil {
		t.Fatal("a timestamp without a bound")
	}
	wall.Advance(2 * time.Second)
	want(1002)
	wall.Step(-time.Second)
	want(1002)
	if err := c.Close(); err != nil && !errors.Is(err, errDisk) {
		t.Fatal(err)
	}
	wall.Advance(2 * time.Second)
	want(1003)
}

type failingBound struct{}

func (failingBound) LoadBound() (hlc.Timestamp, error) { return hlc.Timestamp{}, nil }
func (failingBound) StoreBound(hlc.Timestamp) error    { return errDisk }

func TestUpdateRefusesNegativeWallTime(t *testing.T) {
	clock, err := hlc.NewClock(hlc.NewManual(epoch).Options())
	if err != nil {
		t.Fatal(err)
	}
	if ts, err := clock.Update(hlc.Timestamp{WallNanos: -1}); !errors.Is(err, hlc.ErrBadTimestamp) {
		t.Fatalf("%v, %v", ts, err)
	}
}

func TestNewClockErrors(t *testing.T) {
	_, err := hlc.NewClock(&hlc.Options{
		Wall: time.Now, MaxOffset: -1, MaxJump: 25 * time.Hour, BoundAhead: -2,
	})
	if !errors.Is(err, hlc.ErrOptions) {
		t.Fatalf("%v", err)
	}
	for _, fault := range []string{"MaxOffset -1ns", "MaxJump 25h0m0s", "BoundAhead -2ns", "needs Monotonic"} {
		if !strings.Contains(err.Error(), fault) {
			t.Errorf("%q does not name %q", err, fault)
		}
	}
	if _, err := hlc.NewClock(&hlc.Options{MaxOffset: time.Second, BoundAhead: 2 * time.Second}); !errors.Is(err, hlc.ErrOptions) {
		t.Errorf("BoundAhead above MaxOffset: %v", err)
	}
	if _, err := hlc.NewClock(&hlc.Options{Bound: &memBound{loadErr: errDisk}}); !errors.Is(err, errDisk) {
		t.Errorf("failing load: %v", err)
	}
	if _, err := hlc.NewClock(&hlc.Options{Bound: &memBound{stored: hlc.Timestamp{WallNanos: -1}}}); !errors.Is(err, hlc.ErrBadTimestamp) {
		t.Errorf("negative bound: %v", err)
	}
	for _, opts := range []*hlc.Options{nil, {}, {MaxJump: time.Second}, {MaxOffset: 1}} {
		clock, err := hlc.NewClock(opts)
		if err != nil {
			t.Fatalf("%+v: %v", opts, err)
		}
		if ts, err := clock.Now(); err != nil || ts.IsZero() {
			t.Errorf("%+v: %v, %v", opts, ts, err)
		}
		if err := errors.Join(clock.WaitBound(context.Background()), clock.Close()); err != nil {
			t.Errorf("%+v: %v", opts, err)
		}
	}
}
