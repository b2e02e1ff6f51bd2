package versioning

import (
	"fmt"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/kverr"
)

// What the state of a key does not allow. Nothing was written.
var (
	// ErrNotFound says that there is no such key, version or value: never written, deleted, expired
	// or purged.
	ErrNotFound = kverr.ErrNotFound
	// ErrHistoryTruncated says that the key existed at that time, or had that version, but
	// rollover or vacuum has taken it. The oldest version that is left is in the key's Descriptor.
	ErrHistoryTruncated = kverr.ErrHistoryTruncated
	// ErrRevisionMismatch says that a write with IfRevision met another revision: read again and
	// decide again. The error is a *RevisionError, which holds the revision that was found.
	ErrRevisionMismatch = kverr.ErrRevisionMismatch
	// ErrExists says that a put with IfAbsent met a live value.
	ErrExists = kverr.ErrExists
	// ErrVersionsExhausted says that the key has as many versions as its bucket allows and the
	// bucket refuses rollover. Raise max_versions, vacuum or purge the key, or change the rollover.
	ErrVersionsExhausted = kverr.ErrVersionsExhausted
)

// What can never be accepted. Nothing was written.
var (
	// ErrValueTooLarge says that a value has more bytes than Options.MaxValueBytes.
	ErrValueTooLarge = kverr.ErrValueTooLarge
	// ErrInvalidVersion says that a version number is not in 1..255.
	ErrInvalidVersion = kverr.ErrInvalidVersion
	// ErrInvalidSettings says that bucket settings are out of bounds.
	ErrInvalidSettings = kverr.ErrInvalidSettings
	// ErrInvalidOptions says that an options struct has faults; all are named.
	ErrInvalidOptions = base.New(base.ErrInvalid, "versioning: invalid options")
	// ErrChecksumMismatch says that a put carried a checksum that its value does not have: it was
	// damaged on its way here.
	ErrChecksumMismatch = kverr.ErrChecksumMismatch
	// ErrBadToken says that a resume token is not one, or belongs to another scan.
	ErrBadToken = kverr.ErrBadToken
	// ErrTokenVersion says that a newer program made the resume token.
	ErrTokenVersion = kverr.ErrTokenVersion
)

// ErrBusy says that too many writers wait for one key; try again later.
var ErrBusy = kverr.ErrBusy

// ErrClosed says that the store, or the batch, was closed or used up.
var ErrClosed = base.New(base.ErrClosed, "versioning: closed")

// What is wrong with stored bytes.
var (
	// ErrRecordShort says that a stored value is too short to end in a trailer.
	ErrRecordShort = base.New(base.ErrCorruption, "versioning: the stored value is shorter than its trailer")
	// ErrRecordFormat says that a stored value's trailer has a format that this program does not
	// know: a newer one wrote it, or the bytes are damaged.
	ErrRecordFormat = base.New(base.ErrVersion, "versioning: the stored value has an unknown format")
	// ErrRecordFlags says that a trailer's flags are unknown or contradict the record.
	ErrRecordFlags = base.New(base.ErrCorruption, "versioning: the stored value has impossible flags")
	// ErrRecordChecksum says that a stored value is not what was written.
	ErrRecordChecksum = base.New(base.ErrCorruption, "versioning: the stored value fails its checksum")
	// ErrDescriptor says that a descriptor cannot be decoded or contradicts itself.
	ErrDescriptor = base.New(base.ErrCorruption, "versioning: damaged descriptor")
	// ErrDescriptorFormat says that a newer program wrote the descriptor.
	ErrDescriptorFormat = base.New(base.ErrVersion, "versioning: descriptor of a newer version")
	// ErrSettings says that stored bucket settings cannot be decoded or are out of bounds.
	ErrSettings = base.New(base.ErrCorruption, "versioning: damaged bucket settings")
	// ErrSettingsFormat says that a newer program wrote the bucket settings.
	ErrSettingsFormat = base.New(base.ErrVersion, "versioning: bucket settings of a newer version")
	// ErrMissingRecord says that a record which the descriptor promises is not there. `pleiades
	// check` lists all of them.
	ErrMissingRecord = base.New(base.ErrCorruption, "versioning: a record is missing")
)

// RevisionError is the ErrRevisionMismatch of one write.
type RevisionError struct {
	// Want is what IfRevision asked for and Have what the key has; zero for a key that does not exist.
	Want, Have hlc.Timestamp
}

func (e *RevisionError) Error() string {
	return fmt.Sprintf("%v: expected %s, the key has %s", ErrRevisionMismatch, revisionText(e.Want), revisionText(e.Have))
}

// Unwrap makes errors.Is match ErrRevisionMismatch and base.ErrConflict.
func (e *RevisionError) Unwrap() error { return ErrRevisionMismatch }

func revisionText(t hlc.Timestamp) string {
	if t.IsZero() {
		return "none"
	}
	return t.String()
}

// OpError says which operation of a batch failed; the whole batch was not written.
type OpError struct {
	// Index counts the batch's operations from 0.
	Index int
	// Err is what the operation would have returned by itself.
	Err error
}

func (e *OpError) Error() string { return fmt.Sprintf("operation %d of the batch: %v", e.Index, e.Err) }

// Unwrap returns Err.
func (e *OpError) Unwrap() error { return e.Err }
