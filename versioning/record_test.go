package versioning_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/versioning"
)

var stamp = hlc.Timestamp{WallNanos: 0x0102030405060708, Logical: 0x090A0B0C}

// goldenRecords are one example of every shape.
func goldenRecords() []versioning.Record {
	return []versioning.Record{
		{Data: []byte("Maia"), Timestamp: stamp},
		{Data: []byte{}, Timestamp: stamp},
		{Data: []byte("Maia"), Timestamp: stamp, ExpiresWallNanos: 0x1112131415161718},
		{Data: []byte{}, Timestamp: stamp, Tombstone: true},
	}
}

func encode(r versioning.Record) []byte {
	r.Checksum = versioning.Checksum(r.Data)
	return versioning.AppendRecord(nil, &r)
}

// golden compares text with a file of testdata; UPDATE_GOLDEN=1 writes it anew.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := "testdata/" + name
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Fatalf("%s differs (UPDATE_GOLDEN=1 accepts it, and breaks every store on disk):\n%s", path, got)
	}
}

func TestRecordGolden(t *testing.T) {
	var out strings.Builder
	for _, r := range goldenRecords() {
		b := encode(r)
		n := len(b) - versioning.TrailerBytes
		fmt.Fprintf(&out, "data=%q expires=%d tombstone=%t\n", r.Data, r.ExpiresWallNanos, r.Tombstone)
		fmt.Fprintf(&out, "  data     %x\n", b[:len(r.Data)])
		fmt.Fprintf(&out, "  expiry   %x\n", b[len(r.Data):n])
		fmt.Fprintf(&out, "  format   %x\n  flags    %x\n  time     %x\n  crc      %x\n", b[n:n+1], b[n+1:n+2], b[n+2:n+14], b[n+14:])
	}
	golden(t, "record.golden", out.String())
}

func TestRecordRoundTrip(t *testing.T) {
	for _, want := range goldenRecords() {
		b := encode(want)
		got, err := versioning.ParseRecord(b)
		want.Checksum = versioning.Checksum(want.Data)
		if err != nil || !bytes.Equal(got.Data, want.Data) || got.Timestamp != want.Timestamp ||
			got.ExpiresWallNanos != want.ExpiresWallNanos || got.Tombstone != want.Tombstone || got.Checksum != want.Checksum {
			t.Fatalf("%x: %+v, %v; want %+v", b, got, err, want)
		}
		if prefixed := versioning.AppendRecord([]byte("before"), &want); string(prefixed) != "before"+string(b) {
			t.Fatalf("append gives %x", prefixed)
		}
	}
}

func TestEveryTruncationOfARecordFails(t *testing.T) {
	for _, r := range goldenRecords() {
		b := encode(r)
		for n := range len(b) {
			if got, err := versioning.ParseRecord(b[:n]); err == nil {
				t.Errorf("%x, the first %d bytes of %x, decodes as %+v", b[:n], n, b, got)
			}
			if got, err := versioning.ParseRecord(b[n+1:]); err == nil {
				t.Errorf("%x, the end of %x, decodes as %+v", b[n+1:], b, got)
			}
		}
	}
}

func TestEveryBitFlipOfARecordFails(t *testing.T) {
	for _, r := range goldenRecords() {
		b := encode(r)
		for bit := range 8 * len(b) {
			damaged := bytes.Clone(b)
			damaged[bit/8] ^= 1 << (bit % 8)
			if got, err := versioning.ParseRecord(damaged); err == nil {
				t.Errorf("bit %d of %x flipped: %+v", bit, b, got)
			}
		}
	}
}

func TestRecordErrorsAreDifferent(t *testing.T) {
	whole := encode(versioning.Record{Data: []byte("Maia"), Timestamp: stamp})
	change := func(fromEnd int, to byte) []byte {
		b := bytes.Clone(whole)
		b[len(b)-fromEnd] = to
		return b
	}
	for _, c := range []struct {
		name   string
		stored []byte
		want   error
		marker error
	}{
		{"empty", nil, versioning.ErrRecordShort, base.ErrCorruption},
		{"short", whole[len(whole)-17:], versioning.ErrRecordShort, base.ErrCorruption},
		{"format", change(18, 2), versioning.ErrRecordFormat, base.ErrVersion},
		{"unknown flag", change(17, 4), versioning.ErrRecordFlags, base.ErrCorruption},
		{"tombstone with data", change(17, 1), versioning.ErrRecordFlags, base.ErrCorruption},
		{"both flags", change(17, 3), versioning.ErrRecordFlags, base.ErrCorruption},
		{"no room for the expiry", change(17, 2), versioning.ErrRecordShort, base.ErrCorruption},
		{"time before 1970", change(16, 0xFF), versioning.ErrRecordFlags, base.ErrCorruption},
		{"time", change(12, 0xEE), versioning.ErrRecordChecksum, base.ErrCorruption},
		{"data", change(20, 'x'), versioning.ErrRecordChecksum, base.ErrCorruption},
		{"checksum", change(1, 0), versioning.ErrRecordChecksum, base.ErrCorruption},
	} {
		_, err := versioning.ParseRecord(c.stored)
		if !errors.Is(err, c.want) || !errors.Is(err, c.marker) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// A checksum that the client sent is carried on, so a value that was damaged between the client and
// the encoder is found by whoever reads it.
func TestTheClientsChecksumTravelsWithTheValue(t *testing.T) {
	r := versioning.Record{Data: []byte("Maia"), Timestamp: stamp, Checksum: versioning.Checksum([]byte("Maja"))}
	if _, err := versioning.ParseRecord(versioning.AppendRecord(nil, &r)); !errors.Is(err, versioning.ErrRecordChecksum) {
		t.Fatalf("%v, want a checksum error", err)
	}
}

func FuzzParseRecord(f *testing.F) {
	for _, r := range goldenRecords() {
		f.Add(encode(r))
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, stored []byte) {
		before := hex.EncodeToString(stored)
		r, err := versioning.ParseRecord(stored)
		if err != nil {
			if !errors.Is(err, base.ErrCorruption) && !errors.Is(err, base.ErrVersion) {
				t.Fatalf("untyped error %v", err)
			}
		} else if again := versioning.AppendRecord(nil, &r); !bytes.Equal(again, stored) {
			t.Fatalf("%x decodes as %+v, which encodes as %x", stored, r, again)
		}
		if hex.EncodeToString(stored) != before {
			t.Fatal("the input was changed")
		}
	})
}

// FuzzRecordRoundTrip checks that what is encoded is decoded, and that no shorter part of it is.
func FuzzRecordRoundTrip(f *testing.F) {
	f.Add([]byte("Maia"), int64(1), uint32(2), int64(3))
	f.Add([]byte{}, int64(1), uint32(0), int64(0))
	f.Fuzz(func(t *testing.T, data []byte, wall int64, logical uint32, expires int64) {
		if wall < 0 || expires < 0 {
			return // no record has such times
		}
		r := versioning.Record{Data: data, Timestamp: hlc.Timestamp{WallNanos: wall, Logical: logical}, ExpiresWallNanos: expires}
		b := encode(r)
		got, err := versioning.ParseRecord(b)
		if err != nil || !bytes.Equal(got.Data, data) || got.Timestamp != r.Timestamp || got.ExpiresWallNanos != expires {
			t.Fatalf("%x: %+v, %v", b, got, err)
		}
		for n := max(0, len(b)-64); n < len(b); n++ {
			if _, err := versioning.ParseRecord(b[:n]); err == nil {
				t.Fatalf("the first %d bytes of %x decode", n, b)
			}
		}
	})
}
