package versioning_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/versioning"
)

// verifyKey compares everything that can be read of a key with the model.
func (x *modelRun) verifyKey(name string) {
	x.t.Helper()
	ctx, b, key, k := context.Background(), x.bucket(), []byte(name), x.m.keys[name]
	now := x.r.wall.Now()

	v, err := b.Get(ctx, key)
	switch {
	case k.exists() && k.latest().liveAt(now):
		if err != nil || string(v.Data) != k.latest().data || v.Timestamp != k.latest().ts {
			x.fatalf("get %q: %+v, %v; want %+v", name, v, err, k.latest())
		}
	case !errors.Is(err, versioning.ErrNotFound):
		x.fatalf("get %q: %+v, %v; want not found", name, v, err)
	}

	d, err := b.Describe(ctx, key)
	if !k.exists() {
		if !errors.Is(err, versioning.ErrNotFound) {
			x.fatalf("describe %q: %+v, %v; want not found", name, d, err)
		}
		return
	}
	want := versioning.Descriptor{
		Versions: k.count(), Oldest: k.oldest, Base: d.Base, Created: k.created, Revision: k.revision,
		Deleted: k.latest().dead, Vacuumable: k.vacuumable, LatestBytes: int64(len(k.latest().data)),
		WrittenBytes: int64(k.written), ExpireAt: d.ExpireAt,
	}
	if err != nil || d != want || !d.ExpireAt.Equal(k.latest().expires) {
		x.fatalf("describe %q: %+v, %v; want %+v", name, d, err, want)
	}
	x.verifyHistory(name, k)
	x.verifyVersions(name, k)
	x.verifyTimes(name, k)
}

func sameVersion(v versioning.Value, number int, m modelVersion) bool {
	return v.Version == number && string(v.Data) == m.data && v.Timestamp == m.ts &&
		v.Tombstone == m.dead && v.ExpireAt.Equal(m.expires) && v.Size == len(m.data)
}

func (x *modelRun) verifyHistory(name string, k *modelKey) {
	x.t.Helper()
	o := &versioning.HistoryOptions{Values: true, OldestFirst: x.rng.IntN(2) == 0}
	n := 0
	for v, err := range x.bucket().History(context.Background(), []byte(name), o) {
		i := len(k.versions) - 1 - n
		if o.OldestFirst {
			i = n
		}
		if err != nil || i < 0 || i >= len(k.versions) || !sameVersion(v, k.oldest+i, k.versions[i]) {
			x.fatalf("history %q, entry %d of %d: %+v, %v", name, n, len(k.versions), v, err)
		}
		n++
	}
	if n != len(k.versions) {
		x.fatalf("history %q has %d entries, want %d", name, n, len(k.versions))
	}
}

func (x *modelRun) verifyVersions(name string, k *modelKey) {
	x.t.Helper()
	numbers := []int{1, k.oldest, k.oldest - 1, k.count() - 1, k.count(), k.count() + 1, versioning.Latest, 1 + x.rng.IntN(255), 1 + x.rng.IntN(k.count())}
	for _, n := range numbers {
		if n < 1 || n > versioning.MaxVersions {
			continue
		}
		v, err := x.bucket().GetVersion(context.Background(), []byte(name), n)
		number := n
		if n == versioning.Latest {
			number = k.count()
		}
		switch {
		case number > k.count():
			if !errors.Is(err, versioning.ErrNotFound) {
				x.fatalf("version %d of %q: %+v, %v; want not found", n, name, v, err)
			}
		case number < k.oldest:
			if !errors.Is(err, versioning.ErrHistoryTruncated) {
				x.fatalf("version %d of %q: %+v, %v; want truncated", n, name, v, err)
			}
		case err != nil || !sameVersion(v, number, k.versions[number-k.oldest]):
			x.fatalf("version %d of %q: %+v, %v; want %+v", n, name, v, err, k.versions[number-k.oldest])
		}
	}
}

// at returns what the model says a key held at ts.
func (k *modelKey) at(ts hlc.Timestamp) (modelVersion, int, error) {
	for i, v := range slices.Backward(k.versions) {
		if !ts.Less(v.ts) {
			if !v.liveAt(ts.Time()) {
				return modelVersion{}, 0, versioning.ErrNotFound
			}
			return v, k.oldest + i, nil
		}
	}
	if ts.Less(k.created) {
		return modelVersion{}, 0, versioning.ErrNotFound
	}
	return modelVersion{}, 0, versioning.ErrHistoryTruncated
}

func (x *modelRun) randomTimes() []hlc.Timestamp {
	times := []hlc.Timestamp{hlc.FromTime(x.r.wall.Now().Add(1)), {}}
	for range 3 {
		if len(x.times) > 0 {
			times = append(times, x.times[x.rng.IntN(len(x.times))])
		}
	}
	return times
}

func (x *modelRun) verifyTimes(name string, k *modelKey) {
	x.t.Helper()
	for _, ts := range x.randomTimes() {
		v, err := x.bucket().GetAt(context.Background(), []byte(name), ts)
		want, number, wantErr := k.at(ts)
		if wantErr != nil {
			if !errors.Is(err, wantErr) {
				x.fatalf("%q at %s: %+v, %v; want %v", name, ts, v, err, wantErr)
			}
		} else if err != nil || !sameVersion(v, number, want) {
			x.fatalf("%q at %s: %+v, %v; want %+v", name, ts, v, err, want)
		}
	}
}

// verifyScan compares scans of the whole bucket with the model, page by page.
func (x *modelRun) verifyScan() {
	x.t.Helper()
	var live, all []string
	for name, k := range x.m.keys {
		all = append(all, name)
		if k.latest().liveAt(x.r.wall.Now()) {
			live = append(live, name)
		}
	}
	slices.Sort(all)
	slices.Sort(live)
	for _, o := range []versioning.ScanOptions{
		{},
		{Values: true},
		{Values: true, Descriptors: true, Borrow: true},
		{Reverse: true},
		{Reverse: true, Values: true},
		{Deleted: true},
		{Deleted: true, Values: true, Reverse: true},
	} {
		want := live
		if o.Deleted {
			want = all
		}
		x.verifyPages(o, want)
	}
	for _, ts := range x.randomTimes()[:1] {
		x.verifyScanAt(ts)
	}
}

// verifyPages scans with a random limit, resuming until nothing comes any more.
func (x *modelRun) verifyPages(o versioning.ScanOptions, want []string) {
	x.t.Helper()
	want = slices.Clone(want)
	if o.Reverse {
		slices.Reverse(want)
	}
	o.Limit = x.rng.IntN(3)
	var got []string
	for {
		n := 0
		var token versioning.Token
		for e, err := range x.bucket().Scan(context.Background(), &o) {
			if err != nil {
				x.fatalf("scan %+v: %v", o, err)
			}
			k := x.m.keys[string(e.Key)]
			if !k.exists() || o.Values && (string(e.Value.Data) != k.latest().data || e.Value.Timestamp != k.latest().ts) ||
				(o.Descriptors || !o.Values) && (e.Value.Version != k.count() || e.Descriptor.Revision != k.revision) {
				x.fatalf("scan %+v: entry %q %+v", o, e.Key, e)
			}
			got = append(got, string(e.Key))
			token = e.Token()
			n++
		}
		if n == 0 || o.Limit == 0 {
			break
		}
		o.Resume = token
	}
	if !slices.Equal(got, want) {
		x.fatalf("scan %+v: %q, want %q", o, got, want)
	}
}

func (x *modelRun) verifyScanAt(ts hlc.Timestamp) {
	x.t.Helper()
	if ts.IsZero() {
		return
	}
	want := map[string]string{}
	for name, k := range x.m.keys {
		v, number, err := k.at(ts)
		if err == nil {
			want[name] = fmt.Sprintf("%d %s", number, v.data)
		} else if errors.Is(err, versioning.ErrHistoryTruncated) {
			want[name] = "truncated"
		}
	}
	got := map[string]string{}
	for e, err := range x.bucket().Scan(context.Background(), &versioning.ScanOptions{Values: true, At: ts}) {
		switch {
		case errors.Is(err, versioning.ErrHistoryTruncated):
			got[string(e.Key)] = "truncated"
		case err != nil:
			x.fatalf("scan at %s: %v", ts, err)
		default:
			got[string(e.Key)] = fmt.Sprintf("%d %s", e.Value.Version, e.Value.Data)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		x.fatalf("scan at %s: %v, want %v", ts, got, want)
	}
}

// sameAnswers compares two buckets that got the same operations under different settings.
func sameAnswers(t *testing.T, a, b *modelRun) {
	t.Helper()
	for _, name := range a.names {
		if da, db := answers(a, name), answers(b, name); da != db {
			t.Fatalf("key %q: %v and %v differ:\n%s\n%s", name, a.kinds, b.kinds, da, db)
		}
	}
}

// answers prints what can be read of a key, without what differs between buckets by design.
func answers(x *modelRun, name string) string {
	var out strings.Builder
	ctx, b, key := context.Background(), x.bucket(), []byte(name)
	d, err := b.Describe(ctx, key)
	fmt.Fprintln(&out, d.Versions, d.Oldest, d.Deleted, d.Vacuumable, d.LatestBytes, d.WrittenBytes, d.ExpireAt, errors.Is(err, versioning.ErrNotFound))
	for n := 1; n <= versioning.MaxVersions; n++ {
		v, err := b.GetVersion(ctx, key, n)
		fmt.Fprintln(&out, n, v.Version, v.Size, v.Tombstone, v.ExpireAt, v.Checksum, errors.Is(err, versioning.ErrNotFound), errors.Is(err, versioning.ErrHistoryTruncated))
	}
	return out.String()
}
