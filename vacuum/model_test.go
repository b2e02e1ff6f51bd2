package vacuum_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/internal/storemodel"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/vacuum"
	"github.com/shieldmaidens/pleiades/versioning"
)

// expect applies a policy to one key the slow and obvious way. nil is "gone".
func expect(st keyState, p vacuum.Policy, now hlc.Timestamp, maxVersions int) []versioning.Value {
	k := storemodel.Key{Oldest: st.desc.Oldest, Revision: st.desc.Revision, Vacuumable: st.desc.Vacuumable}
	for _, v := range st.versions {
		k.Versions = append(k.Versions, storemodel.Version{TS: v.Timestamp, Expires: v.ExpireAt, Dead: v.Tombstone})
	}
	keep := k.Keep(p, now, maxVersions)
	if keep == 0 {
		return nil
	}
	return st.versions[len(st.versions)-keep:]
}

func genPolicy(t *rapid.T) vacuum.Policy {
	p := vacuum.Policy{
		AllKeys:       rapid.Bool().Draw(t, "all keys"),
		KeepNewest:    rapid.SampledFrom([]int{0, 1, 2, 3, 7, 255}).Draw(t, "keep newest"),
		KeepNewerThan: time.Duration(rapid.SampledFrom([]int{0, 0, 1, 5, 30, 100000}).Draw(t, "keep newer than seconds")) * time.Second,
		Deleted:       rapid.Bool().Draw(t, "deleted"),
		Expired:       rapid.Bool().Draw(t, "expired"),
	}
	if p.AllKeys && p.KeepNewest == 0 && p.KeepNewerThan == 0 {
		p.KeepNewest = 1
	}
	return p
}

// fill writes a random history into a bucket: puts, deletes, expiry, marks, purges, vacuums and
// changed settings.
func fill(t *rapid.T, r *rig, b *versioning.Bucket) {
	ctx := context.Background()
	genKey := rapid.SampledFrom([]string{"a", "a\x00", "a:", "b", "\xff"})
	for i := range rapid.IntRange(1, 60).Draw(t, "writes") {
		key := []byte(genKey.Draw(t, "key"))
		var err error
		switch op := rapid.IntRange(0, 19).Draw(t, "op"); {
		case op < 11:
			opts := &versioning.PutOptions{NoSync: true}
			if rapid.IntRange(0, 3).Draw(t, "expires") == 0 {
				opts.ExpireAt = r.wall.Now().Add(time.Duration(rapid.IntRange(0, 60).Draw(t, "ttl")) * time.Second)
			}
			if rapid.IntRange(0, 3).Draw(t, "sets mark") == 0 {
				opts.Vacuumable = ptr(rapid.Bool().Draw(t, "mark"))
			}
			value := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "value")
			_, err = b.Put(ctx, key, append(value, fmt.Sprint(i)...), opts)
		case op < 14:
			_, err = b.Delete(ctx, key, &versioning.WriteOptions{NoSync: true})
		case op < 16:
			_, err = b.SetVacuumable(ctx, key, rapid.Bool().Draw(t, "mark"), &versioning.WriteOptions{NoSync: true})
		case op < 17:
			_, err = b.Purge(ctx, key, &versioning.WriteOptions{NoSync: true})
		case op < 18:
			_, err = vacuum.Run(ctx, b, genPolicy(t), &vacuum.Options{Compact: vacuum.CompactNever})
		default:
			err = b.SetSettings(ctx, versioning.Settings{
				MaxVersions: rapid.SampledFrom([]int{1, 2, 5, 10, 255}).Draw(t, "max versions"),
				Rollover:    rapid.SampledFrom([]versioning.Rollover{versioning.Relabel, versioning.Cascade, versioning.Refuse}).Draw(t, "rollover"),
			})
		}
		if err != nil && !errors.Is(err, versioning.ErrNotFound) && !errors.Is(err, versioning.ErrVersionsExhausted) {
			t.Fatal(err)
		}
		r.wall.Advance(time.Duration(rapid.SampledFrom([]int{0, 1, 1000, 7000}).Draw(t, "advance ms")) * time.Millisecond)
	}
}

// TestModel runs random policies over random histories and compares with plain slices: what is left
// version by version, with bytes, timestamps and numbers; what the dry run said; and what the engine
// holds, record by record.
func TestModel(t *testing.T) {
	r := newRig(t)
	ctx := context.Background()
	id := keys.BucketID(0)
	removed, purged := int64(0), int64(0)
	rapid.Check(t, func(t *rapid.T) {
		id++
		b := r.bucket(id)
		fill(t, r, b)
		policy := genPolicy(t)
		settings, err := b.Settings(ctx)
		if err != nil {
			t.Fatal(err)
		}
		before := r.state(b)
		records, size := r.stored(b)
		now, err := r.clock.Now()
		if err != nil {
			t.Fatal(err)
		}
		opts := vacuum.Options{
			Now: now, Compact: vacuum.CompactNever, BatchKeys: rapid.IntRange(0, 3).Draw(t, "batch keys"),
		}

		dry := opts
		dry.DryRun = true
		would, err := vacuum.Run(ctx, b, policy, &dry)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := r.stored(b); got != records {
			t.Fatalf("a dry run changed the number of versions from %d to %d", records, got)
		}
		var planned vacuum.Report
		for step, err := range vacuum.Plan(ctx, b, policy, &opts) {
			if err != nil {
				t.Fatal(err)
			}
			planned.Versions += int64(step.Versions)
			planned.Bytes += step.Bytes
		}
		did, err := vacuum.Run(ctx, b, policy, &opts)
		if err != nil {
			t.Fatal(err)
		}

		compareStates(t, policy, settings.MaxVersions, now, before, r.state(b), did)
		recordsLeft, sizeLeft := r.stored(b)
		if records-recordsLeft != did.Versions || size-sizeLeft != did.Bytes {
			t.Fatalf("%d versions and %d bytes are gone, the report is %+v", records-recordsLeft, size-sizeLeft, did)
		}
		if planned.Versions != did.Versions || planned.Bytes != did.Bytes {
			t.Fatalf("planned %+v, did %+v", planned, did)
		}
		if !would.DryRun || would.DiskAfter != 0 {
			t.Fatalf("dry run: %+v", would)
		}
		would.DryRun, would.DiskBefore, would.DiskAfter = false, did.DiskBefore, did.DiskAfter
		if fmt.Sprint(would) != fmt.Sprint(did) {
			t.Fatalf("the dry run said %+v, the run %+v", would, did)
		}
		again, err := vacuum.Run(ctx, b, policy, &opts)
		if err != nil || again.Versions != 0 {
			t.Fatalf("a second run removed more: %+v, %v", again, err)
		}
		removed += did.Versions
		purged += did.Purged
	})
	r.check()
	if removed < 50 || purged < 5 {
		t.Errorf("only %d versions and %d keys were removed: the test tests nothing", removed, purged)
	}
}

func compareStates(t *rapid.T, p vacuum.Policy, maxVersions int, now hlc.Timestamp, before, after map[string]keyState, did vacuum.Report) {
	var purged, trimmed int64
	for key, st := range before {
		want := expect(st, p, now, maxVersions)
		got, exists := after[key]
		if exists != (want != nil) {
			t.Fatalf("key %q exists: %t, want %d versions of %+v", key, exists, len(want), st)
		}
		if want == nil {
			purged++
			continue
		}
		if len(want) < len(st.versions) {
			trimmed++
		}
		if len(got.versions) != len(want) {
			t.Fatalf("key %q has %d versions left, want %d; policy %+v, max_versions %d, before %+v",
				key, len(got.versions), len(want), p, maxVersions, st)
		}
		for i, v := range got.versions {
			w := want[i]
			if v.Version != w.Version || v.Timestamp != w.Timestamp || !bytes.Equal(v.Data, w.Data) || v.Tombstone != w.Tombstone {
				t.Fatalf("key %q: version %+v, want %+v", key, v, w)
			}
		}
		if got.desc.Revision != st.desc.Revision || got.desc.Versions != st.desc.Versions || got.desc.Vacuumable != st.desc.Vacuumable {
			t.Fatalf("key %q: descriptor %+v, was %+v", key, got.desc, st.desc)
		}
	}
	if len(after) > len(before) || did.Purged != purged || did.Trimmed != trimmed || did.Skipped != 0 || did.Keys != int64(len(before)) || did.Next != nil {
		t.Fatalf("purged %d, trimmed %d of %d: %+v", purged, trimmed, len(before), did)
	}
}
