package storemodel

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/versioning"
)

// VerifyKey compares everything that can be read of a key with the model.
func (x *Driver) VerifyKey(name string) {
	x.TB.Helper()
	ctx, b, key, k := context.Background(), x.Bucket(), []byte(name), x.Model.Keys[name]
	now := x.Wall.Now()

	v, err := b.Get(ctx, key)
	switch {
	case k.Exists() && k.Latest().LiveAt(now):
		if err != nil || string(v.Data) != k.Latest().Data || v.Timestamp != k.Latest().TS {
			x.Fatalf("get %q: %+v, %v; want %+v", name, v, err, k.Latest())
		}
	case !errors.Is(err, versioning.ErrNotFound):
		x.Fatalf("get %q: %+v, %v; want not found", name, v, err)
	}

	d, err := b.Describe(ctx, key)
	if !k.Exists() {
		if !errors.Is(err, versioning.ErrNotFound) {
			x.Fatalf("describe %q: %+v, %v; want not found", name, d, err)
		}
		x.verifyAbsent(name)
		return
	}
	want := versioning.Descriptor{
		Versions: k.Count(), Oldest: k.Oldest, Base: d.Base, Created: k.Created, Revision: k.Revision,
		Deleted: k.Latest().Dead, Vacuumable: k.Vacuumable, LatestBytes: int64(len(k.Latest().Data)),
		WrittenBytes: int64(k.Written), ExpireAt: d.ExpireAt,
	}
	if err != nil || d != want || !d.ExpireAt.Equal(k.Latest().Expires) {
		x.Fatalf("describe %q: %+v, %v; want %+v", name, d, err, want)
	}
	x.verifyHistory(name, k)
	x.verifyVersions(name, k)
	x.verifyTimes(name, k)
}

// verifyAbsent asks for the history of a key that does not exist.
func (x *Driver) verifyAbsent(name string) {
	x.TB.Helper()
	ctx, b, key := context.Background(), x.Bucket(), []byte(name)
	if v, err := b.GetVersion(ctx, key, 1+x.reads().IntN(versioning.MaxVersions)); !errors.Is(err, versioning.ErrNotFound) {
		x.Fatalf("a version of %q: %+v, %v; want not found", name, v, err)
	}
	for _, ts := range x.randomTimes() {
		if v, err := b.GetAt(ctx, key, ts); !errors.Is(err, versioning.ErrNotFound) {
			x.Fatalf("%q at %s: %+v, %v; want not found", name, ts, v, err)
		}
	}
	for v, err := range b.History(ctx, key, nil) {
		if !errors.Is(err, versioning.ErrNotFound) {
			x.Fatalf("history %q: %+v, %v; want not found", name, v, err)
		}
	}
}

func sameVersion(v versioning.Value, number int, m Version) bool {
	return v.Version == number && string(v.Data) == m.Data && v.Timestamp == m.TS &&
		v.Tombstone == m.Dead && v.ExpireAt.Equal(m.Expires) && v.Size == len(m.Data)
}

func (x *Driver) verifyHistory(name string, k *Key) {
	x.TB.Helper()
	o := &versioning.HistoryOptions{Values: true, OldestFirst: x.reads().IntN(2) == 0}
	n := 0
	for v, err := range x.Bucket().History(context.Background(), []byte(name), o) {
		i := len(k.Versions) - 1 - n
		if o.OldestFirst {
			i = n
		}
		if err != nil || i < 0 || i >= len(k.Versions) || !sameVersion(v, k.Oldest+i, k.Versions[i]) {
			x.Fatalf("history %q, entry %d of %d: %+v, %v", name, n, len(k.Versions), v, err)
		}
		n++
	}
	if n != len(k.Versions) {
		x.Fatalf("history %q has %d entries, want %d", name, n, len(k.Versions))
	}
}

func (x *Driver) verifyVersions(name string, k *Key) {
	x.TB.Helper()
	numbers := []int{1, k.Oldest, k.Oldest - 1, k.Count() - 1, k.Count(), k.Count() + 1, versioning.Latest, 1 + x.reads().IntN(255), 1 + x.reads().IntN(k.Count())}
	for _, n := range numbers {
		if n < 1 || n > versioning.MaxVersions {
			continue
		}
		v, err := x.Bucket().GetVersion(context.Background(), []byte(name), n)
		number := n
		if n == versioning.Latest {
			number = k.Count()
		}
		switch {
		case number > k.Count():
			if !errors.Is(err, versioning.ErrNotFound) {
				x.Fatalf("version %d of %q: %+v, %v; want not found", n, name, v, err)
			}
		case number < k.Oldest:
			if !errors.Is(err, versioning.ErrHistoryTruncated) {
				x.Fatalf("version %d of %q: %+v, %v; want truncated", n, name, v, err)
			}
		case err != nil || !sameVersion(v, number, k.Versions[number-k.Oldest]):
			x.Fatalf("version %d of %q: %+v, %v; want %+v", n, name, v, err, k.Versions[number-k.Oldest])
		}
	}
}

func (x *Driver) randomTimes() []hlc.Timestamp {
	times := []hlc.Timestamp{hlc.FromTime(x.Wall.Now().Add(1)), {}}
	for range 3 {
		if len(x.Times) > 0 {
			times = append(times, x.Times[x.reads().IntN(len(x.Times))])
		}
	}
	return times
}

func (x *Driver) verifyTimes(name string, k *Key) {
	x.TB.Helper()
	for _, ts := range x.randomTimes() {
		v, err := x.Bucket().GetAt(context.Background(), []byte(name), ts)
		want, number, wantErr := k.At(ts)
		if wantErr != nil {
			if !errors.Is(err, wantErr) {
				x.Fatalf("%q at %s: %+v, %v; want %v", name, ts, v, err, wantErr)
			}
		} else if err != nil || !sameVersion(v, number, want) {
			x.Fatalf("%q at %s: %+v, %v; want %+v", name, ts, v, err, want)
		}
	}
}

// VerifyScan compares scans of the whole bucket with the model, page by page.
func (x *Driver) VerifyScan() {
	x.TB.Helper()
	var live, all []string
	for name, k := range x.Model.Keys {
		all = append(all, name)
		if k.Latest().LiveAt(x.Wall.Now()) {
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
func (x *Driver) verifyPages(o versioning.ScanOptions, want []string) {
	x.TB.Helper()
	want = slices.Clone(want)
	if o.Reverse {
		slices.Reverse(want)
	}
	o.Limit = x.reads().IntN(3)
	var got []string
	for {
		n := 0
		var token versioning.Token
		for e, err := range x.Bucket().Scan(context.Background(), &o) {
			if err != nil {
				x.Fatalf("scan %+v: %v", o, err)
			}
			k := x.Model.Keys[string(e.Key)]
			if !k.Exists() || o.Values && (string(e.Value.Data) != k.Latest().Data || e.Value.Timestamp != k.Latest().TS) ||
				(o.Descriptors || !o.Values) && (e.Value.Version != k.Count() || e.Descriptor.Revision != k.Revision) {
				x.Fatalf("scan %+v: entry %q %+v", o, e.Key, e)
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
		x.Fatalf("scan %+v: %q, want %q", o, got, want)
	}
}

func (x *Driver) verifyScanAt(ts hlc.Timestamp) {
	x.TB.Helper()
	if ts.IsZero() {
		return
	}
	want := map[string]string{}
	for name, k := range x.Model.Keys {
		v, number, err := k.At(ts)
		if err == nil {
			want[name] = fmt.Sprintf("%d %s", number, v.Data)
		} else if errors.Is(err, versioning.ErrHistoryTruncated) {
			want[name] = "truncated"
		}
	}
	got := map[string]string{}
	for e, err := range x.Bucket().Scan(context.Background(), &versioning.ScanOptions{Values: true, At: ts}) {
		switch {
		case errors.Is(err, versioning.ErrHistoryTruncated):
			got[string(e.Key)] = "truncated"
		case err != nil:
			x.Fatalf("scan at %s: %v", ts, err)
		default:
			got[string(e.Key)] = fmt.Sprintf("%d %s", e.Value.Version, e.Value.Data)
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		x.Fatalf("scan at %s: %v, want %v", ts, got, want)
	}
}
