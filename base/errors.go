package base

import "errors"

// The shared markers. Every error that leaves a package of Pleiades matches at most one of them
// under errors.Is, so that a caller can decide what to do without knowing which layer failed.
var (
	// ErrNotFound says that what was asked for does not exist: a key, a version, a shard.
	ErrNotFound = errors.New("not found")
	// ErrInvalid says that the caller's input can never be accepted as it is.
	ErrInvalid = errors.New("invalid input")
	// ErrCorruption says that stored bytes are not what was written. Nothing was changed by finding out.
	ErrCorruption = errors.New("corruption")
	// ErrClosed says that the object was closed, by its owner or by an error that it reported earlier.
	ErrClosed = errors.New("closed")
	// ErrOverloaded says that a bound was reached; the same call may succeed later.
	ErrOverloaded = errors.New("overloaded")
	// ErrUnavailable says that what was asked for can't be had now, through no fault of the caller's: held
	// by somebody else, a clock that is wrong, no quorum. The same call may succeed later.
	ErrUnavailable = errors.New("unavailable")
	// ErrVersion says that a format is newer than this program reads.
	ErrVersion = errors.New("unsupported format version")
	// ErrConflict says that a condition of the call did not hold: another writer was first.
	ErrConflict = errors.New("conflict")
	// ErrExists says that what was to be created is there already.
	ErrExists = errors.New("already exists")
	// ErrPermission says that the operating system or the configuration forbids it.
	ErrPermission = errors.New("permission denied")
	// ErrDiskFull says that the disk has no room for the write. Nothing was written.
	ErrDiskFull = errors.New("disk full")
	// ErrUnknownOutcome says that the write may or may not survive: only reading back tells.
	ErrUnknownOutcome = errors.New("outcome unknown")
)

// marked is an error text that matches a marker under errors.Is.
type marked struct {
	text   string
	marker error
}

func (m *marked) Error() string { return m.text }
func (m *marked) Unwrap() error { return m.marker }

// New returns a sentinel with the given text that matches marker under errors.Is. The marker's own
// text is not part of the message.
func New(marker error, text string) error { return &marked{text: text, marker: marker} }
