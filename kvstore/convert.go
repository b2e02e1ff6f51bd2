package kvstore

import (
	"fmt"
	"math"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/versioning"
)

// stamp returns ts as a message.
func stamp(ts hlc.Timestamp) *kvstorev1.Timestamp {
	return &kvstorev1.Timestamp{WallNanos: ts.WallNanos, Logical: ts.Logical}
}

// timestamp returns a message as a timestamp, the zero one for nil. Error: ErrBadRequest for times before 1970.
func timestamp(name string, m *kvstorev1.Timestamp) (hlc.Timestamp, error) {
	ts := hlc.Timestamp{WallNanos: m.GetWallNanos(), Logical: m.GetLogical()}
	if ts.WallNanos < 0 {
		return ts, fmt.Errorf("%w: %s is before 1970", kverr.ErrBadRequest, name)
	}
	return ts, nil
}

// bucketID returns the bucket that a request names.
func bucketID(id uint64) keys.BucketID {
	if id == 0 {
		return keys.DefaultBucket
	}
	return keys.BucketID(id)
}

// expiryNanos returns when something expires in nanoseconds since 1970, 0 for never.
func expiryNanos(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.UnixNano())
}

// writeAnswer is the memory of one answer to a write.
type writeAnswer struct {
	response kvstorev1.WriteResponse
	revision kvstorev1.Timestamp
}

func writeResponse(r *versioning.WriteResult) *kvstorev1.WriteResponse {
	a := new(writeAnswer)
	a.revision.WallNanos, a.revision.Logical = r.Revision.WallNanos, r.Revision.Logical
	a.response.Version, a.response.Revision = uint32(r.Version), &a.revision
	a.response.RolledOver, a.response.Dropped = r.RolledOver, uint32(r.Dropped)
	return &a.response
}

func descriptorMessage(d *versioning.Descriptor) *kvstorev1.Descriptor {
	return &kvstorev1.Descriptor{
		Versions: uint32(d.Versions), Oldest: uint32(d.Oldest), Base: uint32(d.Base),
		Created: stamp(d.Created), Revision: stamp(d.Revision), Deleted: d.Deleted, Vacuumable: d.Vacuumable,
		LatestBytes: uint64(d.LatestBytes), WrittenBytes: uint64(d.WrittenBytes), ExpiresWallNanos: expiryNanos(d.ExpireAt),
	}
}

// getAnswer is the memory of one version on its way out.
type getAnswer struct {
	response  kvstorev1.GetResponse
	timestamp kvstorev1.Timestamp
	revision  kvstorev1.Timestamp
}

// fill makes a the answer for v, whose data it aliases.
func (a *getAnswer) fill(v *versioning.Value, withData bool) *kvstorev1.GetResponse {
	m := &a.response
	m.Version, m.Tombstone, m.Size, m.ExpiresWallNanos = uint32(v.Version), v.Tombstone, uint64(v.Size), expiryNanos(v.ExpireAt)
	m.Value, m.Checksum = nil, 0
	if withData {
		m.Value, m.Checksum = v.Data, v.Checksum
	}
	a.timestamp.WallNanos, a.timestamp.Logical = v.Timestamp.WallNanos, v.Timestamp.Logical
	m.Timestamp, m.Revision = &a.timestamp, nil
	if v.Version != 0 {
		a.revision.WallNanos, a.revision.Logical = v.Revision.WallNanos, v.Revision.Logical
		m.Revision = &a.revision
	}
	return m
}

// A usage in a message counts from 0.
func usageMessage(u versioning.Usage) *kvstorev1.Usage {
	m := new(kvstorev1.Usage)
	fillUsage(m, u)
	return m
}

func fillUsage(m *kvstorev1.Usage, u versioning.Usage) {
	m.Keys, m.Versions, m.Bytes = uint64(max(0, u.Keys)), uint64(max(0, u.Versions)), uint64(max(0, u.Bytes))
}

func usageOf(m *kvstorev1.Usage) versioning.Usage {
	return versioning.Usage{Keys: int64(m.GetKeys()), Versions: int64(m.GetVersions()), Bytes: int64(m.GetBytes())}
}

// expiry returns a request's expiry as versioning takes it.
func expiry(nanos uint64) (int64, error) {
	if nanos > math.MaxInt64 {
		return 0, fmt.Errorf("%w: expiry beyond the year 2262", kverr.ErrBadRequest)
	}
	return int64(nanos), nil
}

// condition returns an if_revision as versioning takes it.
func condition(m *kvstorev1.Timestamp) (*hlc.Timestamp, error) {
	if m == nil {
		return nil, nil
	}
	ts, err := timestamp("if_revision", m)
	return &ts, err
}

// cloneStrings gives strings memory of their own: those of a request may lie in a buffer that is used again.
func cloneStrings(all ...*string) {
	for _, s := range all {
		*s = strings.Clone(*s)
	}
}

func clonePtr[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// clone returns a copy of a message, nil for nil.
func clone[T proto.Message](m T) T { return proto.Clone(m).(T) }
