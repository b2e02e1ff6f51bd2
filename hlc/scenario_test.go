package hlc_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/shieldmaidens/pleiades/hlc"
)

// epoch is where manual clocks start in tests.
var epoch = time.Unix(1763812345, 0)

// memBound is a BoundStore that outlives the clocks on it, like a disk.
type memBound struct {
	stored   hlc.Timestamp
	writes   int
	loadErr  error
	storeErr error
	loses    bool // a failing store keeps the new bound all the same
}

func (m *memBound) LoadBound() (hlc.Timestamp, error) { return m.stored, m.loadErr }

func (m *memBound) StoreBound(t hlc.Timestamp) error {
	if m.storeErr == nil || m.loses {
		m.stored = t
	}
	if m.storeErr != nil {
		return m.storeErr
	}
	m.writes++
	return nil
}

// errDisk is what a failing store returns.
var errDisk = errors.New("disk on fire")

// TestScenarios tells histories of one clock, its wall clock and its bound. Times are shown relative
// to the start of the scenario.
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata/scenarios", func(t *testing.T, path string) {
		h := &history{manual: hlc.NewManual(epoch), bound: &memBound{}}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			if d.Cmd != "run" {
				d.Fatalf(t, "unknown command %q", d.Cmd)
			}
			var out strings.Builder
			for line := range strings.SplitSeq(d.Input, "\n") {
				fmt.Fprintf(&out, "%-24s %s\n", line, h.step(t, strings.Fields(line)))
			}
			return out.String()
		})
	})
}

type history struct {
	manual *hlc.Manual
	bound  *memBound
	clock  *hlc.Clock
}

func (h *history) step(t *testing.T, f []string) string {
	duration := func(i int) time.Duration {
		d, err := time.ParseDuration(f[i])
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	result := func(ts hlc.Timestamp, err error) string {
		if err != nil {
			return showError(err)
		}
		return fmt.Sprintf("%s  bound %s", showTime(ts), showTime(h.bound.stored))
	}
	switch f[0] {
	case "start":
		opts := h.manual.Options()
		opts.Bound = h.bound
		for i := 1; i < len(f); i++ {
			name, value, _ := strings.Cut(f[i], "=")
			d, err := time.ParseDuration(value)
			if err != nil && name != "accept" {
				t.Fatal(err)
			}
			switch name {
			case "accept":
				opts.AcceptBound = true
			case "jump":
				opts.MaxJump = d
			default:
				t.Fatalf("unknown option %q", f[i])
			}
		}
		c, err := hlc.NewClock(opts)
		if err != nil {
			return showError(err)
		}
		h.clock = c
		return "last " + showTime(c.Last())
	case "crash": // the process is gone; only the bound stays
		h.clock = nil
		return "bound " + showTime(h.bound.stored)
	case "close":
		if err := h.clock.Close(); err != nil {
			return showError(err)
		}
		return "bound " + showTime(h.bound.stored)
	case "now":
		return result(h.clock.Now())
	case "update": // a remote timestamp, relative to the wall clock
		remote := hlc.FromTime(h.manual.Now().Add(duration(1)))
		return result(h.clock.Update(remote))
	case "advance":
		h.manual.Advance(duration(1))
		return "wall " + showTime(hlc.FromTime(h.manual.Now()))
	case "step":
		h.manual.Step(duration(1))
		return "wall " + showTime(hlc.FromTime(h.manual.Now()))
	case "acknowledge":
		h.clock.AcknowledgeJump()
		return "ok"
	case "disk":
		h.bound.storeErr = nil
		if f[1] == "fails" {
			h.bound.storeErr = errDisk
		}
		return f[1]
	case "waitbound":
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := h.clock.WaitBound(ctx); err != nil {
			return "would wait"
		}
		return "passed"
	case "stats":
		return fmt.Sprintf("%+v", h.clock.Stats())
	}
	t.Fatalf("unknown step %q", f)
	return ""
}

// showTime prints t relative to epoch.
func showTime(t hlc.Timestamp) string {
	if t.IsZero() {
		return "none"
	}
	return fmt.Sprintf("%v,%d", time.Duration(t.WallNanos-epoch.UnixNano()), t.Logical)
}

// showError prints the sentinel's name and the message.
func showError(err error) string {
	for name, sentinel := range map[string]error{
		"ErrClockOffset": hlc.ErrClockOffset, "ErrClockBehind": hlc.ErrClockBehind, "ErrClockJump": hlc.ErrClockJump,
		"ErrClosed": hlc.ErrClosed, "ErrExhausted": hlc.ErrExhausted, "disk error": errDisk,
	} {
		if errors.Is(err, sentinel) {
			return name + ": " + err.Error()
		}
	}
	return "untyped: " + err.Error()
}
