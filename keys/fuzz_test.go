package keys_test

import (
	"bytes"
	"testing"

	"github.com/shieldmaidens/pleiades/keys"
)

// FuzzParse holds that any bytes are either refused with a typed error or are exactly what the
// parsed record encodes to: there is one stored form of each record and no other bytes are accepted.
func FuzzParse(f *testing.F) {
	f.Add([]byte{})
	f.Add(keys.AppendDescriptor(nil, 1, []byte("maia")))
	f.Add(keys.AppendLatest(nil, keys.MaxBucket, []byte{0x00, 0xFF, 0x00}))
	f.Add(keys.AppendSlot(nil, 7, []byte("a:."), 254))
	f.Add(keys.AppendTag(nil, 7, []byte("a"), 'x'))
	f.Fuzz(func(t *testing.T, stored []byte) {
		input := bytes.Clone(stored)
		r, err := keys.Parse(nil, stored)
		if !bytes.Equal(input, stored) {
			t.Fatalf("Parse changed its input %x to %x", input, stored)
		}
		if keys.Pretty(stored) == "" {
			t.Fatalf("Pretty(%x) is empty", stored)
		}
		if err != nil {
			errorName(t, err)
			return
		}
		if again := r.Append(nil); !bytes.Equal(again, stored) {
			t.Fatalf("%x parses to %+v, which encodes to %x", stored, r, again)
		}
		if keys.Validate(r.Key) != nil || r.Bucket.Validate() != nil {
			t.Fatalf("%x parses to %+v, which may not be stored", stored, r)
		}
		stem, suffix, err := keys.SplitStem(stored)
		if err != nil || suffix != [2]byte{r.Delimiter, r.Tag} {
			t.Fatalf("SplitStem(%x) = %x, %x, %v", stored, stem, suffix, err)
		}
		if b, key, err := keys.ParseStem(nil, stem); err != nil || b != r.Bucket || !bytes.Equal(key, r.Key) {
			t.Fatalf("ParseStem(%x) = %d, %x, %v", stem, b, key, err)
		}
	})
}

// FuzzParseStem holds the same for stems.
func FuzzParseStem(f *testing.F) {
	f.Add(keys.AppendStem(nil, 1, []byte("maia")))
	f.Add(keys.AppendStem(nil, 1, []byte{0x00, 0xFF, 0x00}))
	f.Fuzz(func(t *testing.T, stem []byte) {
		b, key, err := keys.ParseStem(nil, stem)
		if err != nil {
			errorName(t, err)
			return
		}
		if again := keys.AppendStem(nil, b, key); !bytes.Equal(again, stem) {
			t.Fatalf("%x parses to %d, %x, which encodes to %x", stem, b, key, again)
		}
	})
}

// FuzzOrder holds that stored keys sort like (key, suffix) and that a key's bounds hold its own
// records only.
func FuzzOrder(f *testing.F) {
	f.Add([]byte("a"), []byte("a:"), byte(46))
	f.Add([]byte("a"), []byte("a!"), byte(1))
	f.Add([]byte("a"), []byte("a\x00"), byte(254))
	f.Add([]byte("\xff"), []byte("\xff\xff"), byte(2))
	f.Fuzz(func(t *testing.T, a, b []byte, slot byte) {
		if keys.Validate(a) != nil || keys.Validate(b) != nil || slot < keys.MinSlot || slot > keys.MaxSlot {
			t.Skip("not keys that can be stored")
		}
		if bytes.Equal(a, b) {
			return
		}
		suffixes := func(key []byte) [][]byte {
			return [][]byte{
				keys.AppendDescriptor(nil, 1, key),
				keys.AppendSlot(nil, 1, key, slot),
				keys.AppendLatest(nil, 1, key),
			}
		}
		for _, sa := range suffixes(a) {
			for _, sb := range suffixes(b) {
				if bytes.Compare(sa, sb) != bytes.Compare(a, b) {
					t.Fatalf("%x and %x do not sort like %x and %x", sa, sb, a, b)
				}
				if keys.KeyBounds(1, b).Contains(sa) || keys.KeyBounds(1, a).Contains(sb) {
					t.Fatalf("the bounds of %x and %x overlap", a, b)
				}
			}
		}
	})
}
