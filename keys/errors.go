package keys

import "github.com/shieldmaidens/pleiades/base"

// Errors on keys that applications bring.
var (
	// ErrEmptyKey says that a key has no bytes. The way out: every key needs at least one.
	ErrEmptyKey = base.New(base.ErrInvalid, "keys: the key is empty")
	// ErrKeyTooLong says that a key has more than MaxKeyBytes bytes.
	ErrKeyTooLong = base.New(base.ErrInvalid, "keys: the key is longer than 16384 bytes")
	// ErrInvalidBucket says that bucket id 0 was used. The embedded store uses DefaultBucket.
	ErrInvalidBucket = base.New(base.ErrInvalid, "keys: bucket id 0 is not a bucket")
)

// Errors on stored bytes: what Parse, ParseStem, SplitStem and StemLen find wrong.
var (
	// ErrTruncated says that a stored key is shorter than the shortest data key, that of a key of
	// one byte.
	ErrTruncated = base.New(base.ErrCorruption, "keys: the stored key is too short")
	// ErrNotData says that the first byte is not the data namespace.
	ErrNotData = base.New(base.ErrCorruption, "keys: the stored key is not in the data namespace")
	// ErrStoredBucket says that a stored key carries bucket id 0.
	ErrStoredBucket = base.New(base.ErrCorruption, "keys: the stored key has bucket id 0")
	// ErrStoredKeyLength says that the key inside a stored key has more than MaxKeyBytes bytes.
	ErrStoredKeyLength = base.New(base.ErrCorruption, "keys: the stored key holds a key longer than 16384 bytes")
	// ErrBadEscape says that a 0x00 inside the key is followed by neither 0xFF nor a suffix that
	// ends the stored key.
	ErrBadEscape = base.New(base.ErrCorruption, "keys: bad escape in the stored key")
	// ErrNoTerminator says that the 0x00 which ends the key is missing.
	ErrNoTerminator = base.New(base.ErrCorruption, "keys: the stored key has no terminator")
	// ErrUnknownDelimiter says that the delimiter is none of '.', ':' and '@'.
	ErrUnknownDelimiter = base.New(base.ErrCorruption, "keys: unknown delimiter in the stored key")
	// ErrUnknownTag says that the tag does not go with its delimiter: '@' without 'l', or ':' with
	// slot 0 or 255.
	ErrUnknownTag = base.New(base.ErrCorruption, "keys: unknown tag in the stored key")
)
