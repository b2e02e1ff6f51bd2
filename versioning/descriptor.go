package versioning

import (
	"fmt"
	"math"
	"time"

	storagev1 "github.com/shieldmaidens/pleiades/api/storage/v1"
	"github.com/shieldmaidens/pleiades/hlc"
)

// descriptorFormat is the layout of a key's records that this program writes; part of the format.
const descriptorFormat = 1

// Descriptor describes a key: which versions it has and what was done to it last.
type Descriptor struct {
	// Versions is the number of the latest version, 1..255; Oldest the lowest number present.
	// All numbers between them are present.
	Versions, Oldest int
	// Base is how far the slots of old versions are rotated on disk, 0..253.
	Base int
	// Created is the timestamp of the key's first version, also when that was dropped since.
	Created hlc.Timestamp
	// Revision is the timestamp of the last write: what PutOptions.IfRevision compares with. It
	// only grows, also across a purge, and never counts anew.
	Revision hlc.Timestamp
	// Deleted says that the latest version is a tombstone.
	Deleted bool
	// Vacuumable says that the owner permits vacuum to take old versions.
	Vacuumable bool
	// LatestBytes is the size of the latest value; WrittenBytes the sum over all values since the
	// key was created, dropped versions included.
	LatestBytes, WrittenBytes int64
	// ExpireAt is when the latest version expires; the zero time: never.
	ExpireAt time.Time
}

// History returns how many versions exist besides the latest.
func (d Descriptor) History() int { return d.Versions - d.Oldest }

// LiveAt reports whether the latest version counts as a value at wall time now: not deleted and not
// expired.
func (d Descriptor) LiveAt(now time.Time) bool {
	return d.Versions > 0 && !d.Deleted && (d.ExpireAt.IsZero() || now.Before(d.ExpireAt))
}

// descriptor is the decoded record <stem>.d. The zero value is a key that does not exist.
type descriptor struct {
	count, oldest, base int
	created, revision   hlc.Timestamp
	deleted, vacuumable bool
	latestBytes         int64
	writtenBytes        int64
	expires             int64
	// unknown are the fields of newer programs, kept as they are. Never modified in place.
	unknown string
}

func (d *descriptor) exists() bool { return d.count > 0 }

// live reports whether the key has a value at wall time now, in nanoseconds.
func (d *descriptor) live(now int64) bool {
	return d.count > 0 && !d.deleted && (d.expires == 0 || now < d.expires)
}

func (d *descriptor) public() Descriptor {
	return Descriptor{
		Versions: d.count, Oldest: d.oldest, Base: d.base, Created: d.created, Revision: d.revision,
		Deleted: d.deleted, Vacuumable: d.vacuumable, LatestBytes: d.latestBytes,
		WrittenBytes: d.writtenBytes, ExpireAt: timeOf(d.expires),
	}
}

// check returns what is impossible about d, or an empty text.
func (d *descriptor) check() string {
	switch {
	case d.count < 1 || d.count > MaxVersions:
		return fmt.Sprintf("%d versions", d.count)
	case d.oldest < 1 || d.oldest > d.count:
		return fmt.Sprintf("oldest version %d of %d", d.oldest, d.count)
	case d.base < 0 || d.base >= slotCount:
		return fmt.Sprintf("base %d", d.base)
	case d.created.WallNanos < 0 || d.created.IsZero() || d.revision.Less(d.created):
		return fmt.Sprintf("created %s, revision %s", d.created, d.revision)
	case d.latestBytes < 0 || d.writtenBytes < d.latestBytes:
		return fmt.Sprintf("%d bytes written, %d in the latest version", d.writtenBytes, d.latestBytes)
	case d.expires < 0 || d.deleted && (d.expires != 0 || d.latestBytes != 0):
		return fmt.Sprintf("deleted %t, expires at %d, %d bytes", d.deleted, d.expires, d.latestBytes)
	}
	return ""
}

// appendDescriptor appends the stored form of d. Equal descriptors give equal bytes, on every
// replica: fields in order of their numbers, then the unknown ones as they came. pb is scratch memory.
func appendDescriptor(dst []byte, d *descriptor, pb *storagev1.KeyValuePairDescriptor) ([]byte, error) {
	pb.Reset()
	pb.Format = descriptorFormat
	pb.VersionCount, pb.Oldest, pb.Base = uint32(d.count), uint32(d.oldest), uint32(d.base)
	pb.CreatedWallNanos, pb.CreatedLogical = d.created.WallNanos, d.created.Logical
	pb.RevisionWallNanos, pb.RevisionLogical = d.revision.WallNanos, d.revision.Logical
	pb.Deleted, pb.Vacuumable = d.deleted, d.vacuumable
	pb.LatestBytes, pb.WrittenBytes = uint64(d.latestBytes), uint64(d.writtenBytes)
	pb.ExpiresWallNanos = uint64(d.expires)
	if d.unknown != "" {
		pb.ProtoReflect().SetUnknown([]byte(d.unknown))
	}
	start, n := len(dst), pb.SizeVT()
	dst = append(dst, make([]byte, n)...)
	if _, err := pb.MarshalToSizedBufferVT(dst[start:]); err != nil {
		return nil, fmt.Errorf("versioning: encode a descriptor: %w", err)
	}
	return dst, nil
}

// parseDescriptor decodes a stored descriptor strictly; fields that it does not know are kept.
// Nothing aliases stored. Errors: ErrDescriptor, ErrDescriptorFormat.
func parseDescriptor(stored []byte) (descriptor, error) {
	var pb storagev1.KeyValuePairDescriptor
	if err := pb.UnmarshalVT(stored); err != nil {
		return descriptor{}, fmt.Errorf("%w: %w", ErrDescriptor, err)
	}
	if pb.Format == 0 {
		return descriptor{}, fmt.Errorf("%w: it has no format", ErrDescriptor)
	}
	if pb.Format != descriptorFormat {
		return descriptor{}, fmt.Errorf("%w: %d", ErrDescriptorFormat, pb.Format)
	}
	d := descriptor{
		count: int(pb.VersionCount), oldest: int(pb.Oldest), base: int(pb.Base),
		created:  hlc.Timestamp{WallNanos: pb.CreatedWallNanos, Logical: pb.CreatedLogical},
		revision: hlc.Timestamp{WallNanos: pb.RevisionWallNanos, Logical: pb.RevisionLogical},
		deleted:  pb.Deleted, vacuumable: pb.Vacuumable,
	}
	if pb.LatestBytes > math.MaxInt64 || pb.WrittenBytes > math.MaxInt64 || pb.ExpiresWallNanos > math.MaxInt64 {
		return descriptor{}, fmt.Errorf("%w: a number out of range", ErrDescriptor)
	}
	d.latestBytes, d.writtenBytes = int64(pb.LatestBytes), int64(pb.WrittenBytes)
	d.expires = int64(pb.ExpiresWallNanos)
	if unknown := pb.ProtoReflect().GetUnknown(); len(unknown) > 0 {
		d.unknown = string(unknown)
	}
	if fault := d.check(); fault != "" {
		return descriptor{}, fmt.Errorf("%w: %s", ErrDescriptor, fault)
	}
	return d, nil
}

// timeOf returns wall nanoseconds as a time, and the zero time for 0.
func timeOf(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos).UTC()
}

// nanosOf returns a time as wall nanoseconds, 0 for the zero time; ok is false for times that
// nanoseconds since 1970 in 63 bits cannot hold, and for 1970 itself.
func nanosOf(t time.Time) (nanos int64, ok bool) {
	if t.IsZero() {
		return 0, true
	}
	if sec := t.Unix(); sec < 0 || sec >= math.MaxInt64/int64(time.Second) {
		return 0, false
	}
	nanos = t.UnixNano()
	return nanos, nanos > 0
}
