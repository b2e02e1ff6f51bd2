package keys

import (
	"fmt"
	"math"
)

// Namespace is the first byte of every key inside a shard's column family.
type Namespace byte

// The namespaces of a shard's family; part of the format, never renumber.
const (
	// NamespaceData holds the records of applications; `/data` in the layout document.
	NamespaceData Namespace = 'd'
	// NamespaceMeta holds the replica's own metadata.
	NamespaceMeta Namespace = 'm'
	// NamespaceRaft holds the raft log and its state; `/raft` in the layout document.
	NamespaceRaft Namespace = 'r'
)

// The first bytes of node-local keys, which live in the default family only; part of the format,
// never renumber. They are disjoint from the namespaces of a shard.
const (
	// LocalSettings begins the settings of the node.
	LocalSettings byte = 'c'
	// LocalClockBound is the key of the clock's persisted upper bound.
	LocalClockBound byte = 'h'
	// LocalIdentity begins the identity of the node.
	LocalIdentity byte = 'i'
	// LocalLoad begins the progress of an unfinished load, which the command line keeps there.
	LocalLoad byte = 'l'
	// LocalShard begins a shard record; the shard id follows as 8 bytes, big-endian.
	LocalShard byte = 's'
)

// metaBucket is the second byte of a bucket's settings key; part of the format.
const metaBucket = 'b'

// metaCounted is the second byte of the mark's key; part of the format.
const metaCounted = 'v'

// BucketID names a bucket; ids are unique in a constellation. 0 is not a bucket.
type BucketID uint64

const (
	// DefaultBucket is the bucket that the embedded store uses.
	DefaultBucket BucketID = 1
	// MaxBucket is the highest bucket id.
	MaxBucket BucketID = math.MaxUint64
)

// Sizes; part of the format.
const (
	// MaxKeyBytes bounds an application's key, before escaping.
	MaxKeyBytes = 16 << 10
	// SuffixBytes is the length of the suffix, which ends every data key.
	SuffixBytes = 2
	// MaxStoredKeyBytes is the length of the longest data key: one of MaxKeyBytes zero bytes.
	MaxStoredKeyBytes = headBytes + 2*MaxKeyBytes + 1 + SuffixBytes

	bucketBytes    = 8
	headBytes      = 1 + bucketBytes
	minStemBytes   = headBytes + 1 + 1
	minStoredBytes = minStemBytes + SuffixBytes
)

// Validate reports whether key may be stored: ErrEmptyKey, ErrKeyTooLong or nil. Any byte values
// are allowed.
func Validate(key []byte) error {
	switch {
	case len(key) == 0:
		return ErrEmptyKey
	case len(key) > MaxKeyBytes:
		return fmt.Errorf("%w: it has %d", ErrKeyTooLong, len(key))
	}
	return nil
}

// Validate returns ErrInvalidBucket for id 0 and nil for every other id.
func (b BucketID) Validate() error {
	if b == 0 {
		return ErrInvalidBucket
	}
	return nil
}
