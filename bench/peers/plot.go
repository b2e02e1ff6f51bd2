package main

import (
	"fmt"
	"html"
	"strings"

	"github.com/shieldmaidens/pleiades/bench"
)

// Measures of the plot in pixels.
const (
	plotPanelWidth = 360
	plotLabelWidth = 112
	plotBarHeight  = 14
	plotGap        = 5
	plotMargin     = 16
	plotColumns    = 3
	plotHead       = 64
)

// svg draws a panel for each workload with a bar for each system, longer is faster, and the range of
// the rounds as a thin line. Ours is drawn in another colour.
func (o *outcome) svg() string {
	panelHeight := 28 + len(o.Systems)*(plotBarHeight+plotGap) + plotMargin
	rows := (len(o.Workloads) + plotColumns - 1) / plotColumns
	width := plotMargin + plotColumns*(plotPanelWidth+plotMargin)
	height := plotHead + rows*panelHeight + plotMargin
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, `<rect width="%d" height="%d" fill="#ffffff"/>`+"\n", width, height)
	fmt.Fprintf(&b, `<text x="%d" y="24" font-size="16" font-weight="bold">Operations a second, median of %d rounds (longer is faster; line: range)</text>`+"\n", plotMargin, o.Rounds)
	fmt.Fprintf(&b, `<text x="%d" y="44" fill="#555555">%s</text>`+"\n", plotMargin, html.EscapeString(o.Machine.String()))
	for i, workload := range o.Workloads {
		x := plotMargin + i%plotColumns*(plotPanelWidth+plotMargin)
		y := plotHead + i/plotColumns*panelHeight
		o.panel(&b, x, y, workload)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (o *outcome) panel(b *strings.Builder, x, y int, workload string) {
	most := 0.0
	for _, s := range o.Systems {
		most = max(most, o.speed(s, workload).high)
	}
	fmt.Fprintf(b, `<text x="%d" y="%d" font-size="13" font-weight="bold">%s</text>`+"\n", x, y+16, html.EscapeString(workload))
	const room = plotPanelWidth - plotLabelWidth - 52
	for i, s := range o.Systems {
		f := o.speed(s, workload)
		top := y + 28 + i*(plotBarHeight+plotGap)
		middle := top + plotBarHeight/2
		fmt.Fprintf(b, `<text x="%d" y="%d" text-anchor="end">%s</text>`+"\n", x+plotLabelWidth-6, middle+4, html.EscapeString(s))
		if f.n == 0 || most == 0 {
			continue
		}
		at := func(v float64) float64 { return float64(x+plotLabelWidth) + v/most*room }
		colour := "#9aa7b5"
		if s == "pleiades" || s == "versioned" {
			colour = "#2f6fb3"
		}
		fmt.Fprintf(b, `<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>`+"\n", x+plotLabelWidth, top, f.median/most*room, plotBarHeight, colour)
		fmt.Fprintf(b, `<line x1="%.1f" x2="%.1f" y1="%d" y2="%d" stroke="#222222"/>`+"\n", at(f.low), at(f.high), middle, middle)
		fmt.Fprintf(b, `<text x="%.1f" y="%d">%s</text>`+"\n", at(f.high)+5, middle+4, bench.Count(f.median))
	}
}
