package versioning_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/versioning"
)

// TestRestore brings a key back as it was elsewhere: with its numbers, above a hole, with a deletion in front, and with more
// versions than the bucket allows now.
func TestRestore(t *testing.T) {
	r := newRig(t, nil)
	ctx, b := context.Background(), r.bucket(1)
	if err := b.SetSettings(ctx, versioning.Settings{MaxVersions: 2, Rollover: versioning.Refuse}); err != nil {
		t.Fatal(err)
	}
	batch := r.eng.NewBatch()
	defer batch.Close()
	a := r.store.NewApplier(batch)
	stamp := func(i int) hlc.Timestamp { return hlc.FromTime(start.Add(time.Duration(i-1000) * time.Second)) }
	expires := start.Add(time.Hour)
	ops := []versioning.Op{
		{Tombstone: true, Oldest: 7},
		{Value: []byte("eight"), Oldest: 8},
		{Value: []byte("nine"), Oldest: 9, ExpiresWallNanos: expires.UnixNano(), Vacuumable: new(true)},
	}
	for i := range ops {
		ops[i].Kind, ops[i].Bucket, ops[i].Key = versioning.OpRestore, 1, []byte("k")
		if _, err := a.Apply(&ops[i], stamp(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.eng.Commit(ctx, batch, 0); err != nil {
		t.Fatal(err)
	}
	a.Committed()

	d, err := b.Describe(ctx, []byte("k"))
	want := versioning.Descriptor{
		Versions: 9, Oldest: 7, Created: stamp(0), Revision: stamp(2), Vacuumable: true, LatestBytes: 4, WrittenBytes: 9, ExpireAt: expires,
	}
	if err != nil || d != want {
		t.Fatalf("%+v, %v; want %+v", d, err, want)
	}
	n := 7
	for v, err := range b.History(ctx, []byte("k"), &versioning.HistoryOptions{OldestFirst: true, Values: true}) {
		if op := ops[n-7]; err != nil || v.Version != n || v.Timestamp != stamp(n-7) || v.Tombstone != op.Tombstone || string(v.Data) != string(op.Value) {
			t.Fatalf("version %d: %+v, %v", n, v, err)
		}
		n++
	}
	if n != 10 {
		t.Fatalf("history ends at %d", n)
	}
	if _, err := b.GetVersion(ctx, []byte("k"), 6); !errors.Is(err, versioning.ErrHistoryTruncated) {
		t.Fatalf("version 6: %v", err)
	}
	// From here on the bucket's own limit counts.
	if _, err := b.Put(ctx, []byte("k"), nil, nil); !errors.Is(err, versioning.ErrVersionsExhausted) {
		t.Fatalf("a put beyond max_versions: %v", err)
	}
}

// TestRestoreRefuses what no store can have written.
func TestRestoreRefuses(t *testing.T) {
	r := newRig(t, nil)
	batch := r.eng.NewBatch()
	defer batch.Close()
	a := r.store.NewApplier(batch)
	now := hlc.FromTime(start)
	for _, c := range []struct {
		what string
		op   versioning.Op
		ts   hlc.Timestamp
		want error
	}{
		{"number 0", versioning.Op{}, now, versioning.ErrInvalidVersion},
		{"number 256", versioning.Op{Oldest: 256}, now, versioning.ErrInvalidVersion},
		{"a deletion with a value", versioning.Op{Oldest: 1, Tombstone: true, Value: []byte("v")}, now, versioning.ErrInvalidOptions},
		{"a deletion that expires", versioning.Op{Oldest: 1, Tombstone: true, ExpiresWallNanos: 1}, now, versioning.ErrInvalidOptions},
		{"expiry before 1970", versioning.Op{Oldest: 1, ExpiresWallNanos: -1}, now, versioning.ErrInvalidOptions},
		{"a wrong checksum", versioning.Op{Oldest: 1, Value: []byte("v"), Checksum: new(uint32)}, now, versioning.ErrChecksumMismatch},
		{"no time", versioning.Op{Oldest: 1}, hlc.Timestamp{}, versioning.ErrInvalidOptions},
		{"a time before 1970", versioning.Op{Oldest: 1}, hlc.Timestamp{WallNanos: -1}, versioning.ErrInvalidOptions},
	} {
		c.op.Kind, c.op.Bucket, c.op.Key = versioning.OpRestore, 1, []byte("k")
		if _, err := a.Apply(&c.op, c.ts); !errors.Is(err, c.want) || !errors.Is(err, base.ErrInvalid) {
			t.Errorf("%s: %v, want %v", c.what, err, c.want)
		}
	}
	if batch.Count() != 0 || a.Err() != nil {
		t.Errorf("%d records in the batch, %v", batch.Count(), a.Err())
	}
}
