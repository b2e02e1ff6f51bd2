package fuzz

import (
	"bytes"
	"cmp"
	"slices"
	"testing"

	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/internal/storemodel"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/versioning"
)

// maxEncoded bounds the rows of one input of FuzzEncodings.
const maxEncoded = 60

// encoded is one row, as it was meant.
type encoded struct {
	key    keys.Record
	record versioning.Record
}

// compare orders rows as the keyspace does: by bucket, key and suffix.
func (e *encoded) compare(o *encoded) int {
	return cmp.Or(
		cmp.Compare(e.key.Bucket, o.key.Bucket), bytes.Compare(e.key.Key, o.key.Key),
		cmp.Compare(e.key.Delimiter, o.key.Delimiter), cmp.Compare(e.key.Tag, o.key.Tag),
	)
}

// FuzzEncodings encodes rows of versions, writes them, and has RocksDB iterate over them: they come in the order of bucket, key
// and suffix, every key and record parses to what was meant, and bounds and suffixes select what they should.
func FuzzEncodings(f *testing.F) {
	addSeeds(f, 9, 6, 10, 50)
	f.Add([]byte("\x01\x01a.\x01\x02a:\x01\x02a!\x01\x03a\x00\xff\x01\x01\x00"))
	r := newRig(f)
	f.Fuzz(func(t *testing.T, input []byte) {
		r.next(t)
		c := storemodel.NewBytes(input)
		shard := r.store.Shard()
		batch := r.eng.NewBatch()
		defer batch.Close()
		var rows []*encoded
		for len(rows) < maxEncoded && c.Len() > 0 {
			e := chooseRow(c)
			if err := batch.Put(shard, e.key.Append(nil), versioning.AppendRecord(nil, &e.record)); err != nil {
				t.Fatal(err)
			}
			// The last one of equal keys stays.
			rows = slices.DeleteFunc(rows, func(o *encoded) bool { return e.compare(o) == 0 })
			rows = append(rows, e)
		}
		r.commit(batch)
		slices.SortFunc(rows, (*encoded).compare)
		sameRows(t, "all", rows, rowsOf(t, shard, nil))
		for _, e := range rows {
			selectRows(t, shard, rows, e)
		}
	})
}

// chooseRow makes a row of a version.
func chooseRow(c *storemodel.Bytes) *encoded {
	e := &encoded{}
	e.key.Bucket = []keys.BucketID{1, 2, 255, 256, keys.MaxBucket}[c.IntN(5)]
	e.key.Key = c.Take(1 + c.IntN(5))
	if len(e.key.Key) == 0 {
		e.key.Key = []byte{0}
	}
	var stored []byte
	switch c.IntN(4) {
	case 0:
		stored = keys.AppendDescriptor(nil, e.key.Bucket, e.key.Key)
	case 1:
		stored = keys.AppendLatest(nil, e.key.Bucket, e.key.Key)
	case 2:
		stored = keys.AppendTag(nil, e.key.Bucket, e.key.Key, byte(c.IntN(256)))
	default:
		stored = keys.AppendSlot(nil, e.key.Bucket, e.key.Key, uint8(1+c.IntN(254)))
	}
	e.key.Delimiter, e.key.Tag = stored[len(stored)-2], stored[len(stored)-1]
	data := c.Take(c.IntN(24))
	e.record = versioning.Record{
		Data: data, Checksum: versioning.Checksum(data), Tombstone: len(data) == 0 && c.IntN(2) == 1,
		Timestamp: hlc.Timestamp{WallNanos: int64(c.IntN(60_000)) << c.IntN(48), Logical: uint32(c.IntN(60_000)) << c.IntN(17)},
	}
	if !e.record.Tombstone && c.IntN(3) == 2 {
		e.record.ExpiresWallNanos = 1 + int64(c.IntN(60_000))<<c.IntN(47)
	}
	return e
}

// sameRows compares what RocksDB returned with what was meant.
func sameRows(t *testing.T, what string, want []*encoded, got []row) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d rows, want %d", what, len(got), len(want))
	}
	for i, e := range want {
		stored := []byte(got[i].key)
		k, err := keys.Parse(nil, stored)
		if err != nil || k.Bucket != e.key.Bucket || !bytes.Equal(k.Key, e.key.Key) || k.Delimiter != e.key.Delimiter || k.Tag != e.key.Tag {
			t.Fatalf("%s, row %d: %x is %+v, %v; want %+v", what, i, stored, k, err, e.key)
		}
		if again := k.Append(nil); !bytes.Equal(again, stored) {
			t.Fatalf("%s, row %d: %x becomes %x", what, i, stored, again)
		}
		if slot := k.Kind == keys.KindVersion; slot != (k.Slot != 0) || slot && k.Slot != k.Tag {
			t.Fatalf("%s, row %d: %+v", what, i, k)
		}
		r, err := versioning.ParseRecord([]byte(got[i].value))
		if err != nil || !bytes.Equal(r.Data, e.record.Data) {
			t.Fatalf("%s, row %d: %x is %+v, %v; want %+v", what, i, got[i].value, r, err, e.record)
		}
		if r.Timestamp != e.record.Timestamp || r.ExpiresWallNanos != e.record.ExpiresWallNanos ||
			r.Tombstone != e.record.Tombstone || r.Checksum != e.record.Checksum {
			t.Fatalf("%s, row %d: %+v, want %+v", what, i, r, e.record)
		}
	}
}

// selectRows iterates over parts of the rows that e says.
func selectRows(t *testing.T, shard *engine.Shard, rows []*encoded, e *encoded) {
	t.Helper()
	b, key := e.key.Bucket, e.key.Key
	pick := func(bound keys.Bounds, what string, suffix string, match func(*encoded) bool) {
		t.Helper()
		var want []*encoded
		for _, o := range rows {
			if match(o) {
				want = append(want, o)
			}
			if in := bound.Contains(o.key.Append(nil)); suffix == "" && in != match(o) {
				t.Fatalf("%s of %+v: contains %+v: %t", what, e.key, o.key, in)
			}
		}
		sameRows(t, what, want, rowsOf(t, shard, &engine.IterOptions{Lower: bound.Lower, Upper: bound.Upper, Suffix: []byte(suffix)}))
	}
	pick(keys.KeyBounds(b, key), "the key's bounds", "", func(o *encoded) bool { return o.key.Bucket == b && bytes.Equal(o.key.Key, key) })
	pick(keys.BucketBounds(b), "the bucket's latest versions", keys.SuffixLatest, func(o *encoded) bool {
		return o.key.Bucket == b && o.key.Delimiter == keys.DelimLatest
	})
	pick(keys.PrefixBounds(b, key[:1]), "the prefix's bounds", "", func(o *encoded) bool { return o.key.Bucket == b && o.key.Key[0] == key[0] })
	pick(keys.RangeBounds(b, key, nil), "the range's bounds", "", func(o *encoded) bool {
		return o.key.Bucket == b && bytes.Compare(o.key.Key, key) >= 0
	})
	stem := keys.AppendStem(nil, b, key)
	parsed, back, err := keys.ParseStem(nil, stem)
	if err != nil || parsed != b || !bytes.Equal(back, key) {
		t.Fatalf("the stem %x is bucket %d, key %x, %v", stem, parsed, back, err)
	}
	for _, o := range rows {
		same := o.key.Bucket == b && bytes.Equal(o.key.Key, key)
		if keys.HasStem(o.key.Append(nil), stem) != same {
			t.Fatalf("%+v has the stem of %+v: %t", o.key, e.key, !same)
		}
	}
}
