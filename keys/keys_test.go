package keys_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/shieldmaidens/pleiades/keys"
)

// TestLiteralLayoutInterleaves shows why a 0x00 stands between key and suffix. The layout that looks
// simpler, key directly followed by suffix, is built here by hand: records of different keys mix and
// keys sort wrongly, so ranges, splits and scans would cut through keys. Do not undo the 0x00.
func TestLiteralLayoutInterleaves(t *testing.T) {
	literal := func(key, suffix string) string { return key + suffix }

	// Versions 46 and 47 of "a" (':' is 0x3A, '.' is 46) enclose the descriptor of key "a:".
	mixed := []string{literal("a", ":\x2e"), literal("a:", ".d"), literal("a", ":\x2f")}
	if !slices.IsSorted(mixed) {
		t.Fatalf("expected %q to be in byte order", mixed)
	}
	// "a" < "a!", and yet the latest version of "a" sorts behind that of "a!".
	if literal("a", "@l") < literal("a!", "@l") {
		t.Fatal(`expected the literal "a@l" behind "a!@l"`)
	}
	// Version 100 of "a" is byte for byte something else's key: nothing tells them apart.
	if literal("a", ":d") != literal("", "a:d") {
		t.Fatal("expected the literal layout to be ambiguous")
	}

	// The layout as it is: all of "a" before all of "a!", all of "a!" before all of "a:".
	var stored [][]byte
	for _, key := range []string{"a", "a!", "a:"} {
		stored = append(stored,
			keys.AppendDescriptor(nil, 1, []byte(key)),
			keys.AppendSlot(nil, 1, []byte(key), 46),
			keys.AppendSlot(nil, 1, []byte(key), 47),
			keys.AppendLatest(nil, 1, []byte(key)))
	}
	if !slices.IsSortedFunc(stored, bytes.Compare) {
		t.Fatalf("records interleave: %q", stored)
	}
}

func TestValidate(t *testing.T) {
	for _, c := range []struct {
		key  []byte
		want error
	}{
		{nil, keys.ErrEmptyKey},
		{[]byte{}, keys.ErrEmptyKey},
		{[]byte{0}, nil},
		{bytes.Repeat([]byte{0xFF}, keys.MaxKeyBytes), nil},
		{bytes.Repeat([]byte{0}, keys.MaxKeyBytes), nil},
		{bytes.Repeat([]byte{'k'}, keys.MaxKeyBytes+1), keys.ErrKeyTooLong},
	} {
		if err := keys.Validate(c.key); !errors.Is(err, c.want) {
			t.Errorf("Validate of %d bytes: %v, want %v", len(c.key), err, c.want)
		}
	}
	if err := keys.BucketID(0).Validate(); !errors.Is(err, keys.ErrInvalidBucket) {
		t.Errorf("bucket 0: %v", err)
	}
	if err := keys.MaxBucket.Validate(); err != nil {
		t.Errorf("last bucket: %v", err)
	}
}

func TestLongestKeys(t *testing.T) {
	for _, fill := range []byte{0x00, 'k', 0xFF} {
		key := bytes.Repeat([]byte{fill}, keys.MaxKeyBytes)
		stored := keys.AppendLatest(nil, keys.MaxBucket, key)
		r, err := keys.Parse(nil, stored)
		if err != nil || !bytes.Equal(r.Key, key) {
			t.Errorf("%#x: %v", fill, err)
		}
		if len(stored) > keys.MaxStoredKeyBytes || fill == 0x00 && len(stored) != keys.MaxStoredKeyBytes {
			t.Errorf("%#x: stored key has %d bytes, MaxStoredKeyBytes is %d", fill, len(stored), keys.MaxStoredKeyBytes)
		}
		over := keys.AppendLatest(nil, 1, append(key, fill))
		if _, err := keys.Parse(nil, over); errorName(t, err) != "ErrStoredKeyLength" {
			t.Errorf("%#x: one byte over: %v", fill, err)
		}
	}
}

// TestWhatValidateRefusesIsRefusedByParse holds the promise of the append functions, which check
// nothing.
func TestWhatValidateRefusesIsRefusedByParse(t *testing.T) {
	for _, c := range []struct {
		stored []byte
		want   string
	}{
		{nil, "ErrTruncated"},
		{keys.AppendLatest(nil, 1, nil), "ErrTruncated"},
		{keys.AppendLatest(nil, 0, []byte("a")), "ErrStoredBucket"},
		{keys.AppendSlot(nil, 1, []byte("a"), 0), "ErrUnknownTag"},
		{keys.AppendSlot(nil, 1, []byte("a"), 255), "ErrUnknownTag"},
	} {
		if _, err := keys.Parse(nil, c.stored); err == nil || errorName(t, err) != c.want {
			t.Errorf("Parse(%x): %v, want %s", c.stored, err, c.want)
		}
	}
}

// TestEveryTruncationFails cuts a record at every length: no prefix of a stored key is one.
func TestEveryTruncationFails(t *testing.T) {
	for _, key := range []string{"maia", "a\x00b", "\x00", "\xff\x00\xff"} {
		stored := keys.AppendSlot(nil, 3, []byte(key), 200)
		for n := range len(stored) {
			if r, err := keys.Parse(nil, stored[:n]); err == nil {
				t.Errorf("%x, the first %d bytes of %x, parses to %+v", stored[:n], n, stored, r)
			} else {
				errorName(t, err)
			}
		}
	}
}

// TestEverySuffix tries all suffixes: 256 tags behind '.', 254 slots and one latest are known.
func TestEverySuffix(t *testing.T) {
	stem := keys.AppendStem(nil, 1, []byte("a"))
	kinds := map[keys.Kind]int{}
	for suffix := range 1 << 16 {
		delimiter, tag := byte(suffix>>8), byte(suffix)
		r, err := keys.Parse(nil, append(slices.Clip(stem), delimiter, tag))
		if err == nil {
			kinds[r.Kind]++
			continue
		}
		want := "ErrUnknownDelimiter"
		switch delimiter {
		case keys.DelimVersion, keys.DelimLatest:
			want = "ErrUnknownTag"
		case 0xFF:
			want = "ErrNoTerminator" // the 0x00 in front of it is an escape
		}
		if got := errorName(t, err); got != want {
			t.Errorf("suffix %x %x: %s, want %s", delimiter, tag, got, want)
		}
	}
	want := map[keys.Kind]int{keys.KindDescriptor: 1, keys.KindReserved: 255, keys.KindVersion: 254, keys.KindLatest: 1}
	if !maps.Equal(kinds, want) {
		t.Errorf("accepted suffixes by kind: %v, want %v", kinds, want)
	}
}

// TestShallowParsersRefuseWhatTheySee checks StemLen, SplitStem and ParseStem on malformed input.
func TestShallowParsersRefuseWhatTheySee(t *testing.T) {
	for _, c := range []struct {
		stored string
		want   string
	}{
		{"", "ErrTruncated"},
		{"d\x00\x00\x00\x00\x00\x00\x00\x01\x00.d", "ErrTruncated"},
		{"m\x00\x00\x00\x00\x00\x00\x00\x01a\x00.d", "ErrNotData"},
		{"d\x00\x00\x00\x00\x00\x00\x00\x00a\x00.d", "ErrStoredBucket"},
		{"d\x00\x00\x00\x00\x00\x00\x00\x01aa.d", "ErrNoTerminator"},
	} {
		if _, err := keys.StemLen([]byte(c.stored)); err == nil || errorName(t, err) != c.want {
			t.Errorf("StemLen(%q): %v, want %s", c.stored, err, c.want)
		}
		if _, _, err := keys.SplitStem([]byte(c.stored)); err == nil || errorName(t, err) != c.want {
			t.Errorf("SplitStem(%q): %v, want %s", c.stored, err, c.want)
		}
	}
	for _, c := range []struct {
		stem string
		want string
	}{
		{"", "ErrTruncated"},
		{"d\x00\x00\x00\x00\x00\x00\x00\x01\x00", "ErrTruncated"},
		{"d\x00\x00\x00\x00\x00\x00\x00\x01a\x00.", "ErrBadEscape"},
		{"d\x00\x00\x00\x00\x00\x00\x00\x01a\x00\x00", "ErrBadEscape"},
		{"d\x00\x00\x00\x00\x00\x00\x00\x01aa", "ErrNoTerminator"},
		{"d\x00\x00\x00\x00\x00\x00\x00\x01a\x00\xff", "ErrNoTerminator"},
	} {
		if _, _, err := keys.ParseStem(nil, []byte(c.stem)); err == nil || errorName(t, err) != c.want {
			t.Errorf("ParseStem(%q): %v, want %s", c.stem, err, c.want)
		}
	}
}

func TestPrettyIsPrintable(t *testing.T) {
	for _, c := range []struct{ stored, want string }{
		{"", "(empty)"},
		{"\x00", "(malformed) 00"},
		{"d", "(malformed) 64"},
		{"h", "/local/clock"},
		{"hello", "(malformed) 68656c6c6f"},
		{"c\x01", "/local/settings/01"},
		{"i", "/local/identity"},
		{"l\x00\xff", "/local/load/00ff"},
		{"s\x00\x00\x00\x00\x00\x00\x03\xe9", "/local/shard/1001"},
		{"s\x01", "/local/shard/01"},
		{"m", "/meta/"},
		{string(keys.AppendBucketSettings(nil, 9)), "/meta/bucket/9"},
		{"rv", "/raft/76"},
		{string(keys.AppendSlot(nil, 9, []byte("a\n\x00"), 46)), `/data/9/"a\n\x00":46`},
	} {
		if got := keys.Pretty([]byte(c.stored)); got != c.want {
			t.Errorf("Pretty(%q) = %s, want %s", c.stored, got, c.want)
		}
	}
	long := keys.Pretty([]byte("r" + strings.Repeat("x", 1000)))
	if !strings.HasSuffix(long, "(1000 bytes)") || len(long) > 200 {
		t.Errorf("a long key is shown as %s", long)
	}
}

func TestNoAllocations(t *testing.T) {
	key := []byte("constellations/taurus/pleiades/maia\x00\x00")
	dst := make([]byte, 0, keys.MaxStoredKeyBytes)
	stored := keys.AppendSlot(nil, 1, key, 46)
	for name, f := range map[string]func(){
		"AppendStem":       func() { dst = keys.AppendStem(dst[:0], 1, key) },
		"AppendDescriptor": func() { dst = keys.AppendDescriptor(dst[:0], 1, key) },
		"AppendLatest":     func() { dst = keys.AppendLatest(dst[:0], 1, key) },
		"AppendSlot":       func() { dst = keys.AppendSlot(dst[:0], 1, key, 46) },
		"Successor":        func() { dst = keys.Successor(dst[:0], key) },
		"PrefixEnd":        func() { dst, _ = keys.PrefixEnd(dst[:0], key) },
		"Parse":            func() { _, _ = keys.Parse(dst[:0], stored) },
		"StemLen":          func() { _, _ = keys.StemLen(stored) },
		"SplitStem":        func() { _, _, _ = keys.SplitStem(stored) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func ExampleParse() {
	stored := keys.AppendSlot(nil, keys.DefaultBucket, []byte("maia\x00"), 3)
	fmt.Printf("%q\n", stored)
	record, err := keys.Parse(nil, stored)
	fmt.Printf("%q %s %d %v\n", record.Key, record.Kind, record.Slot, err)
	// Output:
	// "d\x00\x00\x00\x00\x00\x00\x00\x01maia\x00\xff\x00:\x03"
	// "maia\x00" version 3 <nil>
}

func ExamplePrefixBounds() {
	bounds := keys.PrefixBounds(keys.DefaultBucket, []byte("star/"))
	for _, key := range []string{"star", "star/maia", "star0"} {
		fmt.Println(key, bounds.Contains(keys.AppendLatest(nil, keys.DefaultBucket, []byte(key))))
	}
	// Output:
	// star false
	// star/maia true
	// star0 false
}

func BenchmarkAppendLatest(b *testing.B) {
	for _, c := range benchKeys {
		b.Run(c.name, func(b *testing.B) {
			dst := make([]byte, 0, keys.MaxStoredKeyBytes)
			b.ReportAllocs()
			for b.Loop() {
				dst = keys.AppendLatest(dst[:0], 1, c.key)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, c := range benchKeys {
		b.Run(c.name, func(b *testing.B) {
			stored := keys.AppendLatest(nil, 1, c.key)
			dst := make([]byte, 0, keys.MaxKeyBytes)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := keys.Parse(dst, stored); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

var benchKeys = []struct {
	name string
	key  []byte
}{
	{"size=16/zeros=0", []byte("pleiades/maia/16")},
	{"size=64/zeros=0", bytes.Repeat([]byte("k"), 64)},
	{"size=64/zeros=8", bytes.Repeat([]byte("kkkkkkk\x00"), 8)},
	{"size=16k/zeros=0", bytes.Repeat([]byte("k"), keys.MaxKeyBytes)},
}
