package versioning

import (
	"context"
	"errors"
	"fmt"

	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/keys"
)

// Usage is what a bucket holds, or by how much an operation changes that.
type Usage struct {
	// Keys have a descriptor; deleted ones do until they are purged.
	Keys int64
	// Versions count tombstones too. Bytes are those of their values, each with the bytes of its key.
	Versions, Bytes int64
}

// Add returns the sum.
func (u Usage) Add(v Usage) Usage {
	return Usage{Keys: u.Keys + v.Keys, Versions: u.Versions + v.Versions, Bytes: u.Bytes + v.Bytes}
}

// UsageOfRecord returns what one stored record of the data namespace counts for.
func UsageOfRecord(stored, value []byte) (Usage, error) {
	rec, err := keys.Parse(nil, stored)
	if err != nil {
		return Usage{}, err
	}
	switch rec.Kind {
	case keys.KindDescriptor:
		return Usage{Keys: 1}, nil
	case keys.KindLatest, keys.KindVersion:
		r, _, err := splitRecord(value)
		if err != nil {
			return Usage{}, err
		}
		return Usage{Versions: 1, Bytes: int64(len(rec.Key) + len(r.Data))}, nil
	default:
		return Usage{}, nil
	}
}

// CountUsage reads the whole bucket and returns what it holds. It keeps an iterator while it runs: the answer is of one
// instant. Errors: ctx.Err(), and those of damaged records.
func (b *Bucket) CountUsage(ctx context.Context) (total Usage, err error) {
	if err := b.ready(ctx); err != nil {
		return total, err
	}
	bounds := keys.BucketBounds(b.id)
	it, err := b.store.shard.NewIterator(&engine.IterOptions{Lower: bounds.Lower, Upper: bounds.Upper, LongScan: true})
	if err != nil {
		return total, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	rows := 0
	for ok := it.First(); ok; ok = it.Next() {
		if rows++; rows%scanCheckRows == 0 {
			if err := ctx.Err(); err != nil {
				return total, err
			}
		}
		u, err := UsageOfRecord(it.Key(), it.Value())
		if err != nil {
			return total, fmt.Errorf("count what bucket %d holds: %w", b.id, err)
		}
		total = total.Add(u)
	}
	return total, nil
}

// hooks is what an applier keeps for those who count usage, and take operations back.
type hooks struct {
	// bumped: an operation got another timestamp than it was given.
	bumped bool
	undo   savepoint
	// usage is that of the operation under way.
	usage Usage
	// unmarks: the batch removes the mark of counted stores.
	unmarks bool
}

// guarded executes a planned operation once it has passed the last checks.
func (a *Applier) guarded(op *Op, st *keyState, rec Record) error {
	if err := a.before(op, st); err != nil {
		return err
	}
	return a.execute(st, rec)
}

// before is called with a planned operation right before it changes anything.
func (a *Applier) before(op *Op, st *keyState) (err error) {
	if op.IfVersion != 0 && op.IfVersion != st.desc.count {
		return fmt.Errorf("%w: expected version %d to be the latest, the key has %d", ErrRevisionMismatch, op.IfVersion, st.desc.count)
	}
	a.save(st)
	if a.plan.nothing {
		a.usage = Usage{}
		return nil
	}
	if a.store.opts.Counted {
		a.usage, err = a.planUsage(op, st)
		return err
	}
	return a.dropMark()
}

// planUsage returns by how much the plan changes what the bucket holds. The sizes of versions that cease to exist are
// read.
func (a *Applier) planUsage(op *Op, st *keyState) (Usage, error) {
	p, d := &a.plan, &st.desc
	u := Usage{Versions: -int64(p.dropped)}
	if p.latest {
		u.Versions++
		u.Bytes += int64(len(op.Key)) + p.after.latestBytes
		if !d.exists() {
			u.Keys++
		}
	}
	if p.purge {
		u.Keys--
	}
	for v := d.oldest; v < d.oldest+p.dropped; v++ {
		n := d.latestBytes
		if v != d.count {
			var err error
			if n, err = a.slotBytes(st, slotOf(v, d.base)); err != nil {
				return u, err
			}
		}
		u.Bytes -= int64(len(op.Key)) + n
	}
	return u, nil
}

// slotBytes returns the size of the value in a slot as it is before the operation.
func (a *Applier) slotBytes(st *keyState, slot uint8) (n int64, err error) {
	measure := func(stored []byte) error {
		r, _, err := splitRecord(stored)
		n = int64(len(r.Data))
		return err
	}
	src := st.slot(slot)
	if src.bytes != nil {
		return n, measure(src.bytes)
	}
	key := append(append([]byte(nil), st.stem()...), keys.DelimVersion, src.stored)
	if err = a.store.shard.View(key, nil, measure); isMissing(err) {
		err = fmt.Errorf("%w: slot %d", ErrMissingRecord, slot)
	}
	return n, err
}

// What a store knows of the mark that says that somebody counts what its buckets hold.
const (
	markUnknown uint32 = 0
	markThere   uint32 = 1
	markGone    uint32 = 2
)

// dropMark removes the mark in the same batch as the first write that nobody counts, so that who counts will count anew.
func (a *Applier) dropMark() error {
	s := a.store
	if s.mark.Load() == markUnknown {
		there, err := s.shard.Has(keys.AppendCountedMark(nil), nil)
		if err != nil {
			return err
		}
		if there {
			s.mark.Store(markThere)
		} else {
			s.mark.Store(markGone)
		}
	}
	if s.mark.Load() == markGone || a.unmarks {
		return nil
	}
	a.unmarks = true
	return a.batch.Delete(s.shard, keys.AppendCountedMark(nil))
}

// marksCommitted is called when the batch was committed.
func (a *Applier) marksCommitted() {
	if a.unmarks {
		a.store.mark.Store(markGone)
	}
}
