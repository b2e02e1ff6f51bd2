package client

import (
	"fmt"
	"time"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/kvstore/kvwire"
)

// The types of this file have the fields of package versioning's, in the same order, so that a program that moves from an
// embedded store to a node can convert them: versioning.Value(v).

// Bounds of version numbers, as in package versioning.
const (
	// MaxVersions is the greatest version number; GetVersion takes it for the latest version, whatever its number is.
	MaxVersions = 255
	// Latest is the version number that stands for the latest version.
	Latest = MaxVersions
)

// Value is one version of a key.
type Value struct {
	// Data is the value; empty in a tombstone. It is the caller's.
	Data []byte
	// Size is the length of the value in bytes, also where Data was not asked for.
	Size int
	// Version is the version's number now, 1..255; later writes can lower it. 0 where it was not asked for: Get, and a
	// Scan with values.
	Version int
	// Revision is the key's revision at the instant of the read: what PutOptions.IfRevision compares with. Zero where
	// Version is 0.
	Revision hlc.Timestamp
	// Timestamp says when the version was written. It never changes.
	Timestamp hlc.Timestamp
	// ExpireAt is when the version expires; the zero time: never.
	ExpireAt time.Time
	// Tombstone marks a deletion.
	Tombstone bool
	// Checksum is the CRC-32C of the value; 0 where the data was not read.
	Checksum uint32
}

func valueOf(m *kvstorev1.GetResponse) Value {
	return Value{
		Data: m.Value, Size: int(m.Size), Version: int(m.Version), Revision: kvwire.TimestampOf(m.Revision),
		Timestamp: kvwire.TimestampOf(m.Timestamp), ExpireAt: kvwire.TimeOf(m.ExpiresWallNanos), Tombstone: m.Tombstone, Checksum: m.Checksum,
	}
}

// Descriptor describes a key: which versions it has and what was done to it last.
type Descriptor struct {
	// Versions is the number of the latest version, 1..255; Oldest the lowest number present. All between them are.
	Versions, Oldest int
	// Base is how far the slots of old versions are rotated on disk.
	Base int
	// Created is the timestamp of the key's first version, also when that was dropped since.
	Created hlc.Timestamp
	// Revision is the timestamp of the last write: what PutOptions.IfRevision compares with.
	Revision hlc.Timestamp
	// Deleted says that the latest version is a tombstone.
	Deleted bool
	// Vacuumable says that the owner permits vacuum to take old versions.
	Vacuumable bool
	// LatestBytes is the size of the latest value; WrittenBytes the sum over all values since the key was created.
	LatestBytes, WrittenBytes int64
	// ExpireAt is when the latest version expires; the zero time: never.
	ExpireAt time.Time
}

func descriptorOf(m *kvstorev1.Descriptor) Descriptor {
	if m == nil {
		return Descriptor{}
	}
	return Descriptor{
		Versions: int(m.Versions), Oldest: int(m.Oldest), Base: int(m.Base),
		Created: kvwire.TimestampOf(m.Created), Revision: kvwire.TimestampOf(m.Revision), Deleted: m.Deleted, Vacuumable: m.Vacuumable,
		LatestBytes: int64(m.LatestBytes), WrittenBytes: int64(m.WrittenBytes), ExpireAt: kvwire.TimeOf(m.ExpiresWallNanos),
	}
}

// History returns how many versions exist besides the latest.
func (d Descriptor) History() int { return d.Versions - d.Oldest }

// LiveAt reports whether the latest version counts as a value at wall time now: not deleted and not expired.
func (d Descriptor) LiveAt(now time.Time) bool {
	return d.Versions > 0 && !d.Deleted && (d.ExpireAt.IsZero() || now.Before(d.ExpireAt))
}

// WriteResult says what a write did.
type WriteResult struct {
	// Version is the number of the latest version now; 0 after a purge.
	Version int
	// Revision is the key's revision now: pass it as IfRevision.
	Revision hlc.Timestamp
	// RolledOver says that the numbers of older versions went down, and Dropped how many versions ceased to exist.
	RolledOver bool
	Dropped    int
	// Repeated says that an earlier attempt had done the write; this is its answer of then.
	Repeated bool
}

func writeResultOf(m *kvstorev1.WriteResponse) WriteResult {
	return WriteResult{
		Version: int(m.Version), Revision: kvwire.TimestampOf(m.Revision), RolledOver: m.RolledOver, Dropped: int(m.Dropped), Repeated: m.Repeated,
	}
}

// PutOptions qualify a put. nil means none of it.
type PutOptions struct {
	// IfRevision makes the put fail with ErrRevisionMismatch unless the key's revision is this one. The zero timestamp asks
	// for a key that does not exist, not even deleted.
	IfRevision *hlc.Timestamp
	// IfVersion makes the put fail with ErrRevisionMismatch unless the latest version has this number. 0: no condition.
	IfVersion int
	// IfAbsent makes the put fail with ErrExists if the key has a value: deleted and expired keys have none.
	IfAbsent bool
	// ExpireAt is when the value ceases to exist for Get and Scan. The zero time: never.
	ExpireAt time.Time
	// Vacuumable sets the key's flag that permits vacuum; nil leaves it as it is.
	Vacuumable *bool
	// Checksum is the CRC-32C (Castagnoli) of the value, if the caller has it. nil: the client computes it. Either way a
	// value that is damaged on its way is refused with ErrChecksumMismatch.
	Checksum *uint32
}

// WriteOptions qualify the writes that are not puts. nil means none of it.
type WriteOptions struct {
	// IfRevision and IfVersion are as in PutOptions.
	IfRevision *hlc.Timestamp
	IfVersion  int
}

// revision returns a condition as it travels: unlike other timestamps the zero one says something.
func revision(ts *hlc.Timestamp) *kvstorev1.Timestamp {
	if ts == nil {
		return nil
	}
	return &kvstorev1.Timestamp{WallNanos: ts.WallNanos, Logical: ts.Logical}
}

// version returns a version number as it travels.
func version(n int) (uint32, error) {
	if n < 0 || n > MaxVersions {
		return 0, fmt.Errorf("%w: %d", ErrInvalidVersion, n)
	}
	return uint32(n), nil
}
