package cli

import "github.com/shieldmaidens/pleiades/cmd/pleiades/internal/progress"

// barOnce is a bar whose total is known only when the work has begun.
type barOnce struct{ bar *progress.Bar }

func (b *barOnce) of(a *App, label string, total int64, unit string) *progress.Bar {
	if b.bar == nil {
		b.bar = a.bar(label, total, unit)
	}
	return b.bar
}

func (b *barOnce) Clear() { b.bar.Clear() }
