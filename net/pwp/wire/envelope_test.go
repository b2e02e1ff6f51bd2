package wire_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

func TestEnvelopeRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := wire.Envelope{
			ID:      wire.RequestID(rapid.Uint64Min(1).Draw(t, "id")),
			Timeout: time.Duration(rapid.Int64Range(0, int64(wire.MaxTimeout/time.Microsecond)).Draw(t, "micros")) * time.Microsecond,
		}
		body := protowire.AppendTag(nil, protowire.Number(rapid.Int32Range(3, 1<<29-1).Draw(t, "field")), protowire.BytesType)
		body = protowire.AppendBytes(body, rapid.SliceOf(rapid.Byte()).Draw(t, "value"))
		head := wire.AppendEnvelope(nil, want)
		if len(head) > wire.MaxEnvelopeBytes {
			t.Fatalf("an envelope of %d bytes", len(head))
		}
		for _, msg := range [][]byte{append(head[:len(head):len(head)], body...), append(body, head...)} {
			got, err := wire.ParseRequest(msg)
			if err != nil || got != want {
				t.Fatalf("%x: %+v, %v; want %+v", msg, got, err, want)
			}
			if id, err := wire.ParseResponse(msg); err != nil || id != want.ID {
				t.Fatalf("%x as a response: %d, %v", msg, id, err)
			}
		}
	})
}

// TestNextFieldAgreesWithProtobuf feeds both walkers the same bytes: what ours accepts, protobuf's accepts and splits in
// the same places. Protobuf's Go reader knows groups, which proto3 has not, and field numbers beyond the last valid one.
func TestNextFieldAgreesWithProtobuf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		msg := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "msg")
		id, err := wire.ParseResponse(msg)
		agree(t, msg, id, err)
	})
}

func agree(t interface{ Fatalf(string, ...any) }, msg []byte, id wire.RequestID, err error) {
	var want wire.RequestID
	seen := false
	for rest := msg; len(rest) > 0; {
		num, typ, n := protowire.ConsumeTag(rest)
		m := -1
		if n > 0 && num <= protowire.MaxValidNumber && typ != protowire.StartGroupType && typ != protowire.EndGroupType {
			m = protowire.ConsumeFieldValue(num, typ, rest[n:])
		}
		if m < 0 || num == 1 && (typ != protowire.VarintType || seen) {
			if !errors.Is(err, wire.ErrBadMessage) {
				t.Fatalf("%x: protobuf refuses it, we say %d, %v", msg, id, err)
			}
			return
		}
		if num == 1 {
			v, _ := protowire.ConsumeVarint(rest[n:])
			want, seen = wire.RequestID(v), true
		}
		rest = rest[n+m:]
	}
	if err != nil || id != want {
		t.Fatalf("%x: protobuf accepts it with id %d, we say %d, %v", msg, want, id, err)
	}
}

func TestEnvelopesThatAreRefused(t *testing.T) {
	for name, msg := range map[string]string{
		"empty":                   "",
		"no id":                   "\x10\x05",
		"id 0":                    "\x08\x00",
		"id twice":                "\x08\x01\x08\x01",
		"deadline twice":          "\x08\x01\x10\x01\x10\x02",
		"id as bytes":             "\x0a\x01\x01",
		"deadline as fixed64":     "\x08\x01\x11\x00\x00\x00\x00\x00\x00\x00\x00",
		"field 0":                 "\x08\x01\x00\x01",
		"field beyond the last":   "\x08\x01\x80\x80\x80\x80\x10\x01",
		"group":                   "\x08\x01\x1b\x1c",
		"wire type 7":             "\x08\x01\x1f\x01",
		"varint of 11 bytes":      "\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01",
		"varint of 65 bits":       "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
		"bytes beyond the end":    "\x08\x01\x1a\x05abcd",
		"bytes of 2^64-1":         "\x08\x01\x1a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"fixed32 beyond the end":  "\x08\x01\x1d\x00\x00\x00",
		"a tag without its value": "\x08\x01\x18",
	} {
		if e, err := wire.ParseRequest([]byte(msg)); !errors.Is(err, wire.ErrBadMessage) || !errors.Is(err, base.ErrInvalid) {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}

func TestTimeoutsAreCutAndRoundedUp(t *testing.T) {
	for _, c := range []struct{ in, want time.Duration }{
		{-1, 0},
		{0, 0},
		{1, time.Microsecond},
		{time.Hour, time.Hour},
		{wire.MaxTimeout + 1, wire.MaxTimeout},
		{math.MaxInt64, wire.MaxTimeout},
	} {
		e, err := wire.ParseRequest(wire.AppendEnvelope(nil, wire.Envelope{ID: 1, Timeout: c.in}))
		if err != nil || e.Timeout != c.want {
			t.Errorf("%v arrives as %v, %v; want %v", c.in, e.Timeout, err, c.want)
		}
	}
	e, err := wire.ParseRequest([]byte("\x08\x01\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	if err != nil || e.Timeout != wire.MaxTimeout {
		t.Errorf("2^64-1 microseconds arrive as %v, %v", e.Timeout, err)
	}
}

// TestErrorsCrossTheWire checks the table both ways: every marker has a code of its own, and comes back as itself.
func TestErrorsCrossTheWire(t *testing.T) {
	markers := []error{
		base.ErrNotFound, base.ErrInvalid, base.ErrCorruption, base.ErrClosed, base.ErrOverloaded, base.ErrVersion,
		base.ErrConflict, base.ErrExists, base.ErrPermission, base.ErrDiskFull, base.ErrUnknownOutcome,
		context.Canceled, context.DeadlineExceeded, wire.ErrUnavailable, wire.ErrProtocol, wire.ErrInternal,
	}
	codes := map[wire.ErrorCode]error{}
	for _, marker := range markers {
		code := wire.CodeOf(fmt.Errorf("outer: %w", marker))
		if other, taken := codes[code]; taken {
			t.Errorf("code %d stands for %v and for %v", code, marker, other)
		}
		codes[code] = marker
		sent := wire.ErrorOf(7, fmt.Errorf("shard 5: %w", marker))
		got, err := wire.ParseError(wire.AppendError(nil, &sent))
		if err != nil || got.ID != 7 || got.Code != code || !errors.Is(got, marker) {
			t.Errorf("%v arrives as %+v, %v", marker, got, err)
		}
		for _, other := range markers {
			related := marker == wire.ErrUnavailable && other == base.ErrOverloaded
			if other != marker && !related && errors.Is(got, other) {
				t.Errorf("%v arrives as %v too", marker, other)
			}
		}
	}
	for code := wire.ErrorCode(1); code <= 16; code++ {
		if marker, ok := codes[code]; !ok || code.Sentinel() != marker {
			t.Errorf("code %d stands for %v, and no marker has it", code, code.Sentinel())
		}
	}
	if got := wire.ErrorCode(9999).Sentinel(); got != wire.ErrInternal {
		t.Errorf("an unknown code is %v", got)
	}
}

func TestTextOfUnknownErrorsStaysHere(t *testing.T) {
	e := wire.ErrorOf(1, errors.New("password of the disk"))
	if strings.Contains(e.Text, "password") || e.Code != wire.CodeInternal {
		t.Fatalf("%+v", e)
	}
	inner := &wire.Error{ID: 3, Code: wire.CodeConflict, Detail: 4, RetryAfter: time.Second, Text: "x"}
	e = wire.ErrorOf(1, fmt.Errorf("while putting: %w", inner))
	if e.ID != 1 || e.Code != wire.CodeConflict || e.Detail != 4 || e.RetryAfter != time.Second || e.Text != "while putting: x" {
		t.Fatalf("%+v", e)
	}
}

func TestErrorTextIsBoundedAndUTF8(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("é", 600), strings.Repeat("x", 1025), "bad \xff\xfe byte", strings.Repeat("a", 1023) + "é",
		strings.Repeat("\xff", 3000),
	} {
		raw := protowire.AppendString(protowire.AppendTag([]byte("\x18\x02"), 4, protowire.BytesType), text)
		sent := wire.AppendError(nil, &wire.Error{Code: wire.CodeInvalid, Text: text})
		for _, b := range [][]byte{raw, sent} {
			e, err := wire.ParseError(b)
			if err != nil || len(e.Text) > wire.MaxErrorTextBytes || !utf8.ValidString(e.Text) || e.Text == "" {
				t.Errorf("%.20q of %d bytes arrives with %d: %v", text, len(text), len(e.Text), err)
			}
		}
	}
}

func TestErrorsThatAreRefused(t *testing.T) {
	for name, msg := range map[string]string{"no code": "\x08\x01", "not protobuf": "\xff", "code 0": "\x18\x00"} {
		if e, err := wire.ParseError([]byte(msg)); !errors.Is(err, wire.ErrBadMessage) {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}
