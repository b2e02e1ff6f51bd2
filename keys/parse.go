package keys

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/shieldmaidens/pleiades/base"
)

// Kind says what a data record holds. Not part of the format: the suffix is.
type Kind uint8

// The kinds of records.
const (
	// KindDescriptor is a key's descriptor, ".d".
	KindDescriptor Kind = 1
	// KindLatest is a key's latest version, "@l".
	KindLatest Kind = 2
	// KindVersion is an old version, ":" and its slot.
	KindVersion Kind = 3
	// KindReserved is a general tag that this version does not know. It is kept and skipped.
	KindReserved Kind = 4
)

func (k Kind) String() string {
	switch k {
	case KindDescriptor:
		return "descriptor"
	case KindLatest:
		return "latest"
	case KindVersion:
		return "version"
	case KindReserved:
		return "reserved"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}

// Record is a parsed data key.
type Record struct {
	Bucket BucketID
	// Key is the application's key, unescaped. Parse says who owns it.
	Key  []byte
	Kind Kind
	// Slot is 1..254 for KindVersion and 0 otherwise. It is not the version's number: the
	// descriptor's base maps one to the other.
	Slot uint8
	// Delimiter and Tag are the suffix as stored.
	Delimiter, Tag byte
}

// Append appends the stored form of r; for a record that Parse returned, the very bytes it parsed.
func (r Record) Append(dst []byte) []byte {
	return append(AppendStem(dst, r.Bucket, r.Key), r.Delimiter, r.Tag)
}

// Parse decodes a data key strictly. The key is appended to dst, which may be nil, and Record.Key
// is the appended part: pass rec.Key[:0] to reuse the memory for the next record. Nothing aliases
// stored. Errors wrap base.ErrCorruption and are those of errors.go for stored bytes.
func Parse(dst, stored []byte) (Record, error) {
	if err := checkHead(stored, minStoredBytes); err != nil {
		return Record{}, err
	}
	key, n, err := unescape(dst, stored, SuffixBytes)
	if err != nil {
		return Record{}, err
	}
	r := Record{
		Bucket:    BucketID(binary.BigEndian.Uint64(stored[1:headBytes])),
		Key:       key,
		Delimiter: stored[n],
		Tag:       stored[n+1],
	}
	if r.Kind, r.Slot, err = kindOf(r.Delimiter, r.Tag); err != nil {
		return Record{}, fmt.Errorf("%w: %s", err, base.Quote(stored))
	}
	return r, nil
}

// ParseStem decodes a stem strictly: what AppendStem wrote and nothing behind it. The key is
// appended to dst and the appended part returned; nothing aliases stem. Errors as for Parse.
func ParseStem(dst, stem []byte) (BucketID, []byte, error) {
	if err := checkHead(stem, minStemBytes); err != nil {
		return 0, nil, err
	}
	key, _, err := unescape(dst, stem, 0)
	if err != nil {
		return 0, nil, err
	}
	return BucketID(binary.BigEndian.Uint64(stem[1:headBytes])), key, nil
}

// StemLen returns n such that stored[:n] is the stem. It looks at the ends only and does not check
// the key between them: constant time, for records that were written by this package. Errors:
// ErrTruncated, ErrNotData, ErrStoredBucket, ErrNoTerminator.
func StemLen(stored []byte) (int, error) {
	if err := checkHead(stored, minStoredBytes); err != nil {
		return 0, err
	}
	n := len(stored) - SuffixBytes
	if stored[n-1] != terminator {
		return 0, fmt.Errorf("%w: %s", ErrNoTerminator, base.Quote(stored))
	}
	return n, nil
}

// SplitStem splits a data key into its stem, which aliases stored, and its suffix. It checks as
// little as StemLen does.
func SplitStem(stored []byte) (stem []byte, suffix [SuffixBytes]byte, err error) {
	n, err := StemLen(stored)
	if err != nil {
		return nil, suffix, err
	}
	return stored[:n:n], [SuffixBytes]byte(stored[n:]), nil
}

// HasStem reports whether stored is a record of the key with that stem. bytes.HasPrefix is no
// substitute: the stem of "a" also begins the records of "a\x00".
func HasStem(stored, stem []byte) bool {
	return len(stored) == len(stem)+SuffixBytes && bytes.HasPrefix(stored, stem)
}

// checkHead checks length, namespace and bucket.
func checkHead(stored []byte, minBytes int) error {
	switch {
	case len(stored) > 0 && stored[0] != byte(NamespaceData):
		return fmt.Errorf("%w: %s", ErrNotData, base.Quote(stored))
	case len(stored) < minBytes:
		return fmt.Errorf("%w: %d of at least %d bytes: %s", ErrTruncated, len(stored), minBytes, base.Quote(stored))
	case binary.BigEndian.Uint64(stored[1:headBytes]) == 0:
		return fmt.Errorf("%w: %s", ErrStoredBucket, base.Quote(stored))
	}
	return nil
}

// unescape appends the key inside stored to dst and returns the appended part and the index behind
// the terminator, behind which exactly rest bytes must follow.
func unescape(dst, stored []byte, rest int) (key []byte, n int, err error) {
	start := len(dst)
	for n = headBytes; ; {
		i := bytes.IndexByte(stored[n:], terminator)
		if i < 0 {
			return nil, 0, fmt.Errorf("%w: %s", ErrNoTerminator, base.Quote(stored))
		}
		dst = append(dst, stored[n:n+i]...)
		n += i + 1
		if n < len(stored) && stored[n] == escape {
			dst = append(dst, terminator)
			n++
			continue
		}
		if len(stored)-n != rest {
			// A terminator too early, or too late: the suffix itself is cut or holds a 0x00.
			if len(stored)-n < rest {
				return nil, 0, fmt.Errorf("%w: %s", ErrNoTerminator, base.Quote(stored))
			}
			return nil, 0, fmt.Errorf("%w at byte %d: %s", ErrBadEscape, n-1, base.Quote(stored))
		}
		break
	}
	key = dst[start:len(dst):len(dst)]
	// An empty key cannot get here: checkHead wants a byte between head and terminator.
	if len(key) > MaxKeyBytes {
		return nil, 0, fmt.Errorf("%w: it has %d: %s", ErrStoredKeyLength, len(key), base.Quote(stored))
	}
	return key, n, nil
}

func kindOf(delimiter, tag byte) (kind Kind, slot uint8, err error) {
	switch delimiter {
	case DelimTag:
		if tag == TagDescriptor {
			return KindDescriptor, 0, nil
		}
		return KindReserved, 0, nil
	case DelimVersion:
		if tag < MinSlot || tag > MaxSlot {
			return 0, 0, ErrUnknownTag
		}
		return KindVersion, tag, nil
	case DelimLatest:
		if tag != TagLatest {
			return 0, 0, ErrUnknownTag
		}
		return KindLatest, 0, nil
	}
	return 0, 0, ErrUnknownDelimiter
}
