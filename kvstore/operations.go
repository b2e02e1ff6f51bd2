package kvstore

import (
	"fmt"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/versioning"
)

// appendOps appends the operations of a command on keys; none for other commands. The operations alias the command.
// Errors, of which the first counts: ErrBadRequest.
func appendOps(dst []versioning.Op, cmd *kvstorev1.Command) ([]versioning.Op, error) {
	var op versioning.Op
	var err error
	switch {
	case cmd.Put != nil:
		op, err = putOp(cmd.Put)
	case cmd.Delete != nil:
		op, err = deleteOp(cmd.Delete)
	case cmd.Purge != nil:
		op, err = purgeOp(cmd.Purge)
	case cmd.SetVacuumable != nil:
		op, err = vacuumableOp(cmd.SetVacuumable)
	case cmd.Batch != nil:
		return appendBatch(dst, cmd.Batch)
	default:
		return dst, nil
	}
	if err != nil {
		return dst, err
	}
	return append(dst, op), nil
}

func appendBatch(dst []versioning.Op, b *kvstorev1.BatchRequest) ([]versioning.Op, error) {
	start := len(dst)
	for i, o := range b.Operations {
		var op versioning.Op
		var err error
		switch k := o.GetKind().(type) {
		case *kvstorev1.Operation_Put:
			op, err = putOp(k.Put)
		case *kvstorev1.Operation_Delete:
			op, err = deleteOp(k.Delete)
		case *kvstorev1.Operation_Purge:
			op, err = purgeOp(k.Purge)
		case *kvstorev1.Operation_SetVacuumable:
			op, err = vacuumableOp(k.SetVacuumable)
		default:
			err = fmt.Errorf("%w: an operation of no known kind", kverr.ErrBadRequest)
		}
		if err != nil {
			return dst[:start], &versioning.OpError{Index: i, Err: err}
		}
		dst = append(dst, op)
	}
	return dst, nil
}

func putOp(r *kvstorev1.PutRequest) (op versioning.Op, err error) {
	op = versioning.Op{
		Kind: versioning.OpPut, Bucket: bucketID(r.GetBucketId()), Key: r.GetKey(), Value: r.GetValue(),
		IfAbsent: r.GetIfAbsent(), IfVersion: int(min(r.GetIfVersion(), anyVersion)),
	}
	if r != nil {
		op.Checksum, op.Vacuumable = r.Checksum, r.Vacuumable
	}
	if op.ExpiresWallNanos, err = expiry(r.GetExpiresWallNanos()); err != nil {
		return op, err
	}
	op.IfRevision, err = condition(r.GetIfRevision())
	return op, err
}

func deleteOp(r *kvstorev1.DeleteRequest) (op versioning.Op, err error) {
	op = versioning.Op{
		Kind: versioning.OpDelete, Bucket: bucketID(r.GetBucketId()), Key: r.GetKey(), IfVersion: int(min(r.GetIfVersion(), anyVersion)),
	}
	op.IfRevision, err = condition(r.GetIfRevision())
	return op, err
}

func purgeOp(r *kvstorev1.PurgeRequest) (op versioning.Op, err error) {
	op = versioning.Op{
		Kind: versioning.OpPurge, Bucket: bucketID(r.GetBucketId()), Key: r.GetKey(), IfVersion: int(min(r.GetIfVersion(), anyVersion)),
	}
	op.IfRevision, err = condition(r.GetIfRevision())
	return op, err
}

func vacuumableOp(r *kvstorev1.SetVacuumableRequest) (op versioning.Op, err error) {
	flag := r.GetVacuumable()
	op = versioning.Op{Kind: versioning.OpSetVacuumable, Bucket: bucketID(r.GetBucketId()), Key: r.GetKey(), Vacuumable: &flag}
	op.IfRevision, err = condition(r.GetIfRevision())
	return op, err
}

// anyVersion is above every version number: a condition that no key meets.
const anyVersion = 1 << 16

// frees reports whether a command frees space and writes next to nothing, so that a full disk lets it through.
func frees(cmd *kvstorev1.Command) bool {
	switch {
	case cmd.Purge != nil, cmd.Vacuum != nil, cmd.SealBucket != nil, cmd.Remove != nil, cmd.DeleteAccount != nil,
		cmd.DeleteBucket != nil, cmd.Forget != nil, cmd.CloseSession != nil:
		return true
	case cmd.ShareAccount != nil:
		return cmd.ShareAccount.Gone || cmd.ShareAccount.State == kvstorev1.State_STATE_DELETING
	case cmd.Batch != nil:
		for _, o := range cmd.Batch.Operations {
			if o.GetPurge() == nil {
				return false
			}
		}
		return len(cmd.Batch.Operations) > 0
	}
	return false
}
