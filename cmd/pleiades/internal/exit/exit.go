package exit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/shieldmaidens/pleiades/base"
)

// Code is what the process hands to its parent.
type Code int

// The codes of the command line's specification; part of the interface, never renumber.
const (
	OK          Code = 0
	Failure     Code = 1
	Usage       Code = 2
	NotFound    Code = 3
	Conflict    Code = 4
	Unavailable Code = 5
	Denied      Code = 6
	CheckFailed Code = 7
	Interrupted Code = 130
)

// Error is an error with its exit code and the line that tells the user what to do about it.
type Error struct {
	Code Code
	Err  error
	Fix  string
}

// Error returns the message without the fix line.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause, so that errors.Is sees through.
func (e *Error) Unwrap() error { return e.Err }

// New returns an error with a code, a fix line and a message in the form of fmt.Errorf.
func New(code Code, fix, format string, args ...any) *Error {
	return &Error{Code: code, Err: fmt.Errorf(format, args...), Fix: fix}
}

// WithFix adds a fix line to err and keeps the code that err has by itself. A nil err stays nil.
func WithFix(err error, fix string) error {
	if err == nil {
		return nil
	}
	code, _ := Of(err)
	return &Error{Code: code, Err: err, Fix: fix}
}

// rule says which code and which general advice belongs to a marker.
type rule struct {
	marker error
	code   Code
	fix    string
}

// rules is searched in order; the first marker that matches decides. An interruption comes first, since
// a cancelled context may be wrapped together with whatever it interrupted.
var rules = []rule{
	{context.Canceled, Interrupted, "run the same command again; what was reported as done stays done"},
	{context.DeadlineExceeded, Unavailable, "try again with a longer --timeout"},
	{base.ErrUnknownOutcome, Unavailable, "read the key back to see whether the write survived, then try again"},
	{base.ErrDiskFull, Unavailable, "make room on the disk that holds --dir, then run the same command again"},
	{base.ErrUnavailable, Unavailable, "try again later; the message says what has to change first"},
	{base.ErrOverloaded, Unavailable, "try again in a moment, or in smaller pieces"},
	{base.ErrCorruption, CheckFailed, "stop writing to this directory, keep a copy, and run: pleiades check"},
	{base.ErrPermission, Denied, "run as the user who owns the directory, or change its permissions"},
	{fs.ErrPermission, Denied, "run as the user who owns the file, or change its permissions"},
	{base.ErrConflict, Conflict, "somebody else wrote first: read the key again (pleiades kv get K --meta) and repeat with the new revision"},
	{base.ErrExists, Conflict, "choose another name, or remove what is there first"},
	{base.ErrVersion, Failure, "use a newer pleiades: this one does not read that format"},
	{base.ErrNotFound, NotFound, "pleiades kv scan --prefix P lists the keys that exist"},
	{fs.ErrNotExist, NotFound, "check the path; a leading @ means a file, write '@…' in quotes for a literal @"},
	{syscall.EISDIR, Usage, "name a file, not a directory"},
	{syscall.ENOTDIR, Usage, "name a directory, not a file"},
	{base.ErrInvalid, Usage, "see --help for the accepted forms"},
	{base.ErrClosed, Failure, "run the command again; if it comes back, run: pleiades check"},
}

// Of returns the code and the fix line for err: those of the outermost *Error in its chain, else those
// of the first marker that matches. Of(nil) is OK.
func Of(err error) (Code, string) {
	if err == nil {
		return OK, ""
	}
	var e *Error
	if errors.As(err, &e) {
		if e.Fix != "" {
			return e.Code, e.Fix
		}
		_, fix := byMarker(e.Err)
		return e.Code, fix
	}
	return byMarker(err)
}

func byMarker(err error) (Code, string) {
	for _, r := range rules {
		if errors.Is(err, r.marker) {
			return r.code, r.fix
		}
	}
	return Failure, "run again with -v for the details, or see --help"
}
