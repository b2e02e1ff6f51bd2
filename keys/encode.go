package keys

import (
	"bytes"
	"encoding/binary"
)

// Delimiters and tags, the two bytes of a suffix; part of the format, never renumber.
const (
	// DelimTag begins a general tag: the descriptor, or a reserved one.
	DelimTag byte = '.'
	// DelimVersion begins the slot of one old version.
	DelimVersion byte = ':'
	// DelimLatest begins the latest version.
	DelimLatest byte = '@'

	// TagDescriptor is the tag of the descriptor behind DelimTag.
	TagDescriptor byte = 'd'
	// TagLatest is the only tag behind DelimLatest.
	TagLatest byte = 'l'

	// MinSlot and MaxSlot bound the tag behind DelimVersion. 255 names the latest version in the
	// API and is never a slot.
	MinSlot uint8 = 1
	MaxSlot uint8 = 254
)

// Whole suffixes, to be appended to a stem.
const (
	// SuffixDescriptor ends a descriptor's key.
	SuffixDescriptor = ".d"
	// SuffixLatest ends the key of a latest version.
	SuffixLatest = "@l"
)

const (
	terminator = 0x00 // ends the key
	escape     = 0xFF // behind a 0x00 that belongs to the key; above every delimiter
)

// AppendStem appends the part that all records of a key share. The caller has checked b and key
// with Validate: what Validate refuses is encoded all the same, and refused by Parse.
//
//	'd' | bucket, 8 bytes BE | key, each 00 as 00 FF | 00
func AppendStem(dst []byte, b BucketID, key []byte) []byte {
	return append(appendEscaped(appendHead(dst, b), key), terminator)
}

// AppendDescriptor appends the key of the descriptor: stem, ".d".
func AppendDescriptor(dst []byte, b BucketID, key []byte) []byte {
	return append(AppendStem(dst, b, key), SuffixDescriptor...)
}

// AppendLatest appends the key of the latest version: stem, "@l".
func AppendLatest(dst []byte, b BucketID, key []byte) []byte {
	return append(AppendStem(dst, b, key), SuffixLatest...)
}

// AppendSlot appends the key of one old version: stem, ":", slot. slot is MinSlot..MaxSlot; others
// are encoded all the same, and refused by Parse.
func AppendSlot(dst []byte, b BucketID, key []byte, slot uint8) []byte {
	return append(AppendStem(dst, b, key), DelimVersion, slot)
}

// AppendTag appends the key of a general tag: stem, ".", tag. Every tag but TagDescriptor is
// reserved: kept and skipped by this version.
func AppendTag(dst []byte, b BucketID, key []byte, tag byte) []byte {
	return append(AppendStem(dst, b, key), DelimTag, tag)
}

// AppendBucketSettings appends the key of a bucket's settings: 'm', 'b', bucket (8 bytes BE).
func AppendBucketSettings(dst []byte, b BucketID) []byte {
	return binary.BigEndian.AppendUint64(append(dst, byte(NamespaceMeta), metaBucket), uint64(b))
}

// AppendCountedMark appends the key of the mark that says that the counters of what buckets hold are right: 'm', 'v'.
// A writer that does not count removes it.
func AppendCountedMark(dst []byte) []byte { return append(dst, byte(NamespaceMeta), metaCounted) }

// AppendLocalShard appends the node-local key of a shard's record: 's', shard id (8 bytes BE).
func AppendLocalShard(dst []byte, shard uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, LocalShard), shard)
}

func appendHead(dst []byte, b BucketID) []byte {
	return binary.BigEndian.AppendUint64(append(dst, byte(NamespaceData)), uint64(b))
}

// appendEscaped appends key with each 00 as 00 FF. Keys without 00, nearly all, are one copy.
func appendEscaped(dst, key []byte) []byte {
	for {
		i := bytes.IndexByte(key, terminator)
		if i < 0 {
			return append(dst, key...)
		}
		dst = append(append(dst, key[:i+1]...), escape)
		key = key[i+1:]
	}
}
