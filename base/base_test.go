package base_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/shieldmaidens/pleiades/base"
)

func TestMarkedErrorsMatchTheirMarkerOnly(t *testing.T) {
	sentinel := base.New(base.ErrInvalid, "keys: the key is empty")
	err := fmt.Errorf("%w: bucket 7", sentinel)
	if !errors.Is(err, sentinel) || !errors.Is(err, base.ErrInvalid) {
		t.Fatalf("%v matches neither its sentinel nor its marker", err)
	}
	if errors.Is(err, base.ErrNotFound) {
		t.Fatalf("%v matches a foreign marker", err)
	}
	if got, want := err.Error(), "keys: the key is empty: bucket 7"; got != want {
		t.Fatalf("message %q, want %q", got, want)
	}
}

func TestQuoteIsPrintableAndCut(t *testing.T) {
	if got, want := base.Quote([]byte("a\x00\xff")), `"a\x00\xff"`; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	got := base.Quote([]byte(strings.Repeat("k", 65)))
	if !strings.HasSuffix(got, "(65 bytes)") || strings.Count(got, "k") != 64 {
		t.Fatalf("long key is shown as %s", got)
	}
}

func ExampleNew() {
	errNoSuchStar := base.New(base.ErrNotFound, "atlas: no such star")
	err := fmt.Errorf("%w: %s", errNoSuchStar, base.Quote([]byte("Maia")))
	fmt.Println(err, errors.Is(err, base.ErrNotFound))
	// Output: atlas: no such star: "Maia" true
}
