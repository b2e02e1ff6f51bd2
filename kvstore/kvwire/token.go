package kvwire

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
)

// Bytes of a resume token; part of the format, never renumber.
const (
	tokenFormat  byte = 0x01
	tokenReverse byte = 0x01
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendToken appends the resume token that stands behind key in a scan of bucket: what ScanResponse.resume_token would
// be if key were the last one of its message. at is the time of the scan, zero for the present.
//
//	+--------+-------------+----------+-------------+-----------+----------+
//	| format | flags       | bucket   | time        | last key  | crc      |
//	| 1 = 01 | 1: 01 = rev | 8 BE     | 12 (or 0)   | 1..16 KiB | 4 BE     |
//	+--------+-------------+----------+-------------+-----------+----------+
//	crc: CRC-32C of everything in front of it
func AppendToken(dst []byte, bucket keys.BucketID, reverse bool, at hlc.Timestamp, key []byte) []byte {
	start := len(dst)
	flags := byte(0)
	if reverse {
		flags = tokenReverse
	}
	dst = append(dst, tokenFormat, flags)
	dst = binary.BigEndian.AppendUint64(dst, uint64(bucket))
	dst = at.AppendBinary(dst)
	dst = append(dst, key...)
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}
