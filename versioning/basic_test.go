package versioning_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/versioning"
)

// TestThreeHundredPuts is the promise of the layout document at its limit: 300 puts of one key leave
// the versions 1..255 with the last 255 values, the same under Relabel and Cascade, at the stated cost.
func TestThreeHundredPuts(t *testing.T) {
	r := newRig(t, nil)
	ctx := t.Context()
	for i, c := range []struct {
		settings               versioning.Settings
		reads, writes, further int // of the last put without a cache; further: as few reads with one
	}{
		{versioning.Settings{MaxVersions: 255, Rollover: versioning.Relabel}, 2, 3, 0},
		{versioning.Settings{MaxVersions: 10, Rollover: versioning.Relabel}, 2, 4, 0},
		{versioning.Settings{MaxVersions: 1, Rollover: versioning.Relabel}, 1, 2, 0},
		{versioning.Settings{MaxVersions: 255, Rollover: versioning.Cascade}, 255, 256, 253},
		{versioning.Settings{MaxVersions: 10, Rollover: versioning.Cascade}, 10, 11, 8},
	} {
		b := r.bucket(keys.BucketID(i + 1))
		if err := b.SetSettings(ctx, c.settings); err != nil {
			t.Fatal(err)
		}
		var res versioning.WriteResult
		for n := 1; n <= 299; n++ {
			var err error
			if res, err = b.Put(ctx, []byte("k"), strconv.AppendInt(nil, int64(n), 10), noSync); err != nil {
				t.Fatal(err)
			}
			if first := n == 1; first && (res.Writes != 2 || res.Version != 1) {
				t.Fatalf("%v: the first put: %+v; want .d and @l only", c.settings, res)
			}
		}
		if res.Reads != c.further || res.Writes != c.writes {
			t.Errorf("%v: with a warm cache %d reads and %d writes; want %d and %d", c.settings, res.Reads, res.Writes, c.further, c.writes)
		}
		r.reopen() // an empty cache
		b = r.bucket(b.ID())
		if _, err := r.clock.Now(); err != nil { // stores the clock's bound, so that the put does not
			t.Fatal(err)
		}
		before := r.records()
		res, err := b.Put(ctx, []byte("k"), []byte("300"), nil)
		if got := r.records() - before; got != uint64(res.Writes) {
			t.Errorf("%v: the engine counted %d records, the put %d", c.settings, got, res.Writes)
		}
		if err != nil || res.Reads != c.reads || res.Writes != c.writes || !res.RolledOver || res.Dropped != 1 || res.Version != c.settings.MaxVersions {
			t.Errorf("%v: %+v, %v; want %d reads and %d writes", c.settings, res, err, c.reads, c.writes)
		}
		t.Logf("%d versions, %v: %d reads and %d writes a put; %d reads when the descriptor is cached", c.settings.MaxVersions, c.settings.Rollover, res.Reads, res.Writes, c.further)
		for n := 1; n <= c.settings.MaxVersions; n++ {
			v, err := b.GetVersion(ctx, []byte("k"), n)
			if want := strconv.Itoa(300 - c.settings.MaxVersions + n); err != nil || string(v.Data) != want || v.Version != n {
				t.Fatalf("%v: version %d is %q (%d), %v; want %s", c.settings, n, v.Data, v.Version, err, want)
			}
		}
	}
	r.check()
}

// TestTheSpecsLayout pins which records a key has, as the layout document draws them.
func TestTheSpecsLayout(t *testing.T) {
	r := newRig(t, nil)
	b := r.bucket(1)
	for n := 1; n <= 4; n++ {
		if _, err := b.Put(t.Context(), []byte("k"), strconv.AppendInt(nil, int64(n), 10), nil); err != nil {
			t.Fatal(err)
		}
	}
	it, err := r.store.Shard().NewIterator(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	var got []string
	for ok := it.First(); ok; ok = it.Next() {
		value := it.Value()
		if !bytes.HasSuffix(it.Key(), []byte(keys.SuffixDescriptor)) {
			rec, err := versioning.ParseRecord(value)
			if err != nil {
				t.Fatal(err)
			}
			value = rec.Data
		} else {
			value = nil
		}
		got = append(got, fmt.Sprintf("%q=%s", it.Key(), value))
	}
	head := `"d\x00\x00\x00\x00\x00\x00\x00\x01k\x00`
	want := []string{head + `.d"=`, head + `:\x01"=1`, head + `:\x02"=2`, head + `:\x03"=3`, head + `@l"=4`}
	if !slices.Equal(got, want) {
		t.Fatalf("records\n%q, want\n%q", got, want)
	}
}

// TestWithoutHistoryTheBaseIsZero: a key that keeps no old versions stays the spec's plain layout.
func TestWithoutHistoryTheBaseIsZero(t *testing.T) {
	r := newRig(t, nil)
	ctx, b := t.Context(), r.bucket(1)
	if err := b.SetSettings(ctx, versioning.Settings{MaxVersions: 1, Rollover: versioning.Relabel}); err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		res, err := b.Put(ctx, []byte("k"), fmt.Append(nil, i), nil)
		if err != nil || res.Version != 1 || res.Writes != 2 {
			t.Fatal(res, err)
		}
	}
	if d, err := b.Describe(ctx, []byte("k")); err != nil || d.Base != 0 || d.Versions != 1 {
		t.Fatal(d, err)
	}
	if got := dump(t, r.store.Shard()); len(got) != 3 { // and the bucket's settings
		t.Fatalf("%q", got)
	}
}

func TestDeleteKeepsHistoryAndPurgeDoesNot(t *testing.T) {
	r := newRig(t, nil)
	ctx, b, key := t.Context(), r.bucket(1), []byte("k")
	put := func(value string) versioning.WriteResult {
		t.Helper()
		res, err := b.Put(ctx, key, []byte(value), nil)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	put("one")
	del, err := b.Delete(ctx, key, nil)
	if err != nil || del.Version != 2 {
		t.Fatal(del, err)
	}
	if _, err := b.Delete(ctx, key, nil); !errors.Is(err, versioning.ErrNotFound) {
		t.Fatalf("deleting again: %v", err)
	}
	if v, err := b.GetVersion(ctx, key, versioning.Latest); err != nil || !v.Tombstone || v.Version != 2 {
		t.Fatal(v, err)
	}
	if v, err := b.GetVersion(ctx, key, 1); err != nil || string(v.Data) != "one" {
		t.Fatal(v, err)
	}
	if res := put("three"); res.Version != 3 {
		t.Fatalf("put after delete: %+v", res)
	}
	before, err := b.Describe(ctx, key)
	if err != nil || before.Deleted {
		t.Fatal(before, err)
	}
	purged, err := b.Purge(ctx, key, &versioning.WriteOptions{IfRevision: &before.Revision})
	if err != nil || purged.Writes != 4 || purged.Dropped != 3 {
		t.Fatal(purged, err)
	}
	if got := dump(t, r.store.Shard()); len(got) != 0 {
		t.Fatalf("left behind: %q", got)
	}
	if _, err := b.Purge(ctx, key, nil); !errors.Is(err, versioning.ErrNotFound) {
		t.Fatalf("purging again: %v", err)
	}
	if again := put("new"); again.Version != 1 || !before.Revision.Less(again.Revision) || !purged.Revision.Less(again.Revision) {
		t.Fatalf("created anew: %+v after %+v", again, before)
	}
}

func TestConditions(t *testing.T) {
	r := newRig(t, nil)
	ctx, b, key := t.Context(), r.bucket(1), []byte("k")
	none := new(hlc.Timestamp)
	if _, err := b.Put(ctx, key, []byte("x"), &versioning.PutOptions{IfRevision: &hlc.Timestamp{WallNanos: 5}}); !errors.Is(err, versioning.ErrRevisionMismatch) || !errors.Is(err, base.ErrConflict) {
		t.Fatal(err)
	}
	first, err := b.Put(ctx, key, []byte("x"), &versioning.PutOptions{IfRevision: none})
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.Put(ctx, key, []byte("x"), &versioning.PutOptions{IfRevision: none})
	if mismatch := (*versioning.RevisionError)(nil); !errors.As(err, &mismatch) || mismatch.Have != first.Revision {
		t.Fatal(err)
	}
	if _, err := b.Put(ctx, key, []byte("y"), &versioning.PutOptions{IfAbsent: true}); !errors.Is(err, versioning.ErrExists) || !errors.Is(err, base.ErrConflict) {
		t.Fatal(err)
	}
	if _, err := b.Delete(ctx, key, &versioning.WriteOptions{IfRevision: none}); !errors.Is(err, versioning.ErrRevisionMismatch) {
		t.Fatal(err)
	}
	if _, err := b.Delete(ctx, key, &versioning.WriteOptions{IfRevision: &first.Revision}); err != nil {
		t.Fatal(err)
	}
	if res, err := b.Put(ctx, key, []byte("z"), &versioning.PutOptions{IfAbsent: true}); err != nil || res.Version != 3 {
		t.Fatal(res, err)
	}
}

func TestExpiry(t *testing.T) {
	r := newRig(t, nil)
	ctx, b, key := t.Context(), r.bucket(1), []byte("k")
	at := start.Add(time.Minute)
	res, err := b.Put(ctx, key, []byte("x"), &versioning.PutOptions{ExpireAt: at})
	if err != nil {
		t.Fatal(err)
	}
	if v, err := b.Get(ctx, key); err != nil || !v.ExpireAt.Equal(at) {
		t.Fatal(v, err)
	}
	r.wall.Advance(time.Minute)
	if v, err := b.Get(ctx, key); !errors.Is(err, versioning.ErrNotFound) {
		t.Fatalf("at the very moment: %+v, %v", v, err)
	}
	for _, values := range []bool{false, true} {
		for e, err := range b.Scan(ctx, &versioning.ScanOptions{Values: values}) {
			t.Fatalf("scan, values %t: %+v, %v", values, e, err)
		}
	}
	if v, err := b.GetVersion(ctx, key, 1); err != nil || string(v.Data) != "x" {
		t.Fatalf("history: %+v, %v", v, err)
	}
	if v, err := b.GetAt(ctx, key, res.Revision); err != nil || string(v.Data) != "x" {
		t.Fatalf("before it expired: %+v, %v", v, err)
	}
	d, err := b.Describe(ctx, key)
	if err != nil || d.LiveAt(at) || !d.LiveAt(at.Add(-1)) {
		t.Fatalf("%+v, %v", d, err)
	}
	if _, err := b.Delete(ctx, key, nil); !errors.Is(err, versioning.ErrNotFound) {
		t.Fatalf("deleting what has expired: %v", err)
	}
	if res, err := b.Put(ctx, key, []byte("y"), &versioning.PutOptions{IfAbsent: true}); err != nil || res.Version != 2 {
		t.Fatal(res, err)
	}
	for _, bad := range []time.Time{time.Unix(-1, 0), time.Unix(0, 0), time.Date(2263, 1, 1, 0, 0, 0, 0, time.UTC)} {
		if _, err := b.Put(ctx, key, nil, &versioning.PutOptions{ExpireAt: bad}); !errors.Is(err, base.ErrInvalid) {
			t.Errorf("expiry %v: %v", bad, err)
		}
	}
}

func TestRefuse(t *testing.T) {
	r := newRig(t, nil)
	ctx, b, key := t.Context(), r.bucket(1), []byte("k")
	if err := b.SetSettings(ctx, versioning.Settings{MaxVersions: 2, Rollover: versioning.Refuse}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := b.Put(ctx, key, []byte("x"), nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Put(ctx, key, []byte("x"), nil); !errors.Is(err, versioning.ErrVersionsExhausted) {
		t.Fatal(err)
	}
	if res, err := b.Delete(ctx, key, nil); err != nil || !res.RolledOver || res.Version != 2 {
		t.Fatalf("a delete must always be possible: %+v, %v", res, err)
	}
	if _, err := b.Put(ctx, key, []byte("x"), nil); !errors.Is(err, versioning.ErrVersionsExhausted) {
		t.Fatal(err)
	}
	if _, err := b.DropVersions(ctx, key, 2, nil); err != nil {
		t.Fatal(err)
	}
	if res, err := b.Put(ctx, key, []byte("x"), nil); err != nil || res.Dropped != 0 {
		t.Fatalf("after a vacuum there is room, and nothing is dropped: %+v, %v", res, err)
	}
}

func TestLoweredLimitTrimsSixteenAPut(t *testing.T) {
	r := newRig(t, nil)
	ctx, b, key := t.Context(), r.bucket(1), []byte("k")
	for range 100 {
		if _, err := b.Put(ctx, key, []byte("x"), noSync); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.SetSettings(ctx, versioning.Settings{MaxVersions: 3, Rollover: versioning.Relabel}); err != nil {
		t.Fatal(err)
	}
	for want := 100; want > 3; {
		want = max(3, want+1-16)
		res, err := b.Put(ctx, key, []byte("y"), noSync)
		if err != nil || res.Version != want || res.Dropped > 16 || res.Writes > 3+16 {
			t.Fatalf("%+v, %v; want version %d", res, err, want)
		}
		r.check()
	}
}

// TestDroppedShard: what a store of a dropped shard answers must not look like "no such key".
func TestDroppedShard(t *testing.T) {
	r := newRig(t, nil)
	shard, err := r.eng.CreateShard(t.Context(), engine.FirstUserShard+1)
	if err != nil {
		t.Fatal(err)
	}
	store, err := versioning.Open(shard, r.clock, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := store.Bucket(1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Put(t.Context(), []byte("k"), []byte("v"), nil); err != nil {
		t.Fatal(err)
	}
	if err := r.eng.DropShard(t.Context(), shard.ID()); err != nil {
		t.Fatal(err)
	}
	_, getErr := b.Get(t.Context(), []byte("k"))
	_, putErr := b.Put(t.Context(), []byte("k"), []byte("v"), nil)
	_, describeErr := b.Describe(t.Context(), []byte("k"))
	for _, err := range []error{getErr, putErr, describeErr} {
		if !errors.Is(err, engine.ErrShardDropped) || errors.Is(err, versioning.ErrNotFound) {
			t.Errorf("%v", err)
		}
	}
}

func TestSettingsSurviveAndAreShared(t *testing.T) {
	r := newRig(t, nil)
	one, other := r.bucket(1), r.bucket(1)
	if s, err := one.Settings(t.Context()); err != nil || s != versioning.DefaultSettings() {
		t.Fatal(s, err)
	}
	if err := other.SetSettings(t.Context(), versioning.Settings{MaxVersions: 7, Rollover: versioning.Cascade}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		s, err := one.Settings(t.Context())
		if err != nil || s.MaxVersions != 7 || s.Rollover != versioning.Cascade || s.Updated.IsZero() {
			t.Fatal(s, err)
		}
		r.reopen()
		one = r.bucket(1)
	}
	for _, text := range []string{"relabel", "cascade", "refuse"} {
		if v, err := versioning.ParseRollover(text); err != nil || v.String() != text {
			t.Errorf("%s: %v, %v", text, v, err)
		}
	}
	if _, err := versioning.ParseRollover("rotate"); !errors.Is(err, versioning.ErrInvalidSettings) {
		t.Error(err)
	}
}
