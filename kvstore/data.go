package kvstore

import (
	"errors"
	"fmt"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/versioning"
)

// dataBody is the machine of a data shard: versioned keys, the counters of buckets and accounts, and the quotas.
type dataBody struct {
	shard *engine.Shard
	store *versioning.Store
	views shareViews

	accounts map[uint64]*accountShare
	buckets  map[uint64]*bucketShare

	encoder encoder
	// Of the batch under way.
	batch   *engine.Batch
	applier *versioning.Applier
	ops     []versioning.Op
	spans   []opSpan
	dirty   []*bucketShare // and their accounts
	touched []*accountShare
	changes []change
	gone    []uint64 // buckets
	lost    []uint64 // accounts
}

// opSpan is the operations of one command in dataBody.ops.
type opSpan struct {
	from, to int
	err      error
}

// change is what one operation did to the counters.
type change struct {
	bucket *bucketShare
	delta  versioning.Usage
}

var _ body = (*dataBody)(nil)

func newDataBody(store *versioning.Store) *dataBody {
	d := &dataBody{shard: store.Shard(), store: store}
	d.views.buckets, d.views.accounts = map[uint64]*bucketView{}, map[uint64]*accountView{}
	return d
}

func (d *dataBody) first(cmd *kvstorev1.Command) bool {
	return cmd.Remove != nil || cmd.ShareBucket != nil || cmd.Vacuum != nil
}

// begin collects the operations of all commands and reads what they need in a few calls.
func (d *dataBody) begin(batch *engine.Batch, cmds []*kvstorev1.Command) error {
	d.reset()
	d.batch = batch
	for _, cmd := range cmds {
		span := opSpan{from: len(d.ops)}
		d.ops, span.err = appendOps(d.ops, cmd)
		span.to = len(d.ops)
		d.spans = append(d.spans, span)
	}
	if d.applier == nil {
		d.applier = d.store.NewApplier(batch)
	}
	d.applier.Reset(batch, len(cmds) == 1 && len(d.ops) == 1)
	if len(d.ops) > 1 {
		return d.applier.Prefetch(d.ops)
	}
	return nil
}

func (d *dataBody) reset() {
	const keep = 4096
	if cap(d.ops) > keep {
		d.ops = nil
	}
	clear(d.ops)
	clear(d.spans)
	d.ops, d.spans = d.ops[:0], d.spans[:0]
	d.dirty, d.touched, d.gone, d.lost = d.dirty[:0], d.touched[:0], d.gone[:0], d.lost[:0]
}

func (d *dataBody) apply(i int, cmd *kvstorev1.Command, ts hlc.Timestamp) (Result, hlc.Timestamp, error) {
	switch {
	case cmd.Put != nil, cmd.Delete != nil, cmd.Purge != nil, cmd.SetVacuumable != nil:
		return d.write(&d.spans[i], false, ts)
	case cmd.Batch != nil:
		return d.write(&d.spans[i], true, ts)
	case cmd.Vacuum != nil:
		return d.vacuum(cmd.Vacuum, ts)
	case cmd.ShareAccount != nil:
		r, err := d.shareAccount(cmd.ShareAccount)
		return r, ts, err
	case cmd.ShareBucket != nil:
		return d.shareBucket(cmd.ShareBucket, ts)
	case cmd.SealBucket != nil:
		return d.seal(cmd.SealBucket), ts, nil
	case cmd.Remove != nil:
		r, err := d.remove(cmd.Remove)
		return r, ts, err
	}
	return Result{Err: fmt.Errorf("%w: no command that a data shard knows", kverr.ErrBadRequest)}, ts, nil
}

// writable returns a bucket that takes writes. Errors: ErrBucketNotFound, ErrDeleting.
func (d *dataBody) writable(id keys.BucketID) (*bucketShare, error) {
	b := d.buckets[uint64(id)]
	switch {
	case b == nil:
		return nil, fmt.Errorf("%w: bucket %d", kverr.ErrBucketNotFound, id)
	case b.state == kvstorev1.State_STATE_DELETING || b.account.state == kvstorev1.State_STATE_DELETING:
		return nil, fmt.Errorf("%w: bucket %d", kverr.ErrDeleting, id)
	}
	return b, nil
}

// write does the operations of one command, all or none.
func (d *dataBody) write(span *opSpan, batch bool, ts hlc.Timestamp) (r Result, highest hlc.Timestamp, err error) {
	if span.err != nil {
		return Result{Err: span.err}, ts, nil
	}
	full := d.batch.Count() > 0
	d.applier.Savepoint()
	d.changes = d.changes[:0]
	highest = ts
	if batch {
		r.Writes = make([]*kvstorev1.WriteResponse, 0, span.to-span.from)
	}
	for i := span.from; i < span.to; i++ {
		op := &d.ops[i]
		share, err := d.writable(op.Bucket)
		var res versioning.WriteResult
		if err == nil {
			res, err = d.applier.Apply(op, ts)
		}
		if err != nil {
			if batch {
				err = &versioning.OpError{Index: i - span.from, Err: err}
			}
			return d.refuse(err, full, ts)
		}
		if highest.Less(res.Revision) {
			highest = res.Revision
		}
		d.changes = append(d.changes, change{bucket: share, delta: res.Usage})
		if batch {
			r.Writes = append(r.Writes, writeResponse(&res))
		} else {
			r.Write = writeResponse(&res)
		}
	}
	if err := d.count(); err != nil {
		return d.refuse(err, full, ts)
	}
	return r, highest, nil
}

// refuse takes the command back and says why.
func (d *dataBody) refuse(err error, full bool, ts hlc.Timestamp) (Result, hlc.Timestamp, error) {
	d.applier.Rollback()
	if full && errors.Is(err, engine.ErrBatchTooLarge) {
		return Result{}, ts, errNextBatch
	}
	refused, ok := refusal(err)
	switch {
	case ok:
		return Result{Err: refused}, ts, nil
	case damage(err):
		return Result{Err: err, Fault: true}, ts, nil
	}
	return Result{}, ts, err
}

// count adds the changes of a command to the counters, unless that breaks a quota.
func (d *dataBody) count() error {
	for i := range d.changes {
		d.changes[i].bucket.add(d.changes[i].delta)
	}
	for i := range d.changes {
		b, delta := d.changes[i].bucket, d.changes[i].delta
		err := over("bucket", b.id, b.maxKeys, b.maxBytes, b.usage, delta)
		if err == nil {
			err = over("account", b.account.id, b.account.maxKeys, b.account.maxBytes, b.account.usage, delta)
		}
		if err != nil {
			for j := range d.changes {
				d.changes[j].bucket.take(d.changes[j].delta)
			}
			return err
		}
	}
	for i := range d.changes {
		if d.changes[i].delta != (versioning.Usage{}) {
			d.markUsage(d.changes[i].bucket)
		}
	}
	return nil
}

func (d *dataBody) markUsage(b *bucketShare) {
	if !b.usageDirty {
		b.usageDirty = true
		d.dirty = append(d.dirty, b)
	}
	if !b.account.usageDirty {
		b.account.usageDirty = true
		d.touched = append(d.touched, b.account)
	}
}

func (d *dataBody) markShare(b *bucketShare) {
	b.shareDirty = true
	d.markUsage(b)
}

// flush writes the counters and shares that the batch changed.
func (d *dataBody) flush() error {
	for _, b := range d.dirty {
		if d.buckets[b.id] != b {
			continue // gone
		}
		if err := d.encoder.putUsage(d.batch, d.shard, kindBucket, b.id, b.usage); err != nil {
			return err
		}
		if b.shareDirty {
			if err := d.put(appendIDKey(nil, metaShare, kindBucket, b.id), b.record()); err != nil {
				return err
			}
		}
	}
	for _, a := range d.touched {
		if d.accounts[a.id] != a {
			continue
		}
		if err := d.encoder.putUsage(d.batch, d.shard, kindAccount, a.id, a.usage); err != nil {
			return err
		}
		if a.shareDirty {
			if err := d.put(appendIDKey(nil, metaShare, kindAccount, a.id), a.record()); err != nil {
				return err
			}
		}
	}
	return nil
}

func (d *dataBody) put(key []byte, m message) error { return d.encoder.put(d.batch, d.shard, key, m) }

// committed publishes what the batch changed.
func (d *dataBody) committed() {
	d.applier.Committed()
	d.views.mu.Lock()
	defer d.views.mu.Unlock()
	for _, a := range d.touched {
		a.usageDirty, a.shareDirty = false, false
		d.publishAccount(a)
	}
	for _, b := range d.dirty {
		b.usageDirty, b.shareDirty = false, false
		d.publishBucket(b)
	}
	for _, id := range d.gone {
		delete(d.views.buckets, id)
	}
	for _, id := range d.lost {
		delete(d.views.accounts, id)
	}
}

func (d *dataBody) publishAccount(a *accountShare) {
	v := d.views.accounts[a.id]
	if v == nil {
		v = new(accountView)
		d.views.accounts[a.id] = v
	}
	v.generation, v.deleting, v.usage = a.generation, a.state == kvstorev1.State_STATE_DELETING, a.usage
}

func (d *dataBody) publishBucket(b *bucketShare) {
	v := d.views.buckets[b.id]
	if v == nil {
		handle, err := d.store.Bucket(keys.BucketID(b.id))
		if err != nil {
			return // id 0 is no bucket, and never gets here
		}
		v = &bucketView{bucket: handle}
		d.views.buckets[b.id] = v
	}
	v.account = d.views.accounts[b.account.id]
	v.generation, v.deleting, v.usage, v.removed = b.generation, b.state == kvstorev1.State_STATE_DELETING, b.usage, b.removed
}

func (d *dataBody) discard() {
	if d.applier != nil {
		d.applier.Discard()
	}
	d.reset()
}
