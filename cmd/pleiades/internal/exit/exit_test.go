package exit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/shieldmaidens/pleiades/base"
)

// TestEveryMarkerHasACode pins the table of codes: scripts depend on it.
func TestEveryMarkerHasACode(t *testing.T) {
	want := map[error]Code{
		base.ErrNotFound:         NotFound,
		base.ErrInvalid:          Usage,
		base.ErrCorruption:       CheckFailed,
		base.ErrClosed:           Failure,
		base.ErrOverloaded:       Unavailable,
		base.ErrUnavailable:      Unavailable,
		base.ErrVersion:          Failure,
		base.ErrConflict:         Conflict,
		base.ErrExists:           Conflict,
		base.ErrPermission:       Denied,
		base.ErrDiskFull:         Unavailable,
		base.ErrUnknownOutcome:   Unavailable,
		context.Canceled:         Interrupted,
		context.DeadlineExceeded: Unavailable,
		fs.ErrPermission:         Denied,
		fs.ErrNotExist:           NotFound,
	}
	for marker, code := range want {
		wrapped := fmt.Errorf("outer: %w", fmt.Errorf("inner: %w", marker))
		got, fix := Of(wrapped)
		if got != code || fix == "" {
			t.Errorf("Of(%v) = %d, %q; want code %d and a fix line", marker, got, fix, code)
		}
	}
	if code, fix := Of(errors.New("unheard of")); code != Failure || fix == "" {
		t.Errorf("an unknown error gives %d, %q", code, fix)
	}
	if code, fix := Of(nil); code != OK || fix != "" {
		t.Errorf("no error gives %d, %q", code, fix)
	}
}

// TestExplicitCodeWins: what a command decided is not overruled by the marker below it.
func TestExplicitCodeWins(t *testing.T) {
	err := fmt.Errorf("cmd: %w", New(CheckFailed, "look there", "bad: %w", base.ErrNotFound))
	if code, fix := Of(err); code != CheckFailed || fix != "look there" {
		t.Fatalf("got %d, %q", code, fix)
	}
	if !errors.Is(err, base.ErrNotFound) {
		t.Fatal("the cause is hidden")
	}
	if code, fix := Of(&Error{Code: Failure, Err: base.ErrNotFound}); code != Failure || fix == "" {
		t.Fatalf("without an own fix the marker's applies: %d, %q", code, fix)
	}
}

func TestWithFixKeepsTheCode(t *testing.T) {
	if WithFix(nil, "x") != nil {
		t.Fatal("nil became an error")
	}
	if code, fix := Of(WithFix(base.ErrDiskFull, "buy a disk")); code != Unavailable || fix != "buy a disk" {
		t.Fatalf("got %d, %q", code, fix)
	}
}
