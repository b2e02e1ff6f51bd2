package kvstore

import (
	"context"
	"errors"
	"fmt"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/vacuum"
	"github.com/shieldmaidens/pleiades/versioning"
)

// seal ends reading and writing of a bucket.
func (d *dataBody) seal(s *kvstorev1.SealBucket) Result {
	b := d.buckets[s.GetBucketId()]
	switch {
	case b == nil:
		return Result{Err: fmt.Errorf("%w: bucket %d", kverr.ErrBucketNotFound, s.GetBucketId())}
	case keys.BucketID(b.id) == keys.DefaultBucket:
		return Result{Err: fmt.Errorf("%w: bucket %d", kverr.ErrReserved, b.id)}
	case b.state == kvstorev1.State_STATE_DELETING:
		return Result{}
	case s.GetOnlyEmpty() && b.usage.Keys > 0:
		return Result{Err: fmt.Errorf("%w: bucket %d has %d keys", kverr.ErrNotEmpty, b.id, b.usage.Keys)}
	}
	b.state = kvstorev1.State_STATE_DELETING
	d.markShare(b)
	return Result{}
}

// remove deletes the next records of a sealed bucket, and what the shard knows of it when none is left. It is the first
// command of its batch, so that what it reads is all there is.
func (d *dataBody) remove(s *kvstorev1.RemoveStep) (Result, error) {
	b := d.buckets[s.GetBucketId()]
	if b == nil {
		return Result{Done: true}, nil
	}
	if b.state != kvstorev1.State_STATE_DELETING || s.GetRecords() == 0 {
		return Result{Err: fmt.Errorf("%w: bucket %d is not sealed", kverr.ErrBadRequest, b.id)}, nil
	}
	bounds := keys.BucketBounds(keys.BucketID(b.id))
	if len(b.removedTo) > 0 {
		bounds.Lower = b.removedTo
	}
	delta, last, more, err := d.measure(bounds, int(s.GetRecords()))
	if err != nil {
		if damage(err) {
			return Result{Err: err, Fault: true}, nil
		}
		return Result{}, err
	}
	if last != nil {
		end := append(last, 0)
		if err := d.batch.DeleteRange(d.shard, bounds.Lower, end); err != nil {
			return Result{}, err
		}
		b.removedTo, b.removed = end, b.removed.Add(delta)
		b.take(delta)
		d.markShare(b)
	}
	if more {
		return Result{Removed: b.removed}, nil
	}
	return Result{Removed: b.removed, Done: true}, d.forgetBucket(b)
}

// measure returns what the first records of a range hold, the key of the last of them, and whether there are more.
func (d *dataBody) measure(bounds keys.Bounds, records int) (sum versioning.Usage, last []byte, more bool, err error) {
	it, err := d.shard.NewIterator(&engine.IterOptions{Lower: bounds.Lower, Upper: bounds.Upper, BufferRows: 1024})
	if err != nil {
		return sum, nil, false, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	n := 0
	for ok := it.First(); ok; ok = it.Next() {
		if n == records {
			return sum, last, true, nil
		}
		u, err := versioning.UsageOfRecord(it.Key(), it.Value())
		if err != nil {
			return sum, nil, false, err
		}
		sum = sum.Add(u)
		last = append(last[:0], it.Key()...)
		n++
	}
	return sum, last, false, it.Err()
}

// forgetBucket removes the shard's own records of a bucket without data.
func (d *dataBody) forgetBucket(b *bucketShare) error {
	rest := b.usage // nothing, unless counters were wrong
	b.take(rest)
	d.markUsage(b)
	for _, key := range [][]byte{
		keys.AppendBucketSettings(nil, keys.BucketID(b.id)),
		appendIDKey(nil, metaShare, kindBucket, b.id), appendIDKey(nil, metaUsage, kindBucket, b.id),
	} {
		if err := d.batch.Delete(d.shard, key); err != nil {
			return err
		}
	}
	delete(d.buckets, b.id)
	d.gone = append(d.gone, b.id)
	return nil
}

// vacuum does the operations of a step, each by itself. It is the first command of its batch, so that it fits.
func (d *dataBody) vacuum(s *kvstorev1.VacuumStep, ts hlc.Timestamp) (r Result, highest hlc.Timestamp, err error) {
	share, err := d.writable(keys.BucketID(s.GetBucketId()))
	if err != nil {
		return Result{Err: err}, ts, nil
	}
	highest = ts
	r.Outcomes = make([]vacuum.Outcome, len(s.Operations))
	for i, o := range s.Operations {
		op := versioning.Op{Kind: versioning.OpPurge, Bucket: keys.BucketID(s.BucketId), Key: o.GetKey()}
		if o.GetOldest() > 0 {
			op.Kind, op.Oldest = versioning.OpDropVersions, int(min(o.GetOldest(), anyVersion))
		}
		if op.IfRevision, err = condition(o.GetRevision()); err != nil || op.IfRevision == nil {
			r.Outcomes[i].State = vacuum.StateSkipped
			continue
		}
		d.applier.Savepoint()
		res, err := d.applier.Apply(&op, ts)
		if err != nil {
			d.applier.Rollback()
			if _, ok := refusal(err); !ok && !damage(err) {
				return Result{}, ts, err
			}
			r.Outcomes[i].State = vacuum.StateSkipped
			continue
		}
		if highest.Less(res.Revision) {
			highest = res.Revision
		}
		r.Outcomes[i] = vacuum.Outcome{State: vacuum.StateApplied, Versions: res.Dropped}
		share.add(res.Usage)
		d.markUsage(share)
	}
	return r, highest, nil
}

var _ vacuum.Executor = (*vacuumer)(nil)

// vacuumer proposes what vacuum planned.
type vacuumer struct {
	store  *Store
	caller Caller
	bucket keys.BucketID
}

// vacuumStepBytes bounds the keys of one step, each counted once for every record that goes.
const vacuumStepBytes = 4 << 20

// vacuumOpRecords bounds how many records one operation of vacuum removes.
const vacuumOpRecords = versioning.MaxVersions + 1

// Execute proposes ops in as many commands as their size asks for.
func (v *vacuumer) Execute(ctx context.Context, ops []versioning.Op) ([]vacuum.Outcome, error) {
	outcomes := make([]vacuum.Outcome, len(ops))
	for start := 0; start < len(ops); {
		step, size := &kvstorev1.VacuumStep{BucketId: uint64(v.bucket)}, 0
		i := start
		for ; i < len(ops) && (i == start || size+vacuumOpRecords*2*len(ops[i].Key) <= vacuumStepBytes); i++ {
			size += vacuumOpRecords * 2 * len(ops[i].Key)
			o := &kvstorev1.VacuumOperation{Key: ops[i].Key, Oldest: uint32(ops[i].Oldest)}
			if ops[i].IfRevision != nil {
				o.Revision = stamp(*ops[i].IfRevision)
			}
			step.Operations = append(step.Operations, o)
		}
		r, err := v.store.propose(ctx, v.store.dataLog, &kvstorev1.Command{Format: recordFormat, Caller: v.caller.message(), Vacuum: step})
		if err != nil {
			return outcomes, err
		}
		copy(outcomes[start:i], r.Outcomes)
		start = i
	}
	return outcomes, nil
}
