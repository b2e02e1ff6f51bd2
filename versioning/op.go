package versioning

import (
	"fmt"

	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
)

// OpKind says what an operation does. Part of the format of replicated commands; never renumber.
type OpKind uint8

// The kinds of operations.
const (
	OpPut           OpKind = 1
	OpDelete        OpKind = 2
	OpPurge         OpKind = 3
	OpSetVacuumable OpKind = 4
	OpDropVersions  OpKind = 5
	OpSetSettings   OpKind = 6
	OpRestore       OpKind = 7
)

func (k OpKind) String() string {
	switch k {
	case OpPut:
		return "put"
	case OpDelete:
		return "delete"
	case OpPurge:
		return "purge"
	case OpSetVacuumable:
		return "set vacuumable"
	case OpDropVersions:
		return "drop versions"
	case OpSetSettings:
		return "set settings"
	case OpRestore:
		return "restore"
	}
	return fmt.Sprintf("op(%d)", uint8(k))
}

// Op is one write as data: what a batch collects, and what a replicated command carries. Applying
// the same ops with the same timestamps to the same records gives the same records, everywhere.
type Op struct {
	Kind   OpKind
	Bucket keys.BucketID
	// Key is empty for OpSetSettings.
	Key []byte

	// IfRevision, when not nil, makes the op fail with a RevisionError unless the key's revision is
	// this one. The zero timestamp asks for a key that does not exist at all.
	IfRevision *hlc.Timestamp
	// IfVersion, when not 0, makes the op fail with ErrRevisionMismatch unless the latest version has this number.
	IfVersion int

	// Of OpPut: the value, its CRC-32C if the client sent one, "only if the key has no value", the
	// wall time of expiry (0: never) and the vacuumable flag (nil: as it is). OpRestore has all but
	// IfAbsent: it appends a version as it was elsewhere, for backups. Whatever the bucket's max_versions
	// are, it drops none until there are 255; later puts and vacuum trim.
	Value            []byte
	Checksum         *uint32
	IfAbsent         bool
	ExpiresWallNanos int64
	// Vacuumable is also what OpSetVacuumable sets; required there.
	Vacuumable *bool

	// Tombstone makes what OpRestore appends a deletion, also of nothing.
	Tombstone bool

	// Oldest is the lowest version that OpDropVersions keeps, 1..255; it never drops the latest. For
	// OpRestore it is the number of the version, 1..255, if the key has none yet.
	Oldest int

	// Settings is what OpSetSettings sets.
	Settings Settings
}

// check returns what makes op impossible whatever the state is.
func (op *Op) check(maxValueBytes int) error {
	if err := op.Bucket.Validate(); err != nil {
		return err
	}
	if op.Kind == OpSetSettings {
		return op.Settings.Validate()
	}
	if err := keys.Validate(op.Key); err != nil {
		return err
	}
	switch op.Kind {
	case OpPut, OpRestore:
		if len(op.Value) > maxValueBytes {
			return fmt.Errorf("%w: %d bytes, the limit is %d", ErrValueTooLarge, len(op.Value), maxValueBytes)
		}
		if op.ExpiresWallNanos < 0 {
			return fmt.Errorf("%w: expiry before 1970", ErrInvalidOptions)
		}
		if op.Kind == OpRestore {
			return op.checkRestore()
		}
	case OpDropVersions:
		if op.Oldest < 1 || op.Oldest > MaxVersions {
			return fmt.Errorf("%w: drop below %d", ErrInvalidVersion, op.Oldest)
		}
	case OpSetVacuumable:
		if op.Vacuumable == nil {
			return fmt.Errorf("%w: set vacuumable to what?", ErrInvalidOptions)
		}
	case OpDelete, OpPurge:
	default:
		return fmt.Errorf("%w: unknown %v", ErrInvalidOptions, op.Kind)
	}
	return nil
}

// appends reports whether op makes a new version.
func (op *Op) appends() bool { return op.Kind == OpPut || op.Kind == OpDelete || op.Kind == OpRestore }

// checksum returns the CRC-32C of a put's value, or ErrChecksumMismatch when the client's differs.
func (op *Op) checksum() (uint32, error) {
	crc := Checksum(op.Value)
	if op.Checksum != nil && *op.Checksum != crc {
		return 0, fmt.Errorf("%w: %08x came, %08x is right", ErrChecksumMismatch, *op.Checksum, crc)
	}
	return crc, nil
}

// reclaims reports whether op frees space and writes next to nothing.
func (op *Op) reclaims() bool { return op.Kind == OpPurge || op.Kind == OpDropVersions }

// WriteResult says what a write did.
type WriteResult struct {
	// Version is the number of the latest version now; 0 after a purge.
	Version int
	// Revision is the key's revision now: pass it as IfRevision. After a purge, the purge's timestamp.
	Revision hlc.Timestamp
	// RolledOver says that the numbers of older versions went down, and Dropped how many versions
	// ceased to exist.
	RolledOver bool
	Dropped    int
	// Reads and Writes count the records that were asked of the engine (found or not; the cache
	// saves some) and written or removed. A purge counts removals.
	Reads, Writes int
	// Usage is by how much the write changed what its bucket holds; zero unless Options.Counted is set.
	Usage Usage
}
