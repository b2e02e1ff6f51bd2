package versioning_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	storagev1 "github.com/shieldmaidens/pleiades/api/storage/v1"
	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/versioning"
)

// damage changes records behind the store's back.
type damage struct {
	t *testing.T
	r *rig
}

func (d *damage) key(suffix string) []byte {
	return append(keys.AppendStem(nil, 1, []byte("k")), suffix...)
}

func (d *damage) write(fill func(b *engine.Batch, sh *engine.Shard) error) {
	d.t.Helper()
	b := d.r.eng.NewBatch()
	defer b.Close()
	if err := fill(b, d.r.store.Shard()); err != nil {
		d.t.Fatal(err)
	}
	if err := d.r.eng.Commit(d.t.Context(), b, engine.NoSync); err != nil {
		d.t.Fatal(err)
	}
}

func (d *damage) put(key, value []byte) {
	d.t.Helper()
	d.write(func(b *engine.Batch, sh *engine.Shard) error { return b.Put(sh, key, value) })
}

func (d *damage) remove(suffix string) {
	d.t.Helper()
	d.write(func(b *engine.Batch, sh *engine.Shard) error { return b.Delete(sh, d.key(suffix)) })
}

// change rewrites the record with that suffix.
func (d *damage) change(suffix string, fn func(stored []byte) []byte) {
	d.t.Helper()
	stored, err := d.r.store.Shard().Get(nil, d.key(suffix), nil)
	if err != nil {
		d.t.Fatal(err)
	}
	d.put(d.key(suffix), fn(stored))
}

// describe rewrites the descriptor.
func (d *damage) describe(fn func(*storagev1.KeyValuePairDescriptor)) {
	d.t.Helper()
	d.change(".d", func(stored []byte) []byte {
		var pb storagev1.KeyValuePairDescriptor
		if err := pb.UnmarshalVT(stored); err != nil {
			d.t.Fatal(err)
		}
		fn(&pb)
		out, err := pb.MarshalVT()
		if err != nil {
			d.t.Fatal(err)
		}
		return out
	})
}

// record rewrites a version, with a right checksum.
func (d *damage) record(suffix string, fn func(*versioning.Record)) {
	d.t.Helper()
	d.change(suffix, func(stored []byte) []byte {
		rec, err := versioning.ParseRecord(stored)
		if err != nil {
			d.t.Fatal(err)
		}
		fn(&rec)
		rec.Checksum = versioning.Checksum(rec.Data)
		return versioning.AppendRecord(nil, &rec)
	})
}

// TestCheckFindsEveryKindOfDamage plants one kind of damage at a time in a key with the versions 2..5
// (rolled over once, vacuumed), among healthy neighbours, and looks at what is found.
func TestCheckFindsEveryKindOfDamage(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(d *damage)
		want string // part of the finding
	}{
		{"stored key", func(d *damage) { d.put([]byte("d\x00\x00\x00\x00\x00\x00\x00\x01k\x00?x"), nil) }, "unknown delimiter"},
		{"short stored key", func(d *damage) { d.put([]byte("dx"), nil) }, "too short"},
		{"no descriptor", func(d *damage) { d.remove(".d") }, "no descriptor"},
		{"no latest", func(d *damage) { d.remove("@l") }, "no latest version"},
		{"a missing version", func(d *damage) { d.remove(":\x03") }, "version 2 of 2..5 is missing (slot 3, base 1)"},
		{"an orphan version", func(d *damage) {
			stored, err := d.r.store.Shard().Get(nil, d.key(":\x03"), nil)
			if err != nil {
				d.t.Fatal(err)
			}
			d.put(d.key(":\x77"), stored)
		}, "slot 119 holds a version"},
		{"a lone record", func(d *damage) {
			stored, err := d.r.store.Shard().Get(nil, d.key("@l"), nil)
			if err != nil {
				d.t.Fatal(err)
			}
			d.put(keys.AppendLatest(nil, 1, []byte("orphan")), stored)
		}, "no descriptor, but latest true"},
		{"undecodable descriptor", func(d *damage) { d.put(d.key(".d"), []byte("\xFF\xFF")) }, "damaged descriptor"},
		{"empty descriptor", func(d *damage) { d.put(d.key(".d"), nil) }, "it has no format"},
		{"newer descriptor", func(d *damage) { d.describe(func(pb *storagev1.KeyValuePairDescriptor) { pb.Format = 2 }) }, "newer version"},
		{"count", func(d *damage) { d.describe(func(pb *storagev1.KeyValuePairDescriptor) { pb.VersionCount++ }) }, "version 5 of 2..6 is missing"},
		{"oldest above count", func(d *damage) { d.describe(func(pb *storagev1.KeyValuePairDescriptor) { pb.Oldest = 9 }) }, "oldest version 9 of 5"},
		{"oldest", func(d *damage) { d.describe(func(pb *storagev1.KeyValuePairDescriptor) { pb.Oldest-- }) }, "version 1 of 1..5 is missing"},
		{"base", func(d *damage) { d.describe(func(pb *storagev1.KeyValuePairDescriptor) { pb.Base++ }) }, "version 4 of 2..5 is missing (slot 6, base 2)"},
		{"base out of range", func(d *damage) { d.describe(func(pb *storagev1.KeyValuePairDescriptor) { pb.Base = 254 }) }, "base 254"},
		{"latest size", func(d *damage) { d.describe(func(pb *storagev1.KeyValuePairDescriptor) { pb.LatestBytes-- }) }, "the latest version has 7 bytes"},
		{"written size", func(d *damage) { d.describe(func(pb *storagev1.KeyValuePairDescriptor) { pb.WrittenBytes = 8 }) }, "only 8 were written"},
		{"deleted", func(d *damage) {
			d.describe(func(pb *storagev1.KeyValuePairDescriptor) { pb.Deleted, pb.LatestBytes = true, 0 })
		}, "tombstone: false"},
		{"expiry", func(d *damage) { d.describe(func(pb *storagev1.KeyValuePairDescriptor) { pb.ExpiresWallNanos = 9 }) }, "expires at 0"},
		{"revision", func(d *damage) {
			d.describe(func(pb *storagev1.KeyValuePairDescriptor) {
				pb.RevisionWallNanos, pb.RevisionLogical = pb.CreatedWallNanos, pb.CreatedLogical
			})
		}, "after the revision"},
		{"created", func(d *damage) {
			d.describe(func(pb *storagev1.KeyValuePairDescriptor) {
				pb.CreatedWallNanos, pb.CreatedLogical = pb.RevisionWallNanos, pb.RevisionLogical
			})
		}, "before the key's creation"},
		{"checksum", func(d *damage) { d.change(":\x03", func(b []byte) []byte { b[0] ^= 1; return b }) }, "fails its checksum"},
		{"format", func(d *damage) { d.change("@l", func(b []byte) []byte { b[len(b)-18] = 9; return b }) }, "unknown format"},
		{"cut", func(d *damage) { d.change("@l", func(b []byte) []byte { return b[:5] }) }, "shorter than its trailer"},
		{"order of versions", func(d *damage) {
			d.record(":\x03", func(r *versioning.Record) { r.Timestamp.WallNanos += 1e12 })
		}, "not after the version before it"},
		{"latest in the future", func(d *damage) {
			d.record("@l", func(r *versioning.Record) { r.Timestamp.WallNanos += 1e12 })
		}, "after the revision"},
		{"bucket settings", func(d *damage) { d.put(keys.AppendBucketSettings(nil, 7), []byte("x")) }, "damaged bucket settings"},
		{"bucket settings' key", func(d *damage) { d.put([]byte("mbx"), nil) }, "a settings key of 3 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, nil)
			ctx := t.Context()
			b := r.bucket(1)
			if err := b.SetSettings(ctx, versioning.Settings{MaxVersions: 5, Rollover: versioning.Relabel}); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"a", "k", "z"} {
				for i := range 6 {
					if _, err := b.Put(ctx, []byte(name), fmt.Appendf(nil, "value %d", i), noSync); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := b.DropVersions(ctx, []byte(name), 2, nil); err != nil {
					t.Fatal(err)
				}
			}
			r.check()
			c.do(&damage{t, r})
			report, err := versioning.Check(ctx, r.store.Shard(), nil)
			if err != nil {
				t.Fatal(err)
			}
			found := false
			for _, f := range report.Findings {
				found = found || strings.Contains(f.String(), c.want)
				if !errors.Is(f.Err, base.ErrCorruption) && !errors.Is(f.Err, base.ErrVersion) {
					t.Errorf("untyped finding %v", f)
				}
				if bytes.Equal(f.Key, []byte("a")) || bytes.Equal(f.Key, []byte("z")) {
					t.Errorf("a finding about a healthy key: %v", f)
				}
			}
			if !found || report.Found != int64(len(report.Findings)) {
				t.Errorf("want %q among %d findings:\n%v", c.want, report.Found, report.Findings)
			}
			if report.Keys < 3 {
				t.Errorf("the walk ended early: %+v", report)
			}
			r.close() // not checked again
		})
	}
}

func TestCheckBoundsItsFindingsAndReportsProgress(t *testing.T) {
	r := newRig(t, nil)
	d := &damage{t, r}
	batch := r.store.NewBatch()
	for i := range 5000 {
		if err := batch.Put(r.bucket(1), fmt.Appendf(nil, "%05d", i), nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := batch.Commit(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		d.put(keys.AppendSlot(nil, 1, fmt.Appendf(nil, "%05d", i), 1), nil)
	}
	calls := 0
	report, err := versioning.Check(t.Context(), r.store.Shard(), &versioning.CheckOptions{
		MaxFindings: 3, Progress: func(versioning.CheckReport) { calls++ },
	})
	if err != nil || len(report.Findings) != 3 || report.Found != 20 || report.Keys != 5000 || report.Records != 10020 || calls < 3 {
		t.Fatalf("%+v, %v, %d calls", report, err, calls)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := versioning.Check(ctx, r.store.Shard(), nil); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
	r.close()
}

// TestReservedTagsAreKept: records with tags of newer programs are neither findings nor in the way.
func TestReservedTagsAreKept(t *testing.T) {
	r := newRig(t, nil)
	d := &damage{t, r}
	b := r.bucket(1)
	if _, err := b.Put(t.Context(), []byte("k"), []byte("v"), nil); err != nil {
		t.Fatal(err)
	}
	d.put(d.key(".x"), []byte("of a newer program"))
	for i := range 3 {
		if _, err := b.Put(t.Context(), []byte("k"), fmt.Append(nil, i), nil); err != nil {
			t.Fatal(err)
		}
	}
	report, err := versioning.Check(t.Context(), r.store.Shard(), nil)
	if err != nil || report.Reserved != 1 || report.Found != 0 {
		t.Fatalf("%+v, %v", report, err)
	}
}

// TestUnknownDescriptorFieldsAreKept: what a newer program wrote into a descriptor survives writes
// of this one, with and without the cache.
func TestUnknownDescriptorFieldsAreKept(t *testing.T) {
	r := newRig(t, nil)
	d := &damage{t, r}
	if _, err := r.bucket(1).Put(t.Context(), []byte("k"), []byte("v"), nil); err != nil {
		t.Fatal(err)
	}
	unknown := []byte("\xF2\x01\x05hello") // field 30, 5 bytes
	d.change(".d", func(stored []byte) []byte { return append(stored, unknown...) })
	r.reopen()
	for range 3 {
		if _, err := r.bucket(1).Put(t.Context(), []byte("k"), []byte("w"), nil); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := r.store.Shard().Get(nil, d.key(".d"), nil)
	if err != nil || !bytes.HasSuffix(stored, unknown) {
		t.Fatalf("%q, %v", stored, err)
	}
}

// TestReadsOfDamagedRecords: reading damaged records is a typed error that names the key.
func TestReadsOfDamagedRecords(t *testing.T) {
	r := newRig(t, nil)
	d := &damage{t, r}
	ctx, b := t.Context(), r.bucket(1)
	for i := range 3 {
		if _, err := b.Put(ctx, []byte("k"), fmt.Append(nil, i), nil); err != nil {
			t.Fatal(err)
		}
	}
	d.change("@l", func(b []byte) []byte { b[0] ^= 1; return b })
	d.remove(":\x02")
	_, getErr := b.Get(ctx, []byte("k"))
	_, atErr := b.GetAt(ctx, []byte("k"), hlc.FromTime(start))
	var scanErr error
	for _, err := range b.Scan(ctx, &versioning.ScanOptions{Values: true}) {
		scanErr = err
	}
	for _, err := range []error{getErr, atErr, scanErr} {
		if !errors.Is(err, versioning.ErrRecordChecksum) || !strings.Contains(fmt.Sprint(err), `"k"`) {
			t.Errorf("%v", err)
		}
	}
	_, missingErr := b.GetVersion(ctx, []byte("k"), 2)
	var historyErr error
	for _, err := range b.History(ctx, []byte("k"), nil) {
		historyErr = err
	}
	for _, err := range []error{missingErr, historyErr} {
		if !errors.Is(err, versioning.ErrMissingRecord) || errors.Is(err, base.ErrNotFound) {
			t.Errorf("%v", err)
		}
	}
	d.put(d.key(".d"), []byte("\xFF"))
	r.reopen()
	b = r.bucket(1)
	_, describeErr := b.Describe(ctx, []byte("k"))
	_, putErr := b.Put(ctx, []byte("k"), nil, nil)
	batch := r.store.NewBatch()
	if err := batch.Put(b, []byte("k"), nil, nil); err != nil {
		t.Fatal(err)
	}
	_, batchErr := batch.Commit(ctx, nil)
	for _, err := range []error{describeErr, putErr, batchErr} {
		if !errors.Is(err, versioning.ErrDescriptor) {
			t.Errorf("%v", err)
		}
	}
	r.close()
}
