package versioning

import (
	"maps"

	"github.com/shieldmaidens/pleiades/engine"
)

// savepoint is what an applier needs to forget the operations since Savepoint.
type savepoint struct {
	armed bool
	mark  engine.BatchMark
	saved []savedState
}

// savedState is a key as it was before one operation.
type savedState struct {
	state *keyState
	was   keyState
}

// Savepoint marks the present state of the applier and its batch, for Rollback. There is one savepoint: another call
// moves it. Whoever adds to the batch besides the applier adds behind the same mark.
func (a *Applier) Savepoint() {
	a.undo.armed = true
	a.undo.mark = a.batch.Mark()
	clear(a.undo.saved)
	a.undo.saved = a.undo.saved[:0]
}

// Rollback takes back every operation on keys since Savepoint, and whatever else was added to the batch since then: the
// applier and the batch are as they were, also after an error that Err returns. Settings of buckets are not taken back:
// let OpSetSettings be the last operation behind a savepoint. Without a savepoint it does nothing.
func (a *Applier) Rollback() {
	if !a.undo.armed {
		return
	}
	a.batch.Rollback(a.undo.mark)
	for i := len(a.undo.saved) - 1; i >= 0; i-- {
		s := &a.undo.saved[i]
		s.was.sameHash = s.state.sameHash // the index stays
		*s.state = s.was
	}
	clear(a.undo.saved)
	a.undo.saved = a.undo.saved[:0]
	a.err = nil
}

// save remembers a key as it is before an operation changes it.
func (a *Applier) save(st *keyState) {
	if !a.undo.armed {
		return
	}
	was := *st
	if st.slots != nil {
		was.slots = maps.Clone(st.slots) // changed in place
	}
	a.undo.saved = append(a.undo.saved, savedState{state: st, was: was})
}
