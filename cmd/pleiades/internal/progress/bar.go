package progress

import (
	"fmt"
	"io"
	"strings"
	"time"
)

const (
	// delay is how long a command may take without a bar.
	delay = time.Second
	// interval is the time between two drawings.
	interval = 100 * time.Millisecond
	barWidth = 24
)

// Bar is a progress bar. The zero Bar and a nil *Bar draw nothing.
type Bar struct {
	w     io.Writer
	now   func() time.Time
	label string
	total int64
	unit  string

	start, drawn time.Time
	shown        bool
}

// New returns a bar on w, or one that draws nothing when terminal is false. total is in the given unit, 0
// when nobody knows it; the unit "B" is shown as KiB, MiB, GiB.
func New(w io.Writer, terminal bool, now func() time.Time, label string, total int64, unit string) *Bar {
	if !terminal {
		return nil
	}
	t := now()
	return &Bar{w: w, now: now, label: label, total: total, unit: unit, start: t, drawn: t}
}

// Set draws the bar when it is due: done of the total is finished, note stands at the end of the line.
// Errors of the terminal are ignored; the work is what counts.
func (b *Bar) Set(done int64, note string) {
	if b == nil || b.now == nil {
		return
	}
	t := b.now()
	if t.Sub(b.start) < delay || t.Sub(b.drawn) < interval {
		return
	}
	b.drawn, b.shown = t, true
	fmt.Fprint(b.w, "\r\x1b[K"+b.line(done, t.Sub(b.start), note))
}

// Clear removes the bar from the line, so that something else can be written there.
func (b *Bar) Clear() {
	if b == nil || !b.shown {
		return
	}
	b.shown = false
	fmt.Fprint(b.w, "\r\x1b[K")
}

func (b *Bar) line(done int64, elapsed time.Duration, note string) string {
	var sb strings.Builder
	sb.WriteString(b.label)
	rate := float64(done) / elapsed.Seconds()
	if b.total > 0 {
		share := min(1, float64(done)/float64(b.total))
		full := int(share * barWidth)
		fmt.Fprintf(&sb, " [%s%s] %3.0f%%", strings.Repeat("#", full), strings.Repeat(".", barWidth-full), share*100)
	}
	fmt.Fprintf(&sb, "  %s  %s/s", Amount(done, b.unit), Amount(int64(rate), b.unit))
	if b.total > done && rate > 0 {
		left := time.Duration(float64(b.total-done) / rate * float64(time.Second))
		fmt.Fprintf(&sb, "  %s left", left.Round(time.Second))
	}
	if note != "" {
		sb.WriteString("  " + note)
	}
	return sb.String()
}

// Amount is a number with its unit; bytes ("B") are shown in powers of 1,024.
func Amount(n int64, unit string) string {
	if unit != "B" {
		return fmt.Sprintf("%d %s", n, unit)
	}
	f, names := float64(n), []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	i := 0
	for ; f >= 1024 && i < len(names)-1; i++ {
		f /= 1024
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", f, names[i])
}
