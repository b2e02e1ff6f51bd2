package kverr

import "github.com/shieldmaidens/pleiades/base"

// What the state of a key does not allow. Nothing was written.
var (
	// ErrNotFound says that there is no such key, version or value: never written, deleted, expired or purged.
	ErrNotFound = base.New(base.ErrNotFound, "versioning: not found")
	// ErrHistoryTruncated says that the key existed at that time, or had that version, but rollover or vacuum has taken
	// it. The oldest version that is left is in the key's descriptor.
	ErrHistoryTruncated = base.New(base.ErrNotFound, "versioning: history does not reach back that far")
	// ErrRevisionMismatch says that a conditional write met another revision, or another version number: read again and
	// decide again.
	ErrRevisionMismatch = base.New(base.ErrConflict, "versioning: revision mismatch")
	// ErrExists says that a put with IfAbsent met a live value.
	ErrExists = base.New(base.ErrConflict, "versioning: the key has a value")
	// ErrVersionsExhausted says that the key has as many versions as its bucket allows and the bucket refuses rollover.
	// Raise max_versions, vacuum or purge the key, or change the rollover.
	ErrVersionsExhausted = base.New(base.ErrConflict, "versioning: no version left and the bucket refuses rollover")
)

// What can never be accepted. Nothing was written.
var (
	// ErrValueTooLarge says that a value has more bytes than a value may have.
	ErrValueTooLarge = base.New(base.ErrInvalid, "versioning: value too large")
	// ErrInvalidVersion says that a version number is not in 1..255.
	ErrInvalidVersion = base.New(base.ErrInvalid, "versioning: version number not in 1..255")
	// ErrInvalidSettings says that bucket settings are out of bounds.
	ErrInvalidSettings = base.New(base.ErrInvalid, "versioning: invalid bucket settings")
	// ErrChecksumMismatch says that a put carried a checksum that its value does not have: it was damaged on its way.
	ErrChecksumMismatch = base.New(base.ErrInvalid, "versioning: the value does not have the checksum that came with it")
	// ErrBadToken says that a resume token is not one, or belongs to another scan.
	ErrBadToken = base.New(base.ErrInvalid, "versioning: bad resume token")
	// ErrTokenVersion says that a newer program made the resume token.
	ErrTokenVersion = base.New(base.ErrVersion, "versioning: resume token of a newer version")
	// ErrBadRequest says that a request misses something or contradicts itself; the text says what.
	ErrBadRequest = base.New(base.ErrInvalid, "kvstore: bad request")
	// ErrBatchTooLarge says that a batch has too many operations or bytes. The way out: several batches.
	ErrBatchTooLarge = base.New(base.ErrInvalid, "kvstore: batch too large")
)

// ErrBusy says that too many writers wait; try again later.
var ErrBusy = base.New(base.ErrOverloaded, "versioning: too many writers wait for the key")

// Accounts and buckets.
var (
	// ErrBucketNotFound says that there is no such bucket, or no more.
	ErrBucketNotFound = base.New(base.ErrNotFound, "kvstore: no such bucket")
	// ErrAccountNotFound says that there is no such account, or no more.
	ErrAccountNotFound = base.New(base.ErrNotFound, "kvstore: no such account")
	// ErrBucketExists says that the account has a bucket of that name, maybe one that is still being removed.
	ErrBucketExists = base.New(base.ErrExists, "kvstore: the bucket exists")
	// ErrAccountExists says that there is an account of that name, maybe one that is still being removed.
	ErrAccountExists = base.New(base.ErrExists, "kvstore: the account exists")
	// ErrDeleting says that the bucket or account is being removed: it takes no more requests.
	ErrDeleting = base.New(base.ErrConflict, "kvstore: being removed")
	// ErrNotEmpty says that something was to be removed only if empty, and is not.
	ErrNotEmpty = base.New(base.ErrConflict, "kvstore: not empty")
	// ErrQuota says that the write would exceed a limit of its bucket or account. Remove something, or raise the limit.
	ErrQuota = base.New(base.ErrPermission, "kvstore: over the quota")
	// ErrInvalidName says that a name is not 1 to 64 letters, digits, '-', '_' and '.', beginning with a letter or digit.
	ErrInvalidName = base.New(base.ErrInvalid, "kvstore: impossible name")
	// ErrNotOwner says that the account belongs to somebody else.
	ErrNotOwner = base.New(base.ErrPermission, "kvstore: not the owner of the account")
	// ErrReserved says that the default account or bucket cannot be removed.
	ErrReserved = base.New(base.ErrPermission, "kvstore: reserved")
)

// Sessions.
var (
	// ErrSessionExpired says that the session is not known any more. The write was not run now; whether it was run when
	// it was sent before, only reading tells.
	ErrSessionExpired = base.New(base.ErrClosed, "kvstore: the session has expired")
	// ErrSessionForeign says that the session belongs to another certificate.
	ErrSessionForeign = base.New(base.ErrPermission, "kvstore: not your session")
	// ErrSequence says that a session's sequence number is below its low-water mark, or was used for another write.
	ErrSequence = base.New(base.ErrInvalid, "kvstore: sequence number out of order")
)
