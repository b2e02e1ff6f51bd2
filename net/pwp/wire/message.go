package wire

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Prelude precedes the protobuf bytes of every message.
type Prelude struct {
	Type MessageType
	// Checksum is the CRC-32C (Castagnoli) of the protobuf bytes.
	Checksum uint32
	// SizeBytes is how many protobuf bytes follow. It is the peer's claim: check it before allocating.
	SizeBytes uint64
}

// castagnoli is the polynomial of CRC-32C; the standard library computes it with the processor's own instruction.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum returns the CRC-32C of b.
func Checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// UpdateChecksum returns the CRC-32C of what sum covers followed by b.
func UpdateChecksum(sum uint32, b []byte) uint32 { return crc32.Update(sum, castagnoli, b) }

// AppendPrelude appends p, PreludeBytes bytes.
//
//	 0    1    2    3             7    8            16
//	+----+----+----+-------------+----+------------+
//	| 20 |type| 21 | CRC-32C, BE | 22 | size, BE   |
//	+----+----+----+-------------+----+------------+
func AppendPrelude(dst []byte, p Prelude) []byte {
	dst = append(dst, byte(MagicPayloadType), byte(p.Type), byte(MagicPayloadChecksum))
	dst = binary.BigEndian.AppendUint32(dst, p.Checksum)
	return binary.BigEndian.AppendUint64(append(dst, byte(MagicPayloadSize)), p.SizeBytes)
}

// ParsePrelude decodes the prelude at the beginning of b and returns its size. Errors: ErrTruncated, ErrBadPrelude.
// Byte 7 may also be 0x21, which the printed draft gives to the size as well: the checksum is mandatory and comes
// first, so nothing else can be meant.
func ParsePrelude(b []byte) (p Prelude, n int, err error) {
	switch {
	case len(b) > 0 && b[0] != byte(MagicPayloadType):
		return p, 0, fmt.Errorf("%w: %v begins it, not %v", ErrBadPrelude, Magic(b[0]), MagicPayloadType)
	case len(b) > 2 && b[2] != byte(MagicPayloadChecksum):
		return p, 0, fmt.Errorf("%w: %v in place of %v", ErrBadPrelude, Magic(b[2]), MagicPayloadChecksum)
	case len(b) > 7 && b[7] != byte(MagicPayloadSize) && b[7] != byte(MagicPayloadChecksum):
		return p, 0, fmt.Errorf("%w: %v in place of %v", ErrBadPrelude, Magic(b[7]), MagicPayloadSize)
	case len(b) < PreludeBytes:
		return p, 0, fmt.Errorf("%w: %d of %d bytes of a prelude", ErrTruncated, len(b), PreludeBytes)
	}
	return Prelude{
		Type:      MessageType(b[1]),
		Checksum:  binary.BigEndian.Uint32(b[3:]),
		SizeBytes: binary.BigEndian.Uint64(b[8:]),
	}, PreludeBytes, nil
}

// Check returns ErrTooLarge when p announces more than limit bytes.
func (p Prelude) Check(limit uint64) error {
	if p.SizeBytes > limit {
		return fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, p.SizeBytes, limit)
	}
	return nil
}

// Verify returns ErrChecksum when payload, which has p.SizeBytes bytes, is not what the sender checked.
func (p Prelude) Verify(payload []byte) error {
	if sum := Checksum(payload); sum != p.Checksum {
		return fmt.Errorf("%w: %08x, the prelude has %08x, %d bytes", ErrChecksum, sum, p.Checksum, len(payload))
	}
	return nil
}

// AppendMessage appends a whole message: prelude, env, body. body is encoded protobuf without fields 1 and 2, and may be
// empty: two encodings one after the other are the encoding of both together, so the envelope goes in front without
// touching the body.
//
//	| prelude, 16 bytes | 08 id [10 timeout] | body |
func AppendMessage(dst []byte, t MessageType, env Envelope, body []byte) []byte {
	start := len(dst)
	dst = append(dst, make([]byte, PreludeBytes)...)
	dst = append(AppendEnvelope(dst, env), body...)
	payload := dst[start+PreludeBytes:]
	AppendPrelude(dst[:start], Prelude{Type: t, Checksum: Checksum(payload), SizeBytes: uint64(len(payload))})
	return dst
}
