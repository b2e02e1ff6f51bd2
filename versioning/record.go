package versioning

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/shieldmaidens/pleiades/hlc"
)

// Sizes of a record's trailer; part of the format, never renumber.
const (
	// TrailerBytes is the length of every trailer without an expiry.
	TrailerBytes = 1 + 1 + hlc.EncodedBytes + 4
	// ExpiryBytes is how much longer it is with one.
	ExpiryBytes = 8
	// MaxTrailerBytes is the length of the longest trailer.
	MaxTrailerBytes = ExpiryBytes + TrailerBytes
)

// Bytes of a trailer; part of the format, never renumber.
const (
	recordFormat byte = 0x01

	flagTombstone byte = 0x01
	flagExpiring  byte = 0x02
	knownFlags         = flagTombstone | flagExpiring
)

// castagnoli is the polynomial of every checksum that Pleiades stores or sends.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum returns the CRC-32C of a value: what PutOptions.Checksum and Value.Checksum hold.
func Checksum(value []byte) uint32 { return crc32.Checksum(value, castagnoli) }

// Record is one stored version: the contents of an `@l` or `:n` record.
type Record struct {
	// Data is the application's value, the layout document's <bin-data>; empty in a tombstone.
	Data []byte
	// Timestamp says when the version was written.
	Timestamp hlc.Timestamp
	// ExpiresWallNanos is the wall time from which on the version counts as absent, in
	// nanoseconds since 1970. 0: never.
	ExpiresWallNanos int64
	// Tombstone marks a deletion.
	Tombstone bool
	// Checksum is the CRC-32C of Data.
	Checksum uint32
}

// A record is read from its end, where the trailer lies. Its last 18 bytes have the same shape in
// all formats to come; an expiry stands in front of them, and the flags say whether it is there.
//
//	          | if flag 2 |<----------- 18 bytes ----------->|
//	+---------+-----------+---------+--------+-------+-------+
//	| data    | expiry    | format  | flags  | time  | crc   |
//	| 0..16 M | 8 BE      | 1, = 01 | 1      | 12    | 4 BE  |
//	+---------+-----------+---------+--------+-------+-------+
//	flags: 01 tombstone (data empty, no expiry) | 02 expiring; others are 0
//	time:  wall nanoseconds, 8 BE | logical, 4 BE
//	crc:   CRC-32C of everything in front of it
//
// The checksum runs over data first and then over the trailer, so the data's own CRC-32C, which a
// client may have sent along with its value, is the running state in between: it is carried on, never
// recomputed from bytes that were damaged meanwhile, and the trailer is covered as well.

// AppendRecord appends the stored form of r to dst. r.Checksum must be the CRC-32C of r.Data: it is
// carried on, not computed. A tombstone has neither data nor an expiry; what else r says then is not
// stored.
func AppendRecord(dst []byte, r *Record) []byte {
	start := len(dst)
	flags, crc := byte(0), r.Checksum
	if r.Tombstone {
		flags, crc = flagTombstone, 0
	} else {
		dst = append(dst, r.Data...)
		start = len(dst)
		if r.ExpiresWallNanos != 0 {
			flags = flagExpiring
			dst = binary.BigEndian.AppendUint64(dst, uint64(r.ExpiresWallNanos))
		}
	}
	dst = append(dst, recordFormat, flags)
	dst = r.Timestamp.AppendBinary(dst)
	return binary.BigEndian.AppendUint32(dst, crc32.Update(crc, castagnoli, dst[start:]))
}

// ParseRecord decodes and verifies a stored version. Data aliases stored. Errors, in the order of
// the checks: ErrRecordShort, ErrRecordFormat, ErrRecordFlags, ErrRecordChecksum.
func ParseRecord(stored []byte) (Record, error) {
	r, trailer, err := splitRecord(stored)
	if err != nil {
		return Record{}, err
	}
	r.Checksum = Checksum(r.Data)
	want := binary.BigEndian.Uint32(stored[len(stored)-4:])
	if got := crc32.Update(r.Checksum, castagnoli, trailer); got != want {
		return Record{}, fmt.Errorf("%w: %08x instead of %08x over %d bytes", ErrRecordChecksum, got, want, len(stored)-4)
	}
	return r, nil
}

// splitRecord decodes a stored version without looking at its data: the checksum is not verified
// and Record.Checksum not set. trailer is what the checksum covers behind the data.
func splitRecord(stored []byte) (r Record, trailer []byte, err error) {
	n := len(stored) - TrailerBytes
	if n < 0 {
		return Record{}, nil, fmt.Errorf("%w: %d bytes of at least %d", ErrRecordShort, len(stored), TrailerBytes)
	}
	if stored[n] != recordFormat {
		return Record{}, nil, fmt.Errorf("%w: %#02x", ErrRecordFormat, stored[n])
	}
	flags, tail := stored[n+1], stored[n+2:n+2+hlc.EncodedBytes]
	if flags&^knownFlags != 0 || flags == knownFlags {
		return Record{}, nil, fmt.Errorf("%w: %#02x", ErrRecordFlags, flags)
	}
	if flags&flagExpiring != 0 {
		if n -= ExpiryBytes; n < 0 {
			return Record{}, nil, fmt.Errorf("%w: %d bytes of at least %d", ErrRecordShort, len(stored), MaxTrailerBytes)
		}
		expires := binary.BigEndian.Uint64(stored[n:])
		if expires == 0 || expires > math.MaxInt64 {
			return Record{}, nil, fmt.Errorf("%w: expiring at %d", ErrRecordFlags, expires)
		}
		r.ExpiresWallNanos = int64(expires)
	}
	if r.Tombstone = flags&flagTombstone != 0; r.Tombstone && n > 0 {
		return Record{}, nil, fmt.Errorf("%w: a tombstone with %d bytes of data", ErrRecordFlags, n)
	}
	if r.Timestamp, err = hlc.ParseBinary(tail); err != nil {
		return Record{}, nil, fmt.Errorf("%w: %w", ErrRecordFlags, err)
	}
	r.Data = stored[:n:n]
	return r, stored[n : len(stored)-4], nil
}
