package wire

import "encoding/binary"

// The few lines of protobuf that the protocol needs: it reads two fields of every message, and has one message of its
// own. Wire types are protobuf's.
const (
	kindVarint  = 0
	kindFixed64 = 1
	kindBytes   = 2
	kindFixed32 = 5
)

// maxField is protobuf's greatest field number.
const maxField = 1<<29 - 1

// field is one field of the outermost level of a message.
type field struct {
	number uint32
	kind   uint8
	value  uint64 // of kindVarint
	bytes  []byte // of kindBytes; aliases the message
}

// nextField reads the field at the beginning of b and returns its size, 0 when there is none. Groups are no fields:
// proto3 has none.
func nextField(b []byte) (f field, n int) {
	tag, n := uvarint(b)
	if n == 0 || tag>>3 == 0 || tag>>3 > maxField {
		return field{}, 0
	}
	f.number, f.kind = uint32(tag>>3), uint8(tag&7)
	rest := b[n:]
	switch f.kind {
	case kindVarint:
		v, m := uvarint(rest)
		if m == 0 {
			return field{}, 0
		}
		f.value = v
		return f, n + m
	case kindFixed64:
		if len(rest) < 8 {
			return field{}, 0
		}
		return f, n + 8
	case kindFixed32:
		if len(rest) < 4 {
			return field{}, 0
		}
		return f, n + 4
	case kindBytes:
		size, m := uvarint(rest)
		if m == 0 || size > uint64(len(rest)-m) {
			return field{}, 0
		}
		f.bytes = rest[m : m+int(size)]
		return f, n + m + int(size)
	}
	return field{}, 0
}

// uvarint reads a varint and returns its size, 0 when it is cut off or has more than 64 bits.
func uvarint(b []byte) (v uint64, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return uint64(b[0]), 1
	}
	v, n = binary.Uvarint(b)
	return v, max(n, 0)
}

// appendUint appends a varint field, and nothing for 0, as proto3 does.
func appendUint(dst []byte, number uint32, v uint64) []byte {
	if v == 0 {
		return dst
	}
	return binary.AppendUvarint(binary.AppendUvarint(dst, uint64(number)<<3|kindVarint), v)
}

// appendString appends a bytes field, and nothing for the empty string, as proto3 does.
func appendString(dst []byte, number uint32, s string) []byte {
	if s == "" {
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(number)<<3|kindBytes)
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}
