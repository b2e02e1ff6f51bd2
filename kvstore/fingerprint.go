package kvstore

import (
	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/versioning"
)

// fingerprint returns what tells the writes of one session apart: a hash of what the command asks for, FNV-1a over its
// fields, of a value its length and CRC-32C. It guards against a client that uses a sequence number twice by mistake, not
// against one that means to.
func fingerprint(cmd *kvstorev1.Command) uint64 {
	h := newHash()
	switch {
	case cmd.Put != nil, cmd.Delete != nil, cmd.Purge != nil, cmd.SetVacuumable != nil:
		h.operation(cmd.Put, cmd.Delete, cmd.Purge, cmd.SetVacuumable)
	case cmd.Batch != nil:
		h.number(5)
		for _, o := range cmd.Batch.Operations {
			h.operation(o.GetPut(), o.GetDelete(), o.GetPurge(), o.GetSetVacuumable())
		}
	case cmd.CreateAccount != nil:
		h.number(6)
		h.text(cmd.CreateAccount.Name)
		h.text(cmd.CreateAccount.Owner)
		h.limits(cmd.CreateAccount.Limits)
	case cmd.UpdateAccount != nil:
		h.number(7)
		h.text(cmd.UpdateAccount.Name)
		h.flag(cmd.UpdateAccount.Owner != nil)
		h.text(cmd.UpdateAccount.GetOwner())
		h.limits(cmd.UpdateAccount.Limits)
	case cmd.DeleteAccount != nil:
		h.number(8)
		h.text(cmd.DeleteAccount.Name)
		h.flag(cmd.DeleteAccount.OnlyEmpty)
	case cmd.CreateBucket != nil:
		r := cmd.CreateBucket.GetRequest()
		h.number(9)
		h.text(r.GetAccount())
		h.text(r.GetName())
		h.settings(r.GetSettings())
	case cmd.UpdateBucket != nil:
		h.number(10)
		h.text(cmd.UpdateBucket.Account)
		h.text(cmd.UpdateBucket.Name)
		h.settings(cmd.UpdateBucket.Settings)
	case cmd.DeleteBucket != nil:
		h.number(11)
		h.text(cmd.DeleteBucket.Account)
		h.text(cmd.DeleteBucket.Name)
		h.flag(cmd.DeleteBucket.OnlyEmpty)
	}
	return h.sum
}

type hash struct{ sum uint64 }

const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

func newHash() *hash { return &hash{sum: fnvOffset} }

func (h *hash) octet(b byte) { h.sum = (h.sum ^ uint64(b)) * fnvPrime }

func (h *hash) number(n uint64) {
	for range 8 {
		h.octet(byte(n))
		n >>= 8
	}
}

func (h *hash) flag(f bool) {
	if f {
		h.octet(1)
	} else {
		h.octet(0)
	}
}

func (h *hash) text(s string) {
	h.number(uint64(len(s)))
	for i := range len(s) {
		h.octet(s[i])
	}
}

func (h *hash) bytes(b []byte) {
	h.number(uint64(len(b)))
	for _, c := range b {
		h.octet(c)
	}
}

func (h *hash) time(t *kvstorev1.Timestamp) {
	h.flag(t != nil)
	h.number(uint64(t.GetWallNanos()))
	h.number(uint64(t.GetLogical()))
}

func (h *hash) limits(l *kvstorev1.AccountLimits) {
	h.flag(l != nil)
	h.number(uint64(l.GetMaxBuckets()))
	h.number(l.GetMaxKeys())
	h.number(l.GetMaxBytes())
}

func (h *hash) settings(s *kvstorev1.BucketSettings) {
	h.number(uint64(s.GetMaxVersions()))
	h.number(uint64(s.GetRollover()))
	h.flag(s != nil && s.MaxKeys != nil)
	h.number(s.GetMaxKeys())
	h.flag(s != nil && s.MaxBytes != nil)
	h.number(s.GetMaxBytes())
}

// operation hashes the one of its arguments that is not nil.
func (h *hash) operation(put *kvstorev1.PutRequest, del *kvstorev1.DeleteRequest, purge *kvstorev1.PurgeRequest, mark *kvstorev1.SetVacuumableRequest) {
	switch {
	case put != nil:
		h.number(1)
		h.number(put.BucketId)
		h.bytes(put.Key)
		h.number(uint64(len(put.Value)))
		h.number(uint64(versioning.Checksum(put.Value)))
		h.time(put.IfRevision)
		h.flag(put.IfAbsent)
		h.number(uint64(put.IfVersion))
		h.number(put.ExpiresWallNanos)
		h.flag(put.Vacuumable != nil)
		h.flag(put.GetVacuumable())
	case del != nil:
		h.number(2)
		h.number(del.BucketId)
		h.bytes(del.Key)
		h.time(del.IfRevision)
		h.number(uint64(del.IfVersion))
	case purge != nil:
		h.number(3)
		h.number(purge.BucketId)
		h.bytes(purge.Key)
		h.time(purge.IfRevision)
		h.number(uint64(purge.IfVersion))
	case mark != nil:
		h.number(4)
		h.number(mark.BucketId)
		h.bytes(mark.Key)
		h.flag(mark.Vacuumable)
		h.time(mark.IfRevision)
	}
}
