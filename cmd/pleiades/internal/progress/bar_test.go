package progress

import (
	"bytes"
	"math"
	"strings"
	"testing"
	"time"
)

func TestBar(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(1000, 0)
	b := New(&out, true, func() time.Time { return now }, "loading", 100<<20, "B")
	b.Set(1<<20, "")
	now = now.Add(delay - time.Nanosecond)
	b.Set(2<<20, "")
	b.Clear()
	if out.Len() > 0 {
		t.Fatalf("drawn within the first second: %q", out.String())
	}
	now = now.Add(time.Second + time.Nanosecond)
	b.Set(50<<20, "7 bad")
	now = now.Add(interval - 1)
	b.Set(60<<20, "too soon")
	b.Clear()
	b.Clear()
	want := "\r\x1b[Kloading [############............]  50%  50.0 MiB  25.0 MiB/s  2s left  7 bad\r\x1b[K"
	if out.String() != want {
		t.Fatalf("%q", out.String())
	}
	now = now.Add(interval)
	b.Set(200<<20, "")
	if !strings.Contains(out.String(), "] 100%  200.0 MiB") {
		t.Fatalf("more than the total: %q", out.String())
	}
}

// TestUnknownTotal: without a total there is no bar and no promise, but an amount and a rate.
func TestUnknownTotal(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(1000, 0)
	b := New(&out, true, func() time.Time { return now }, "checking", 0, "keys")
	now = now.Add(2 * time.Second)
	b.Set(10, "")
	if out.String() != "\r\x1b[Kchecking  10 keys  5 keys/s" {
		t.Fatalf("%q", out.String())
	}
}

func TestNoTerminal(t *testing.T) {
	var out bytes.Buffer
	b := New(&out, false, time.Now, "x", 1, "B")
	b.Set(1, "")
	b.Clear()
	(&Bar{}).Set(1, "")
	if out.Len() > 0 {
		t.Fatal(out.String())
	}
}

func TestAmount(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 50163761: "47.8 MiB", math.MaxInt64: "8.0 EiB"} {
		if got := Amount(n, "B"); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}
