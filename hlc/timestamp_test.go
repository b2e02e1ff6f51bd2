package hlc_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/hlc"
)

// goldenTimestamps pin both encodings; part of the format, so rows are only ever added.
var goldenTimestamps = []struct {
	ts   hlc.Timestamp
	hex  string // wall nanoseconds, logical
	text string
}{
	{hlc.Timestamp{}, "0000000000000000" + "00000000", "0.000000000,0"},
	{hlc.Timestamp{Logical: 1}, "0000000000000000" + "00000001", "0.000000000,1"},
	{hlc.Timestamp{WallNanos: 1}, "0000000000000001" + "00000000", "0.000000001,0"},
	{hlc.Timestamp{WallNanos: 1763812345_123456789, Logical: 7}, "187a51fb99884715" + "00000007", "1763812345.123456789,7"},
	{hlc.MaxTimestamp, "7fffffffffffffff" + "ffffffff", "9223372036.854775807,4294967295"},
}

func TestGoldenEncodings(t *testing.T) {
	for _, g := range goldenTimestamps {
		encoded := g.ts.AppendBinary([]byte("x"))
		if got := hex.EncodeToString(encoded[1:]); got != g.hex || encoded[0] != 'x' {
			t.Errorf("%v is encoded as %s, want %s", g.ts, got, g.hex)
		}
		if got, err := hlc.ParseBinary(encoded[1:]); err != nil || got != g.ts {
			t.Errorf("ParseBinary(%s) = %v, %v", g.hex, got, err)
		}
		if got := g.ts.String(); got != g.text {
			t.Errorf("String: %s, want %s", got, g.text)
		}
		if got, err := hlc.ParseTimestamp(g.text); err != nil || got != g.ts {
			t.Errorf("ParseTimestamp(%s) = %v, %v", g.text, got, err)
		}
	}
}

func TestParseBinaryRefuses(t *testing.T) {
	good := hlc.Timestamp{WallNanos: 5, Logical: 6}.AppendBinary(nil)
	for n := range len(good) {
		if _, err := hlc.ParseBinary(good[:n]); !errors.Is(err, hlc.ErrBadEncoding) || !errors.Is(err, base.ErrCorruption) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, err := hlc.ParseBinary(append(good, 0)); !errors.Is(err, hlc.ErrBadEncoding) {
		t.Errorf("a byte too many: %v", err)
	}
	negative := append([]byte{0x80}, good[1:]...)
	if _, err := hlc.ParseBinary(negative); !errors.Is(err, hlc.ErrBadEncoding) {
		t.Errorf("negative wall time: %v", err)
	}
}

func TestParseTimestampRefuses(t *testing.T) {
	for _, s := range []string{
		"", ".", ",", ".,", "1", "1.000000000", "1,1", "1.000000000,", ".000000000,1", "1.,1",
		"-1.000000000,1", "+1.000000000,1", "1.-00000000,1", "1.000000000,-1", " 1.000000000,1",
		"1.000000000,1 ", "01.000000000,1", "1.000000000,01", "1.00000000,1", "1.0000000000,1",
		"1.000000000,4294967296", "9223372036.854775808,0", "9223372037.000000000,0", "99999999999999999999.000000000,0",
		"18446744073.709551616,0", "1_0.000000000,0", "1.000000000,1,1", "1.0000000.0,1", "0x1.000000000,1", "1.00000000x,1",
	} {
		if ts, err := hlc.ParseTimestamp(s); !errors.Is(err, hlc.ErrBadText) || !errors.Is(err, base.ErrInvalid) {
			t.Errorf("%q: %v, %v", s, ts, err)
		}
	}
}

func TestFromTime(t *testing.T) {
	for _, c := range []struct {
		in   time.Time
		want int64
	}{
		{time.Unix(0, 0), 0},
		{time.Unix(0, -1), 0},
		{time.Time{}, 0},
		{time.Unix(1763812345, 123456789), 1763812345_123456789},
		{time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC), math.MaxInt64},
		{time.Unix(math.MaxInt64/int64(time.Second)-1, 999999999), math.MaxInt64/int64(time.Second)*int64(time.Second) - 1},
	} {
		if got := hlc.FromTime(c.in); got != (hlc.Timestamp{WallNanos: c.want}) {
			t.Errorf("FromTime(%v) = %v, want %d", c.in, got, c.want)
		}
	}
	at := time.Date(2026, 11, 22, 12, 0, 0, 5, time.FixedZone("Maia", 3600))
	if got := hlc.FromTime(at).Time(); !got.Equal(at) || got.Location() != time.UTC {
		t.Errorf("Time() = %v, want %v in UTC", got, at)
	}
}

func genTimestamp() *rapid.Generator[hlc.Timestamp] {
	return rapid.Custom(func(t *rapid.T) hlc.Timestamp {
		wall := rapid.OneOf(rapid.SampledFrom([]int64{0, 1, 255, 256, math.MaxInt64 - 1, math.MaxInt64}),
			rapid.Int64Range(0, math.MaxInt64)).Draw(t, "wall")
		logical := rapid.OneOf(rapid.SampledFrom([]uint32{0, 1, 255, 256, math.MaxUint32 - 1, math.MaxUint32}),
			rapid.Uint32()).Draw(t, "logical")
		return hlc.Timestamp{WallNanos: wall, Logical: logical}
	})
}

func TestTimestampProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := genTimestamp().Draw(t, "a"), genTimestamp().Draw(t, "b")
		if rapid.Bool().Draw(t, "same wall") {
			b.WallNanos = a.WallNanos
		}
		order := a.Compare(b)
		if got := bytes.Compare(a.AppendBinary(nil), b.AppendBinary(nil)); got != order {
			t.Fatalf("%v and %v compare as %d, their bytes as %d", a, b, order, got)
		}
		if a.Less(b) != (order < 0) || b.Less(a) != (order > 0) || (a == b) != (order == 0) || b.Compare(a) != -order {
			t.Fatalf("Less and Compare of %v and %v disagree", a, b)
		}
		if a.IsZero() != (a.WallNanos == 0 && a.Logical == 0) {
			t.Fatalf("IsZero(%v)", a)
		}
		next, prev := a.Next(), a.Prev()
		if a != hlc.MaxTimestamp && (!a.Less(next) || next.Prev() != a) || a == hlc.MaxTimestamp && next != a {
			t.Fatalf("Next(%v) = %v", a, next)
		}
		if !a.IsZero() && (!prev.Less(a) || prev.Next() != a) || a.IsZero() && prev != a {
			t.Fatalf("Prev(%v) = %v", a, prev)
		}
		if a.Less(b) && b.Less(next) {
			t.Fatalf("%v lies between %v and its Next", b, a)
		}
		if parsed, err := hlc.ParseTimestamp(a.String()); err != nil || parsed != a {
			t.Fatalf("%s reads back as %v, %v", a, parsed, err)
		}
	})
}

// FuzzParseBinary holds that 12 bytes parse to what encodes to them, and everything else is refused.
func FuzzParseBinary(f *testing.F) {
	for _, g := range goldenTimestamps {
		f.Add(g.ts.AppendBinary(nil))
	}
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		ts, err := hlc.ParseBinary(b)
		if err != nil {
			if !errors.Is(err, hlc.ErrBadEncoding) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if got := ts.AppendBinary(nil); !bytes.Equal(got, b) {
			t.Fatalf("%x parses to %v, which encodes to %x", b, ts, got)
		}
	})
}

// FuzzParseTimestamp holds that there is one text of each timestamp.
func FuzzParseTimestamp(f *testing.F) {
	for _, g := range goldenTimestamps {
		f.Add(g.text)
	}
	f.Add("01.000000000,1")
	f.Add("18446744073.709551616,0")
	f.Fuzz(func(t *testing.T, s string) {
		ts, err := hlc.ParseTimestamp(s)
		if err != nil {
			if !errors.Is(err, hlc.ErrBadText) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if got := ts.String(); got != s {
			t.Fatalf("%q parses to %v, which prints as %q", s, ts, got)
		}
	})
}
