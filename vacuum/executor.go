package vacuum

import (
	"context"
	"errors"
	"slices"

	"github.com/shieldmaidens/pleiades/versioning"
)

// Executor applies operations that were planned: to a store directly, or as proposals to a group of
// replicas.
type Executor interface {
	// Execute applies ops, OpDropVersions and OpPurge with IfRevision, of different keys, and
	// returns what came of each, in their order, also together with an error. An op whose key has
	// changed or is gone is skipped and does not hold up the others. Each op is applied completely or
	// not at all; not all of them need to be applied together. The ops and what they point to are
	// the caller's again when Execute returns.
	//
	// An op that is applied a second time removes nothing. So after an error that matches
	// base.ErrOverloaded vacuum pauses and passes those again that are StatePending.
	Execute(ctx context.Context, ops []versioning.Op) ([]Outcome, error)
}

// State says whether an operation was applied.
type State uint8

// The states of an operation.
const (
	// StatePending: nobody knows that it was applied.
	StatePending State = 0
	// StateApplied: it was applied.
	StateApplied State = 1
	// StateSkipped: its key was written or removed since it was judged; nothing was done.
	StateSkipped State = 2
)

// Outcome is what came of one operation.
type Outcome struct {
	State State
	// Versions is how many versions the operation removed; fewer than planned, and even none, when
	// another vacuum was faster.
	Versions int
}

// storeExecutor commits operations to one store.
type storeExecutor struct {
	store *versioning.Store
}

var _ Executor = (*storeExecutor)(nil)

// NewStoreExecutor returns an executor that commits to store: one batch a call, unsynced, because
// what a power failure takes back the next run does again.
func NewStoreExecutor(store *versioning.Store) Executor { return &storeExecutor{store: store} }

// maxConflicts is how many conflicts a batch is written again for, before its operations go one by
// one: each new try takes all locks and reads all descriptors again.
const maxConflicts = 8

// Execute commits ops as one batch, leaving out those that meet another revision.
func (x *storeExecutor) Execute(ctx context.Context, ops []versioning.Op) ([]Outcome, error) {
	outcomes := make([]Outcome, len(ops))
	left := make([]int, len(ops)) // indexes of the ops that are still to be done
	for i := range ops {
		left[i] = i
	}
	for range maxConflicts {
		conflict, err := x.commit(ctx, ops, left, outcomes)
		if err != nil || conflict < 0 {
			return outcomes, err
		}
		outcomes[left[conflict]].State = StateSkipped
		left = slices.Delete(left, conflict, conflict+1)
	}
	for i := range left {
		conflict, err := x.commit(ctx, ops, left[i:i+1], outcomes)
		if err != nil {
			return outcomes, err
		}
		if conflict >= 0 {
			outcomes[left[i]].State = StateSkipped
		}
	}
	return outcomes, nil
}

// commit writes the ops with the given indexes in one batch and fills in their outcomes. When one of
// them meets another revision nothing is written, and its place in indexes is returned; -1 if none
// does.
func (x *storeExecutor) commit(ctx context.Context, ops []versioning.Op, indexes []int, outcomes []Outcome) (conflict int, err error) {
	batch := x.store.NewBatch()
	for _, i := range indexes {
		if err := batch.Add(x.store, &ops[i]); err != nil {
			return -1, err
		}
	}
	results, err := batch.Commit(ctx, &versioning.BatchOptions{NoSync: true})
	var failed *versioning.OpError
	switch {
	case err == nil:
		for n := range results {
			outcomes[indexes[n]] = Outcome{State: StateApplied, Versions: results[n].Dropped}
		}
		return -1, nil
	case errors.As(err, &failed) && (errors.Is(err, versioning.ErrRevisionMismatch) || errors.Is(err, versioning.ErrNotFound)):
		return failed.Index, nil
	}
	return -1, err
}
