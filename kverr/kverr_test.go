package kverr_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/kverr"
)

var markers = []error{
	base.ErrNotFound, base.ErrInvalid, base.ErrCorruption, base.ErrClosed, base.ErrOverloaded, base.ErrUnavailable, base.ErrVersion,
	base.ErrConflict, base.ErrExists, base.ErrPermission, base.ErrDiskFull, base.ErrUnknownOutcome,
}

func TestNumbersAndSentinelsAreOneToOne(t *testing.T) {
	seen := map[error]uint32{}
	last := uint32(0)
	for _, n := range kverr.Numbers() {
		if n <= last {
			t.Errorf("number %d stands behind %d", n, last)
		}
		last = n
		sentinel := kverr.Sentinel(n)
		if sentinel == nil {
			t.Fatalf("number %d has no sentinel", n)
		}
		if other, ok := seen[sentinel]; ok {
			t.Errorf("%v has the numbers %d and %d", sentinel, other, n)
		}
		seen[sentinel] = n
		if got := kverr.NumberOf(fmt.Errorf("%w: operand", sentinel)); got != n {
			t.Errorf("%v has the number %d, want %d", sentinel, got, n)
		}
		matches := 0
		for _, m := range markers {
			if errors.Is(sentinel, m) {
				matches++
			}
		}
		if matches != 1 {
			t.Errorf("%v matches %d markers, want 1", sentinel, matches)
		}
	}
}

func TestWhatIsUnknownHasNoNumber(t *testing.T) {
	if n := kverr.NumberOf(errors.New("something else")); n != 0 {
		t.Errorf("a foreign error has the number %d", n)
	}
	if err := kverr.Sentinel(999); err != nil {
		t.Errorf("number 999 stands for %v", err)
	}
}

func ExampleSentinel() {
	err := fmt.Errorf("%w: %s", kverr.ErrBucketNotFound, "stars")
	number := kverr.NumberOf(err) // travels with the error's text
	fmt.Println(number, errors.Is(err, kverr.Sentinel(number)), errors.Is(err, base.ErrNotFound))
	// Output: 20 true true
}
