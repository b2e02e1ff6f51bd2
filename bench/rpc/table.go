package main

import (
	"fmt"
	"strings"
)

// text is the outcome for people.
func (o *outcome) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s, median of %d rounds of %s; range of the rounds in %%. GOMAXPROCS:", o.Machine, o.Go, o.Rounds, o.Duration)
	for _, s := range o.Systems {
		fmt.Fprintf(&b, " %s %d", s, o.Procs[s])
	}
	b.WriteString(".\n")
	o.table(&b, "Calls a second", func(s sample) float64 { return s.perSecond() }, "%.0f")
	o.table(&b, "Median latency, µs", func(s sample) float64 { return s.P50 }, "%.0f")
	o.table(&b, "99th percentile, µs", func(s sample) float64 { return s.P99 }, "%.0f")
	o.table(&b, "CPU seconds of both processes for 100,000 calls", func(s sample) float64 { return s.cpuPer100k() }, "%.2f")
	if len(o.Systems) > 1 {
		o.ratios(&b)
	}
	return b.String()
}

func (o *outcome) table(b *strings.Builder, title string, of func(sample) float64, format string) {
	fmt.Fprintf(b, "\n%s\n%15s", title, "")
	for _, s := range o.Systems {
		fmt.Fprintf(b, "%18s", s)
	}
	b.WriteByte('\n')
	for _, c := range o.Cases {
		fmt.Fprintf(b, "%15s", c)
		for _, s := range o.Systems {
			values := o.values(s, c, of)
			m := median(values)
			low, high := m, m
			for _, v := range values {
				low, high = min(low, v), max(high, v)
			}
			fmt.Fprintf(b, "%18s", fmt.Sprintf(format+" (%.0f)", m, 100*(high-low)/m))
		}
		b.WriteByte('\n')
	}
}

// ratios compares the first system with the others, each round's two runs with each other.
func (o *outcome) ratios(b *strings.Builder) {
	first := o.Systems[0]
	for _, r := range []struct {
		title string
		of    func(sample) float64
	}{
		{"Calls a second: " + first + " over the other", func(s sample) float64 { return s.perSecond() }},
		{"CPU a call: " + first + " over the other", func(s sample) float64 { return s.cpuPer100k() }},
		{"Median latency: " + first + " over the other", func(s sample) float64 { return s.P50 }},
	} {
		fmt.Fprintf(b, "\n%s\n%15s", r.title, "")
		for _, s := range o.Systems[1:] {
			fmt.Fprintf(b, "%18s", s)
		}
		b.WriteByte('\n')
		for _, c := range o.Cases {
			fmt.Fprintf(b, "%15s", c)
			ours := o.values(first, c, r.of)
			for _, s := range o.Systems[1:] {
				var each []float64
				for i, v := range o.values(s, c, r.of) {
					each = append(each, ours[i]/v)
				}
				fmt.Fprintf(b, "%18s", fmt.Sprintf("%.2f", median(each)))
			}
			b.WriteByte('\n')
		}
	}
}

func (o *outcome) values(system, c string, of func(sample) float64) []float64 {
	var all []float64
	for _, s := range o.Samples[system][c] {
		all = append(all, of(s))
	}
	return all
}
