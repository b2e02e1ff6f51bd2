package dump

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/shieldmaidens/pleiades/hlc"
)

// Magic is how every dump begins; the line ending shows a transfer that changed line endings.
const Magic = "PLDUMP\r\n"

// Part of the format; never renumber.
const (
	formatVersion = 1

	typeVersion = 1
	typeEnd     = 255

	flagTombstone  = 1
	flagExpires    = 2
	flagLatest     = 4
	flagVacuumable = 8
	knownFlags     = flagTombstone | flagExpires | flagLatest | flagVacuumable

	// headerFixed is the header's bytes in front of its payload.
	headerFixed = len(Magic) + 2 + 2 + 4
	// headerPayload is the payload's length in version 1.
	headerPayload = hlc.EncodedBytes + 8 + 2 + 1
	// MaxValueBytes bounds a value in a dump, well above what any store accepts.
	MaxValueBytes = 64 << 20
	maxKeyBytes   = 1<<16 - 1
	maxPayload    = 1 + 1 + hlc.EncodedBytes + 8 + 2 + maxKeyBytes + MaxValueBytes
	endPayload    = 8 + 8 + 4
)

// Header describes the whole dump.
type Header struct {
	// Created is when the dump was taken: all versions in it are older.
	Created hlc.Timestamp
	// Bucket is the bucket it was taken of.
	Bucket uint64
	// MaxVersions and Rollover are the bucket's settings.
	MaxVersions int
	Rollover    uint8
}

// Version is one version of one key.
type Version struct {
	// Key and Value alias the Reader's buffer until its next call.
	Key, Value []byte
	// Number is the version's number when the dump was taken, 1..255.
	Number int
	// Timestamp is when it was written; never zero.
	Timestamp hlc.Timestamp
	// ExpireAt is the zero time for a version that does not expire; nanoseconds are kept. After 1970.
	ExpireAt time.Time
	// Tombstone marks a deletion, which has neither value nor expiry; Latest the newest version of its key; Vacuumable is the key's flag.
	Tombstone, Latest, Vacuumable bool
}

// fault says what no store can hold, "" when v is possible.
func (v *Version) fault() string {
	switch {
	case v.Number < 1 || v.Number > 255:
		return fmt.Sprintf("version number %d", v.Number)
	case v.Timestamp.IsZero() || v.Timestamp.WallNanos < 0:
		return fmt.Sprintf("written at %s", v.Timestamp)
	case v.Tombstone && (len(v.Value) > 0 || !v.ExpireAt.IsZero()):
		return "a deletion with a value or an expiry"
	case !v.ExpireAt.IsZero() && v.ExpireAt.UnixNano() <= 0:
		return fmt.Sprintf("expired at %s", v.ExpireAt.Format(time.RFC3339))
	}
	return ""
}

// appendVersion appends the payload of a version record.
//
//	flags 1 · number 1 · timestamp 12 · [expiry 8] · key length 2 · key · value
func appendVersion(dst []byte, v *Version) ([]byte, error) {
	if len(v.Key) > maxKeyBytes || len(v.Value) > MaxValueBytes {
		return nil, fmt.Errorf("%w: key of %d bytes, value of %d bytes", ErrTooLong, len(v.Key), len(v.Value))
	}
	if fault := v.fault(); fault != "" {
		return nil, fmt.Errorf("%w: %s", ErrImpossible, fault)
	}
	var flags byte
	for _, f := range []struct {
		on  bool
		bit byte
	}{{v.Tombstone, flagTombstone}, {!v.ExpireAt.IsZero(), flagExpires}, {v.Latest, flagLatest}, {v.Vacuumable, flagVacuumable}} {
		if f.on {
			flags |= f.bit
		}
	}
	dst = append(dst, flags, byte(v.Number))
	dst = v.Timestamp.AppendBinary(dst)
	if flags&flagExpires != 0 {
		dst = binary.BigEndian.AppendUint64(dst, uint64(v.ExpireAt.UnixNano()))
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(v.Key)))
	dst = append(dst, v.Key...)
	return append(dst, v.Value...), nil
}

// parseVersion reads the payload of a version record; Key and Value alias b.
func parseVersion(b []byte) (*Version, error) {
	const fixed = 1 + 1 + hlc.EncodedBytes
	if len(b) < fixed {
		return nil, fmt.Errorf("%w: a version record of %d bytes", ErrDamaged, len(b))
	}
	flags := b[0]
	if flags&^knownFlags != 0 {
		return nil, fmt.Errorf("%w: unknown flags %#x", ErrVersion, flags)
	}
	v := &Version{
		Number: int(b[1]), Tombstone: flags&flagTombstone != 0,
		Latest: flags&flagLatest != 0, Vacuumable: flags&flagVacuumable != 0,
	}
	var err error
	if v.Timestamp, err = hlc.ParseBinary(b[2:fixed]); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	b = b[fixed:]
	if flags&flagExpires != 0 {
		if len(b) < 8 {
			return nil, fmt.Errorf("%w: no expiry in an expiring version", ErrDamaged)
		}
		v.ExpireAt = time.Unix(0, int64(binary.BigEndian.Uint64(b))).UTC()
		b = b[8:]
	}
	if len(b) < 2 || len(b)-2 < int(binary.BigEndian.Uint16(b)) {
		return nil, fmt.Errorf("%w: the key is longer than its record", ErrDamaged)
	}
	n := int(binary.BigEndian.Uint16(b))
	v.Key, v.Value = b[2:2+n:2+n], b[2+n:]
	if fault := v.fault(); fault != "" {
		return nil, fmt.Errorf("%w: %s", ErrDamaged, fault)
	}
	return v, nil
}
