package versioning

import (
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
)

// Reset makes the applier as NewApplier would return it for batch, with the memory that it has: for a state machine, which
// applies one batch after the other. lone promises that at most one operation on a key will be applied, so that nothing has
// to be remembered for later ones; settings of buckets do not count. Call it behind Committed or Discard.
func (a *Applier) Reset(batch *engine.Batch, lone bool) {
	const keep = 64 << 10
	a.batch, a.lone = batch, lone
	a.overlay.reset()
	a.settings, a.highest, a.err = nil, hlc.Timestamp{}, nil
	saved := a.undo.saved
	clear(saved)
	a.hooks = hooks{undo: savepoint{saved: saved[:0]}}
	if cap(a.record) > keep {
		a.record = nil
	}
	read := 0
	for i := range a.result.Len() {
		value, _ := a.result.Value(i)
		read += len(value)
	}
	if read > keep {
		a.result = engine.MultiResult{}
	}
}
