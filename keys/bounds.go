package keys

import "bytes"

// Bounds is the half-open range [Lower, Upper) of stored keys, in the form that engine iterators
// and range deletes take. Both slices are always set; they belong to the caller.
type Bounds struct {
	Lower, Upper []byte
}

// Contains reports whether stored lies in the range.
func (s Bounds) Contains(stored []byte) bool {
	return bytes.Compare(stored, s.Lower) >= 0 && bytes.Compare(stored, s.Upper) < 0
}

// Empty reports whether the range holds no key at all.
func (s Bounds) Empty() bool { return bytes.Compare(s.Lower, s.Upper) >= 0 }

// KeyBounds returns the range of one key's records: all of them and nothing else.
func KeyBounds(b BucketID, key []byte) Bounds {
	stem := AppendStem(make([]byte, 0, stemRoom(key)), b, key)
	return StemBounds(stem)
}

// StemBounds returns the range of the records with that stem. Lower aliases stem.
func StemBounds(stem []byte) Bounds {
	// Behind the stem comes a delimiter, all below 0xFF; stem + 0xFF is where longer keys begin
	// that continue with a 0x00, so the last byte of the stem must not be incremented here.
	upper := make([]byte, 0, len(stem)+1)
	return Bounds{Lower: stem[:len(stem):len(stem)], Upper: append(append(upper, stem...), escape)}
}

// PrefixBounds returns the range of all records of all keys of bucket b that begin with prefix. The
// empty prefix gives the whole bucket. Any bytes are right, 0x00 and 0xFF at its end included.
func PrefixBounds(b BucketID, prefix []byte) Bounds {
	lower := appendEscaped(appendHead(make([]byte, 0, stemRoom(prefix)), b), prefix)
	return Bounds{Lower: lower, Upper: successorOfPrefix(lower)}
}

// BucketBounds returns the range of all records of bucket b. Its settings are not in it.
func BucketBounds(b BucketID) Bounds { return PrefixBounds(b, nil) }

// RangeBounds returns the range of all records of the keys in [start, end) of bucket b. An empty
// start is the beginning of the bucket and a nil end is its end. When end is not above start the
// range is empty: Lower and Upper are equal.
func RangeBounds(b BucketID, start, end []byte) Bounds {
	bucket := BucketBounds(b)
	bounds := bucket
	if len(start) > 0 {
		bounds.Lower = AppendStem(make([]byte, 0, stemRoom(start)), b, start)
	}
	if end != nil {
		bounds.Upper = bucket.Lower
		if len(end) > 0 {
			bounds.Upper = AppendStem(make([]byte, 0, stemRoom(end)), b, end)
		}
	}
	if bounds.Empty() {
		bounds.Upper = bytes.Clone(bounds.Lower)
	}
	return bounds
}

// NamespaceBounds returns the range of a whole namespace.
func NamespaceBounds(ns Namespace) Bounds {
	return Bounds{Lower: []byte{byte(ns)}, Upper: []byte{byte(ns) + 1}}
}

// Successor appends the smallest key above key: key itself and one 0x00. It is where a scan goes on
// behind key. Of a key of MaxKeyBytes it is one byte too long to be stored, and still a bound.
func Successor(dst, key []byte) []byte { return append(append(dst, key...), 0x00) }

// PrefixEnd appends the smallest key above all keys that begin with prefix. ok is false, and dst
// returned as it was, when there is none: prefix is empty or 0xFF bytes only.
func PrefixEnd(dst, prefix []byte) (end []byte, ok bool) {
	n := len(prefix)
	for n > 0 && prefix[n-1] == 0xFF {
		n--
	}
	if n == 0 {
		return dst, false
	}
	dst = append(dst, prefix[:n]...)
	dst[len(dst)-1]++
	return dst, true
}

// successorOfPrefix returns the smallest stored key above all that begin with stored, which begins
// with a namespace byte, so there always is one.
func successorOfPrefix(stored []byte) []byte {
	upper, _ := PrefixEnd(make([]byte, 0, len(stored)), stored)
	return upper
}

// stemRoom is the length of key's stem, without room for escapes.
func stemRoom(key []byte) int { return headBytes + len(key) + 1 + SuffixBytes }
