package versioning

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
)

// Bytes of a resume token; part of the format, never renumber.
const (
	tokenFormat byte = 0x01

	tokenReverse byte = 0x01

	minTokenBytes = 1 + 1 + 8 + hlc.EncodedBytes + 1 + 4
)

// Token says where a scan goes on. It is opaque, may be kept and passed around, and is good for any
// scan of the same bucket, direction and time, in any process. It holds the last key in clear.
type Token []byte

// token is the decoded form.
type token struct {
	reverse bool
	bucket  keys.BucketID
	at      hlc.Timestamp // zero: the present
	key     []byte        // the last key returned; aliases what was parsed
}

//	+--------+-------------+----------+-------------+-----------+----------+
//	| format | flags       | bucket   | time        | last key  | crc      |
//	| 1 = 01 | 1: 01 = rev | 8 BE     | 12 (or 0)   | 1..16 KiB | 4 BE     |
//	+--------+-------------+----------+-------------+-----------+----------+
//	crc: CRC-32C of everything in front of it

func appendToken(dst []byte, t token) []byte {
	start := len(dst)
	flags := byte(0)
	if t.reverse {
		flags = tokenReverse
	}
	dst = append(dst, tokenFormat, flags)
	dst = binary.BigEndian.AppendUint64(dst, uint64(t.bucket))
	dst = t.at.AppendBinary(dst)
	dst = append(dst, t.key...)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// parseToken decodes a token. Errors: ErrBadToken, ErrTokenVersion.
func parseToken(b []byte) (token, error) {
	if len(b) < minTokenBytes {
		return token{}, fmt.Errorf("%w: %d bytes", ErrBadToken, len(b))
	}
	if b[0] != tokenFormat {
		return token{}, fmt.Errorf("%w: format %#02x", ErrTokenVersion, b[0])
	}
	body := b[:len(b)-4]
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(b[len(body):]) {
		return token{}, fmt.Errorf("%w: damaged", ErrBadToken)
	}
	if b[1]&^tokenReverse != 0 {
		return token{}, fmt.Errorf("%w: flags %#02x", ErrBadToken, b[1])
	}
	const head = 1 + 1 + 8
	at, err := hlc.ParseBinary(b[head : head+hlc.EncodedBytes])
	if err != nil {
		return token{}, fmt.Errorf("%w: %w", ErrBadToken, err)
	}
	t := token{
		reverse: b[1]&tokenReverse != 0,
		bucket:  keys.BucketID(binary.BigEndian.Uint64(b[2:head])),
		at:      at,
		key:     body[head+hlc.EncodedBytes:],
	}
	if err := keys.Validate(t.key); err != nil {
		return token{}, fmt.Errorf("%w: %w", ErrBadToken, err)
	}
	return t, nil
}
