package kvwire_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/kvstore/kvwire"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

func TestEveryErrorCrossesTheWire(t *testing.T) {
	for _, n := range kverr.Numbers() {
		sentinel := kverr.Sentinel(n)
		sent := kvwire.ToWire(fmt.Errorf("%w: operand", sentinel))
		received, err := wire.ParseError(wire.AppendError(nil, sent))
		if err != nil {
			t.Fatalf("number %d: %v", n, err)
		}
		got := kvwire.FromWire(fmt.Errorf("calling: %w", received))
		if !errors.Is(got, sentinel) {
			t.Errorf("number %d arrives as %v, which is not %v", n, got, sentinel)
		}
	}
}

func TestNumbersThatContradictTheirCodeAreNotBelieved(t *testing.T) {
	err := kvwire.FromWire(&wire.Error{Code: wire.CodeOverloaded, Detail: 1, Text: "busy"})
	if errors.Is(err, kverr.ErrNotFound) || !errors.Is(err, base.ErrOverloaded) {
		t.Fatalf("got %v", err)
	}
	if err := kvwire.FromWire(errors.New("local")); err.Error() != "local" {
		t.Fatalf("a local error became %v", err)
	}
}

func TestTypesOfRequestsAreOddAndResponsesFollow(t *testing.T) {
	names := map[string]bool{}
	for i := range 256 {
		req := wire.MessageType(i)
		if !kvwire.Known(req) {
			continue
		}
		if req%2 == 0 || kvwire.Known(kvwire.Response(req)) || !kvwire.Response(req).Application() {
			t.Errorf("%s has the type %v", kvwire.Name(req), req)
		}
		if name := kvwire.Name(req); names[name] {
			t.Errorf("two requests are called %s", name)
		} else {
			names[name] = true
		}
	}
}

func ExampleFromWire() {
	sent := kvwire.ToWire(fmt.Errorf("%w: stars", kverr.ErrBucketNotFound))
	got := kvwire.FromWire(sent)
	fmt.Println(sent.Code == wire.CodeNotFound, errors.Is(got, kverr.ErrBucketNotFound), got)
	// Output: true true kvstore: no such bucket: stars
}
