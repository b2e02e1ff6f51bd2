package vacuum

import (
	"bytes"
	"context"
	"errors"
	"iter"

	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/versioning"
)

// Step is one thing to do: a deterministic operation on one key, OpDropVersions or OpPurge, that
// applies only if the key's revision is Op.IfRevision.
type Step struct {
	Op     versioning.Op
	Reason Reason
	// Versions is how many versions the step removes; those of a purge include the latest.
	Versions int
	// Bytes is how much the records of these versions hold: stored keys, values and trailers, before
	// compression and without descriptors.
	Bytes int64
}

// records is how many records the step removes.
func (s *Step) records() int {
	if s.Op.Kind == versioning.OpPurge {
		return s.Versions + 1
	}
	return s.Versions
}

// Plan yields what Run would do, in key order, and changes nothing. Steps belong to the caller. It
// reads in chunks, each at one instant; a key that is written while its chunk is read may yield a step
// whose revision has passed, which does nothing when it is executed. opts may be nil; of it, Start,
// End, Prefix and Now count. An error is the last thing yielded: ErrInvalidPolicy, ErrInvalidOptions,
// ctx's, and what the store's reads return.
func Plan(ctx context.Context, bucket *versioning.Bucket, policy Policy, opts *Options) iter.Seq2[Step, error] {
	return func(yield func(Step, error) bool) {
		o, err := opts.withDefaults(bucket, policy)
		if err != nil {
			yield(Step{}, err)
			return
		}
		for p := newPlanner(bucket, policy, o); !p.done; {
			steps, err := p.chunk(ctx, chunkKeys)
			for _, s := range steps {
				if !yield(s, nil) {
					return
				}
			}
			if err != nil {
				yield(Step{}, err)
				return
			}
		}
	}
}

// planner walks over the keys of a bucket in chunks.
type planner struct {
	bucket *versioning.Bucket
	policy Policy
	now    hlc.Timestamp
	// next is where the next chunk starts, and end where the last one ends, nil for the bucket's end.
	next, end []byte
	seen      int64
	done      bool
}

func newPlanner(bucket *versioning.Bucket, policy Policy, o *Options) *planner {
	return &planner{bucket: bucket, policy: policy, now: o.Now, next: o.Start, end: o.End}
}

// chunk judges up to limit keys and moves on behind them. With an error it returns the steps up to
// where it came, and has moved on behind them only.
func (p *planner) chunk(ctx context.Context, limit int) ([]Step, error) {
	// Read anew for every chunk: a setting that was raised meanwhile should count.
	settings, err := p.bucket.Settings(ctx)
	if err != nil {
		return nil, err
	}
	r := newRules(p.policy, p.now, settings.MaxVersions)
	var steps []Step
	seen := 0
	for e, err := range p.bucket.Scan(ctx, &versioning.ScanOptions{
		Start: p.next, End: p.end, Limit: limit, Deleted: true, Borrow: true,
	}) {
		if err != nil {
			return steps, err
		}
		if v := r.judge(&e.Descriptor); !v.nothing() {
			step, err := p.step(ctx, r, v, e.Key, &e.Descriptor)
			if err != nil {
				return steps, err
			}
			if step.Versions > 0 {
				steps = append(steps, step)
			}
		}
		p.next = keys.Successor(nil, e.Key)
		p.seen++
		seen++
	}
	p.done = seen < limit
	return steps, nil
}

// step measures what a verdict removes, and finds out how far age lets it go. A step that removes no
// version is nothing to do.
func (p *planner) step(ctx context.Context, r rules, v verdict, key []byte, d *versioning.Descriptor) (Step, error) {
	revision := d.Revision
	s := Step{
		Reason: v.reason,
		Op:     versioning.Op{Kind: versioning.OpPurge, Bucket: p.bucket.ID(), Key: bytes.Clone(key), IfRevision: &revision},
	}
	last := d.Versions
	if !v.purge {
		s.Op.Kind, s.Op.Oldest = versioning.OpDropVersions, d.Oldest
		last = v.ceiling
	}
	stem := len(keys.AppendStem(nil, p.bucket.ID(), key))
	var held int64 // bytes of the version before, of which it is not known yet whether it goes
	for ver, err := range p.bucket.History(ctx, key, &versioning.HistoryOptions{From: d.Oldest, To: last, OldestFirst: true}) {
		if errors.Is(err, versioning.ErrNotFound) {
			return Step{}, nil // purged meanwhile
		}
		if err != nil {
			return Step{}, err
		}
		n := storedBytes(stem, ver)
		if v.purge {
			s.Versions++
			s.Bytes += n
			continue
		}
		if ver.Version > d.Oldest { // whether the version below goes is known by now
			if ver.Version > v.floor && !r.superseded(ver.Timestamp) {
				break
			}
			s.Versions++
			s.Bytes += held
			s.Op.Oldest = ver.Version
		}
		held = n
	}
	if s.Op.Kind == versioning.OpDropVersions && s.Op.Oldest <= v.floor && s.Reason == ReasonRetention && v.floor < v.ceiling {
		s.Reason = ReasonMaxVersions // age kept everything that the settings do not forbid
	}
	return s, nil
}

// storedBytes is how much the record of one version holds.
func storedBytes(stem int, v versioning.Value) int64 {
	n := stem + keys.SuffixBytes + v.Size + versioning.TrailerBytes
	if !v.ExpireAt.IsZero() {
		n += versioning.ExpiryBytes
	}
	return int64(n)
}
