package keys_test

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/shieldmaidens/pleiades/keys"
)

// genKey draws keys that are likely to be each other's prefixes, to hold 0x00 and 0xFF, and to look
// like suffixes.
func genKey() *rapid.Generator[[]byte] {
	hostile := rapid.SampledFrom([]byte{0x00, 0x01, '.', ':', '@', 'd', 'l', 'a', 'b', 0xFE, 0xFF})
	return rapid.OneOf(
		rapid.SliceOfN(hostile, 1, 6),
		rapid.SliceOfN(rapid.Byte(), 1, 40),
	)
}

func genBucket() *rapid.Generator[keys.BucketID] {
	return rapid.Custom(func(t *rapid.T) keys.BucketID {
		return keys.BucketID(rapid.OneOf(
			rapid.SampledFrom([]uint64{1, 2, 255, 256, math.MaxUint64 - 1, math.MaxUint64}),
			rapid.Uint64Range(1, math.MaxUint64),
		).Draw(t, "bucket"))
	})
}

// genRecord draws a record that Parse may return.
func genRecord() *rapid.Generator[keys.Record] {
	return rapid.Custom(func(t *rapid.T) keys.Record {
		r := keys.Record{Bucket: genBucket().Draw(t, "bucket"), Key: genKey().Draw(t, "key")}
		switch rapid.SampledFrom([]keys.Kind{
			keys.KindDescriptor, keys.KindLatest, keys.KindVersion, keys.KindReserved,
		}).Draw(t, "kind") {
		case keys.KindDescriptor:
			r.Kind, r.Delimiter, r.Tag = keys.KindDescriptor, keys.DelimTag, keys.TagDescriptor
		case keys.KindLatest:
			r.Kind, r.Delimiter, r.Tag = keys.KindLatest, keys.DelimLatest, keys.TagLatest
		case keys.KindVersion:
			r.Slot = rapid.Uint8Range(keys.MinSlot, keys.MaxSlot).Draw(t, "slot")
			r.Kind, r.Delimiter, r.Tag = keys.KindVersion, keys.DelimVersion, r.Slot
		case keys.KindReserved:
			tag := rapid.Byte().Filter(func(b byte) bool { return b != keys.TagDescriptor }).Draw(t, "tag")
			r.Kind, r.Delimiter, r.Tag = keys.KindReserved, keys.DelimTag, tag
		}
		return r
	})
}

// encode writes r with the function for its kind.
func encode(r keys.Record) []byte {
	switch r.Kind {
	case keys.KindDescriptor:
		return keys.AppendDescriptor(nil, r.Bucket, r.Key)
	case keys.KindLatest:
		return keys.AppendLatest(nil, r.Bucket, r.Key)
	case keys.KindVersion:
		return keys.AppendSlot(nil, r.Bucket, r.Key, r.Slot)
	default:
		return keys.AppendTag(nil, r.Bucket, r.Key, r.Tag)
	}
}

// compareRecords is the order that stored keys promise.
func compareRecords(a, b keys.Record) int {
	return cmp.Or(cmp.Compare(a.Bucket, b.Bucket), bytes.Compare(a.Key, b.Key),
		cmp.Compare(a.Delimiter, b.Delimiter), cmp.Compare(a.Tag, b.Tag))
}

func sameRecord(a, b keys.Record) bool {
	return compareRecords(a, b) == 0 && a.Kind == b.Kind && a.Slot == b.Slot
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := genRecord().Draw(t, "record")
		stored := encode(want)
		prefix := rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(t, "dst")
		dst := slices.Clone(prefix)
		got, err := keys.Parse(dst, stored)
		if err != nil || !sameRecord(got, want) {
			t.Fatalf("Parse(%x) = %+v, %v, want %+v", stored, got, err, want)
		}
		if !bytes.Equal(dst, prefix) {
			t.Fatalf("Parse changed dst to %x", dst)
		}
		if again := got.Append(nil); !bytes.Equal(again, stored) {
			t.Fatalf("re-encoded to %x, want %x", again, stored)
		}

		stem, suffix, err := keys.SplitStem(stored)
		if err != nil || !bytes.Equal(stem, keys.AppendStem(nil, want.Bucket, want.Key)) ||
			suffix != [2]byte{want.Delimiter, want.Tag} {
			t.Fatalf("SplitStem(%x) = %x, %x, %v", stored, stem, suffix, err)
		}
		if n, err := keys.StemLen(stored); err != nil || n != len(stem) {
			t.Fatalf("StemLen(%x) = %d, %v, want %d", stored, n, err, len(stem))
		}
		bucket, key, err := keys.ParseStem(nil, stem)
		if err != nil || bucket != want.Bucket || !bytes.Equal(key, want.Key) {
			t.Fatalf("ParseStem(%x) = %d, %x, %v", stem, bucket, key, err)
		}
		// Nothing aliases what was parsed.
		clear(stored)
		if !bytes.Equal(got.Key, want.Key) {
			t.Fatal("Parse aliases its input")
		}
	})
}

func TestOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := genRecord().Draw(t, "a")
		b := genRecord().Draw(t, "b")
		switch rapid.IntRange(0, 3).Draw(t, "related") {
		case 0: // same bucket
			b.Bucket = a.Bucket
		case 1: // same key
			b.Bucket, b.Key = a.Bucket, a.Key
		case 2: // one key a prefix of the other
			b.Bucket, b.Key = a.Bucket, append(slices.Clone(a.Key), b.Key...)
		}
		got := bytes.Compare(encode(a), encode(b))
		if want := compareRecords(a, b); got != want {
			t.Fatalf("%x and %x compare as %d, their records as %d", encode(a), encode(b), got, want)
		}
	})
}

func TestContiguityAndPrefixFreedom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		records := rapid.SliceOfN(genRecord(), 2, 30).Draw(t, "records")
		bucket := genBucket().Draw(t, "bucket")
		var stored [][]byte
		for i, r := range records {
			if i%4 > 0 { // most of them in one bucket, and some of those of one key
				r.Bucket = bucket
			}
			if i%4 == 3 {
				r.Key = records[i-1].Key
			}
			stored = append(stored, encode(r))
		}
		slices.SortFunc(stored, bytes.Compare)
		done := map[string]bool{} // stems whose run of records has ended
		previous := ""
		for _, s := range stored {
			stem, _, err := keys.SplitStem(s)
			if err != nil {
				t.Fatal(err)
			}
			if string(stem) != previous {
				if done[string(stem)] {
					t.Fatalf("the records of %x are not contiguous in %x", stem, stored)
				}
				done[previous] = true
				// Only a 0x00 of a longer key may follow what is a whole stem for another key.
				if previous != "" && bytes.HasPrefix(stem, []byte(previous)) && stem[len(previous)] != 0xFF {
					t.Fatalf("stem %x and a delimiter are a prefix of stem %x", previous, stem)
				}
				previous = string(stem)
			}
		}
		for i, s := range stored {
			for _, other := range stored[i+1:] { // in order, so a prefix comes first
				if !bytes.Equal(s, other) && bytes.HasPrefix(other, s) {
					t.Fatalf("%x is a prefix of %x", s, other)
				}
				stem, _, _ := keys.SplitStem(s)
				otherStem, _, _ := keys.SplitStem(other)
				if got, want := keys.HasStem(other, stem), bytes.Equal(stem, otherStem); got != want {
					t.Fatalf("HasStem(%x, %x) = %t", other, stem, got)
				}
			}
		}
	})
}

func TestBoundsContainExactlyTheirRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := genRecord().Draw(t, "record")
		stored := encode(r)
		b := genBucket().Draw(t, "bounds of bucket")
		key := genKey().Draw(t, "bounds key")
		start, end := genKey().Draw(t, "start"), genKey().Draw(t, "end")
		if rapid.Bool().Draw(t, "same bucket") {
			b = r.Bucket
		}
		switch rapid.IntRange(0, 3).Draw(t, "related") {
		case 0:
			key = r.Key
		case 1:
			key = r.Key[:rapid.IntRange(0, len(r.Key)).Draw(t, "cut")]
		case 2:
			key = append(slices.Clone(r.Key), 0x00)
		}
		if rapid.Bool().Draw(t, "start is key") {
			start = r.Key
		}
		if rapid.Bool().Draw(t, "end is key") {
			end = r.Key
		}
		same := r.Bucket == b
		check := func(name string, s keys.Bounds, want bool) {
			t.Helper()
			if got := s.Contains(stored); got != want {
				t.Fatalf("%s: [%x, %x) contains %x: %t, want %t", name, s.Lower, s.Upper, stored, got, want)
			}
			if bytes.Compare(s.Lower, s.Upper) > 0 {
				t.Fatalf("%s: reversed bounds [%x, %x)", name, s.Lower, s.Upper)
			}
		}
		above := bytes.Compare(r.Key, start) >= 0
		if len(key) > 0 {
			check("key", keys.KeyBounds(b, key), same && bytes.Equal(r.Key, key))
			check("stem", keys.StemBounds(keys.AppendStem(nil, b, key)), same && bytes.Equal(r.Key, key))
		}
		check("prefix", keys.PrefixBounds(b, key), same && bytes.HasPrefix(r.Key, key))
		check("bucket", keys.BucketBounds(b), same)
		check("range", keys.RangeBounds(b, start, end), same && above && bytes.Compare(r.Key, end) < 0)
		check("open range", keys.RangeBounds(b, start, nil), same && above)
		check("range from the start", keys.RangeBounds(b, nil, end), same && bytes.Compare(r.Key, end) < 0)
		check("empty range", keys.RangeBounds(b, start, []byte{}), false)
		check("behind a key", keys.RangeBounds(b, keys.Successor(nil, start), nil), same && bytes.Compare(r.Key, start) > 0)
		check("data", keys.NamespaceBounds(keys.NamespaceData), true)
		check("meta", keys.NamespaceBounds(keys.NamespaceMeta), false)
		check("raft", keys.NamespaceBounds(keys.NamespaceRaft), false)
		if settings := keys.AppendBucketSettings(nil, b); keys.BucketBounds(b).Contains(settings) ||
			!keys.NamespaceBounds(keys.NamespaceMeta).Contains(settings) {
			t.Fatalf("settings %x are in the wrong namespace", settings)
		}
	})
}

func TestPrefixEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.OneOf(rapid.Just([]byte(nil)), genKey()).Draw(t, "prefix")
		key := genKey().Draw(t, "key")
		if rapid.Bool().Draw(t, "prefixed") {
			key = append(slices.Clone(prefix), key...)
		}
		before := slices.Clone(prefix)
		end, ok := keys.PrefixEnd(nil, prefix)
		if !bytes.Equal(prefix, before) {
			t.Fatal("PrefixEnd changed its argument")
		}
		wantOK := slices.ContainsFunc(prefix, func(b byte) bool { return b != 0xFF })
		if ok != wantOK {
			t.Fatalf("PrefixEnd(%x) ok = %t, want %t", prefix, ok, wantOK)
		}
		in := bytes.Compare(key, prefix) >= 0 && (!ok || bytes.Compare(key, end) < 0)
		if want := bytes.HasPrefix(key, prefix); in != want {
			t.Fatalf("%x in [%x, %x): %t, want %t", key, prefix, end, in, want)
		}
	})
}
