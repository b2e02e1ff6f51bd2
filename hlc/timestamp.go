package hlc

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/shieldmaidens/pleiades/base"
)

// EncodedBytes is the length of an encoded timestamp; part of the format.
const EncodedBytes = 12

// Timestamp is a point in hybrid time. The zero value is before every timestamp that a clock issues
// and means "none". Timestamps are comparable with == and may be map keys.
type Timestamp struct {
	// WallNanos is the wall time in nanoseconds since 1970-01-01 UTC; never negative.
	WallNanos int64
	// Logical orders timestamps of the same WallNanos.
	Logical uint32
}

// MaxTimestamp is above every timestamp that a clock issues.
var MaxTimestamp = Timestamp{WallNanos: math.MaxInt64, Logical: math.MaxUint32}

// FromTime returns the first timestamp of t's nanosecond. Times before 1970 give the zero timestamp
// and times after 2262-04-11 the last nanosecond that can be represented.
func FromTime(t time.Time) Timestamp { return Timestamp{WallNanos: nanosOf(t)} }

// nanosOf clamps t to what an int64 of nanoseconds since 1970 holds.
func nanosOf(t time.Time) int64 {
	switch sec := t.Unix(); {
	case sec < 0:
		return 0
	case sec >= math.MaxInt64/int64(time.Second):
		return math.MaxInt64
	}
	return t.UnixNano()
}

// Time returns the wall time of t in UTC; the logical part is lost.
func (t Timestamp) Time() time.Time { return time.Unix(0, t.WallNanos).UTC() }

// IsZero reports whether t is the zero timestamp, "none".
func (t Timestamp) IsZero() bool { return t == Timestamp{} }

// Compare returns -1, 0 or +1 as t is before, equal to or after u.
func (t Timestamp) Compare(u Timestamp) int {
	switch {
	case t.Less(u):
		return -1
	case u.Less(t):
		return 1
	}
	return 0
}

// Less reports whether t is before u.
func (t Timestamp) Less(u Timestamp) bool {
	return t.WallNanos < u.WallNanos || t.WallNanos == u.WallNanos && t.Logical < u.Logical
}

// Next returns the timestamp right after t; a full logical part carries into the wall time. Next of
// MaxTimestamp is MaxTimestamp.
func (t Timestamp) Next() Timestamp {
	switch {
	case t.Logical < math.MaxUint32:
		return Timestamp{WallNanos: t.WallNanos, Logical: t.Logical + 1}
	case t.WallNanos < math.MaxInt64:
		return Timestamp{WallNanos: t.WallNanos + 1}
	}
	return t
}

// Prev returns the timestamp right before t. Prev of the zero timestamp is the zero timestamp.
func (t Timestamp) Prev() Timestamp {
	switch {
	case t.Logical > 0:
		return Timestamp{WallNanos: t.WallNanos, Logical: t.Logical - 1}
	case t.WallNanos > 0:
		return Timestamp{WallNanos: t.WallNanos - 1, Logical: math.MaxUint32}
	}
	return t
}

// String returns t as "1763812345.123456789,7": seconds since 1970, nine decimals, logical part.
// ParseTimestamp reads it back.
func (t Timestamp) String() string {
	sec, nanos := t.WallNanos/int64(time.Second), t.WallNanos%int64(time.Second)
	return fmt.Sprintf("%d.%09d,%d", sec, nanos, t.Logical)
}

// AppendBinary appends the 12 bytes of t. bytes.Compare on them is timestamp order.
//
//	wall nanoseconds, 8 bytes BE | logical, 4 bytes BE
func (t Timestamp) AppendBinary(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(t.WallNanos))
	return binary.BigEndian.AppendUint32(dst, t.Logical)
}

// ParseBinary decodes exactly EncodedBytes bytes, as AppendBinary wrote them. Any other length, and
// a wall time above MaxInt64, is ErrBadEncoding.
func ParseBinary(b []byte) (Timestamp, error) {
	if len(b) != EncodedBytes {
		return Timestamp{}, fmt.Errorf("%w: %d bytes, not %d", ErrBadEncoding, len(b), EncodedBytes)
	}
	wall := binary.BigEndian.Uint64(b)
	if wall > math.MaxInt64 {
		return Timestamp{}, fmt.Errorf("%w: wall time out of range: %s", ErrBadEncoding, base.Quote(b))
	}
	return Timestamp{WallNanos: int64(wall), Logical: binary.BigEndian.Uint32(b[8:])}, nil
}

// ParseTimestamp reads what String wrote, and nothing else: no sign, no leading zeros, all nine
// decimals, the logical part. Errors wrap ErrBadText.
func ParseTimestamp(s string) (Timestamp, error) {
	bad := func() (Timestamp, error) {
		return Timestamp{}, fmt.Errorf("%w: %s; it looks like 1763812345.123456789,7", ErrBadText, base.Quote([]byte(s)))
	}
	secText, rest, ok := strings.Cut(s, ".")
	nanosText, logicalText, ok2 := strings.Cut(rest, ",")
	if !ok || !ok2 || len(nanosText) != 9 {
		return bad()
	}
	sec, err1 := strconv.ParseUint(secText, 10, 63)
	nanos, err2 := strconv.ParseUint(nanosText, 10, 32)
	logical, err3 := strconv.ParseUint(logicalText, 10, 32)
	if err1 != nil || err2 != nil || err3 != nil {
		return bad()
	}
	const second = uint64(time.Second)
	if sec > math.MaxInt64/second || sec*second+nanos > math.MaxInt64 {
		return bad()
	}
	t := Timestamp{WallNanos: int64(sec*second + nanos), Logical: uint32(logical)}
	if t.String() != s { // leading zeros
		return bad()
	}
	return t, nil
}
