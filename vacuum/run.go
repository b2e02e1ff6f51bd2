package vacuum

import (
	"context"
	"errors"
	"fmt"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/versioning"
)

// maxOverloads is how many times in a row a batch is tried against ErrOverloaded.
const maxOverloads = 10

// Run removes from a bucket what policy does not keep, in bounded batches, and compacts the range
// that it changed. opts may be nil and is not kept. The report is right also when there is an error:
// what it counts was done, and Report.Next is where another run goes on. Run may be repeated at any
// time.
//
// Errors: ErrInvalidPolicy, ErrInvalidOptions; ctx's; what the store and the executor return, among
// them base.ErrCorruption for a damaged descriptor, at which the run stops.
func Run(ctx context.Context, bucket *versioning.Bucket, policy Policy, opts *Options) (Report, error) {
	o, err := opts.withDefaults(bucket, policy)
	if err != nil {
		return Report{}, err
	}
	r := &run{
		bucket: bucket, o: o, pace: pace{o: o}, planner: newPlanner(bucket, policy, o),
		bounds: keys.RangeBounds(bucket.ID(), o.Start, o.End),
	}
	r.report = Report{DryRun: o.DryRun, Phase: PhaseVacuum, Next: append([]byte{}, o.Start...)}
	if err := r.all(ctx); err != nil {
		return r.snapshot(), fmt.Errorf("vacuum of bucket %d: %w", bucket.ID(), err)
	}
	return r.snapshot(), nil
}

// run is one Run under way.
type run struct {
	bucket  *versioning.Bucket
	o       *Options
	pace    pace
	planner *planner
	report  Report
	// bounds are the stored keys of the whole run.
	bounds keys.Bounds
	// first and last are the lowest and highest key that was changed; nil for none.
	first, last []byte
}

// snapshot returns the report so far.
func (r *run) snapshot() Report {
	report := r.report
	report.Yields, report.Waited = r.pace.yields, r.pace.waited
	return report
}

func (r *run) progress() {
	if r.o.Progress != nil {
		r.o.Progress(r.snapshot())
	}
}

func (r *run) all(ctx context.Context) error {
	size, err := r.diskBytes()
	if err != nil {
		return err
	}
	r.report.DiskBefore = size
	limit := int(slice(r.o.KeysPerSecond, chunkKeys))
	for !r.planner.done {
		if err := r.pace.await(ctx); err != nil {
			return err
		}
		if err := r.chunk(ctx, limit); err != nil {
			return err
		}
	}
	r.report.Next = nil
	if !r.o.DryRun {
		if err := r.compact(ctx); err != nil {
			return err
		}
	}
	r.report.Phase = PhaseDone
	r.progress()
	return nil
}

// chunk judges the next keys and does what is to be done about them.
func (r *run) chunk(ctx context.Context, limit int) error {
	before := r.planner.seen
	steps, planErr := r.planner.chunk(ctx, limit)
	looked := r.planner.seen - before
	r.pace.spend(looked, 0)
	for len(steps) > 0 {
		n := r.batch(steps)
		r.report.Next = steps[0].Op.Key // until the batch is in
		if r.o.DryRun {
			r.count(steps[:n], nil)
		} else if err := r.execute(ctx, steps[:n]); err != nil {
			return err
		}
		steps = steps[n:]
	}
	r.report.Keys += looked
	r.report.Next = r.planner.next
	r.progress()
	return planErr
}

// batch returns how many of the steps make up the next batch: at least one.
func (r *run) batch(steps []Step) int {
	n, records, size := 0, 0, int64(0)
	for n < len(steps) && n < r.o.BatchKeys {
		records += steps[n].records()
		size += steps[n].Bytes
		if n > 0 && (records > batchRecords || r.o.BytesPerSecond > 0 && size > slice(r.o.BytesPerSecond, size)) {
			break
		}
		n++
	}
	return n
}

// execute applies steps as one batch.
func (r *run) execute(ctx context.Context, steps []Step) error {
	for overloads := 0; ; {
		if err := r.pace.await(ctx); err != nil {
			return err
		}
		ops := make([]versioning.Op, len(steps))
		for i := range steps {
			ops[i] = steps[i].Op
		}
		outcomes, err := r.o.Executor.Execute(ctx, ops)
		if len(outcomes) != len(steps) && (err == nil || len(outcomes) != 0) {
			return errors.Join(err, fmt.Errorf("the executor gave %d outcomes for %d operations", len(outcomes), len(steps)))
		}
		if len(outcomes) > 0 {
			r.count(steps, outcomes)
			steps = pending(steps, outcomes)
		}
		r.progress()
		if err == nil && len(steps) > 0 {
			return fmt.Errorf("the executor left %d operations without an outcome", len(steps))
		}
		if err == nil {
			return nil
		}
		if len(steps) > 0 {
			r.report.Next = steps[0].Op.Key
		}
		if overloads++; !errors.Is(err, base.ErrOverloaded) || overloads == maxOverloads {
			return err
		}
		r.pace.yields++
		if err := r.pace.pause(ctx, min(minPause<<(overloads-1), maxPause)); err != nil {
			return err
		}
	}
}

// pending returns the steps that have not been applied or skipped.
func pending(steps []Step, outcomes []Outcome) []Step {
	var left []Step
	for i := range steps {
		if outcomes[i].State == StatePending {
			left = append(left, steps[i])
		}
	}
	return left
}

// count adds steps to the report; without outcomes as if all were applied.
func (r *run) count(steps []Step, outcomes []Outcome) {
	var removed int64
	for i := range steps {
		s, o := &steps[i], Outcome{State: StateApplied, Versions: steps[i].Versions}
		if outcomes != nil {
			o = outcomes[i]
		}
		switch {
		case o.State == StatePending:
			continue
		case o.State == StateSkipped:
			r.report.Skipped++
			continue
		case o.Versions == 0:
			continue // another vacuum was faster
		case s.Op.Kind == versioning.OpPurge:
			r.report.Purged++
		default:
			r.report.Trimmed++
		}
		r.report.Versions += int64(o.Versions)
		if o.Versions == s.Versions { // else another vacuum took some, and nobody knows their bytes
			removed += s.Bytes
		}
		if r.first == nil {
			r.first = s.Op.Key
		}
		r.last = s.Op.Key
	}
	r.report.Bytes += removed
	r.pace.spend(0, removed)
}

// compact gives the space of the changed range back, if that is wanted, and measures.
func (r *run) compact(ctx context.Context) (err error) {
	if r.first != nil && r.compactionDue() {
		r.report.Phase = PhaseCompact
		r.progress()
		id := r.bucket.ID()
		lower, upper := keys.KeyBounds(id, r.first).Lower, keys.KeyBounds(id, r.last).Upper
		if err := r.bucket.Store().Shard().Compact(ctx, lower, upper); err != nil {
			return err
		}
		r.report.Compacted = true
	}
	r.report.DiskAfter, err = r.diskBytes()
	return err
}

func (r *run) compactionDue() bool {
	switch r.o.Compact {
	case CompactAlways:
		return true
	case CompactNever:
		return false
	default:
		return uint64(r.report.Bytes) >= r.report.DiskBefore/10
	}
}

// diskBytes estimates what the range of the run takes on disk.
func (r *run) diskBytes() (uint64, error) {
	if r.bounds.Empty() {
		return 0, nil
	}
	return r.bucket.Store().Shard().ApproximateSize(r.bounds.Lower, r.bounds.Upper)
}
