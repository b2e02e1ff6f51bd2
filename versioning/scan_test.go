package versioning_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/versioning"
)

// scanKeys fills two buckets with keys of few different bytes, some with a history, and returns the
// first one's keys in order.
func scanKeys(t *testing.T, r *rig) [][]byte {
	t.Helper()
	rng := rand.New(rand.NewPCG(5, 5))
	alphabet := []byte{0x00, 0x01, '.', ':', '@', 'a', 0xFE, 0xFF}
	seen := map[string]bool{}
	var all [][]byte
	for len(all) < 300 {
		key := make([]byte, 1+rng.IntN(4))
		for i := range key {
			key[i] = alphabet[rng.IntN(len(alphabet))]
		}
		if seen[string(key)] {
			continue
		}
		seen[string(key)] = true
		all = append(all, key)
		for i := range 1 + rng.IntN(12) {
			for _, id := range []keys.BucketID{1, 2} {
				if _, err := r.bucket(id).Put(t.Context(), key, fmt.Appendf(nil, "%d", i), noSync); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	slices.SortFunc(all, bytes.Compare)
	return all
}

// TestScanBounds compares scans with random bounds, prefixes, directions and pages with a filter
// over the sorted keys.
func TestScanBounds(t *testing.T) {
	r := newRig(t, nil)
	all := scanKeys(t, r)
	rng := rand.New(rand.NewPCG(6, 6))
	random := func() []byte {
		key := bytes.Clone(all[rng.IntN(len(all))])
		switch rng.IntN(4) {
		case 0:
			return key[:rng.IntN(len(key)+1)]
		case 1:
			return append(key, 0)
		}
		return key
	}
	for range 600 {
		o := versioning.ScanOptions{Reverse: rng.IntN(2) == 0, Values: rng.IntN(2) == 0, Borrow: rng.IntN(2) == 0, Limit: rng.IntN(2) * (1 + rng.IntN(40))}
		if rng.IntN(2) == 0 {
			o.Start = random()
		}
		if rng.IntN(2) == 0 {
			o.End = random()
		}
		if rng.IntN(3) == 0 {
			o.Prefix = random()
		}
		var want [][]byte
		for _, key := range all {
			if bytes.Compare(key, o.Start) >= 0 && (o.End == nil || bytes.Compare(key, o.End) < 0) && bytes.HasPrefix(key, o.Prefix) {
				want = append(want, key)
			}
		}
		if o.Reverse {
			slices.Reverse(want)
		}
		got := scanPages(t, r.bucket(1), o)
		if !slices.EqualFunc(got, want, bytes.Equal) {
			t.Fatalf("%+v:\n%q, want\n%q", o, got, want)
		}
	}
}

func scanPages(t *testing.T, b *versioning.Bucket, o versioning.ScanOptions) (got [][]byte) {
	t.Helper()
	for {
		n := 0
		var token versioning.Token
		for e, err := range b.Scan(context.Background(), &o) {
			if err != nil {
				t.Fatal(err)
			}
			got, token = append(got, bytes.Clone(e.Key)), e.Token()
			n++
		}
		if o.Limit == 0 || n < o.Limit {
			return got
		}
		o.Resume = token
	}
}

// TestScanOwnership: without Borrow what a scan returned stays as it was.
func TestScanOwnership(t *testing.T) {
	r := newRig(t, nil)
	all := scanKeys(t, r)
	for _, values := range []bool{false, true} {
		var entries []versioning.Entry
		for e, err := range r.bucket(1).Scan(t.Context(), &versioning.ScanOptions{Values: values}) {
			if err != nil {
				t.Fatal(err)
			}
			entries = append(entries, e)
		}
		for i, e := range entries {
			if !bytes.Equal(e.Key, all[i]) {
				t.Fatalf("values %t: entry %d became %q, was %q", values, i, e.Key, all[i])
			}
			v, err := r.bucket(1).Get(t.Context(), e.Key)
			if values && (err != nil || !bytes.Equal(v.Data, e.Value.Data)) {
				t.Fatalf("entry %q holds %q, want %q, %v", e.Key, e.Value.Data, v.Data, err)
			}
		}
	}
}

// TestScanIsOfOneInstant: what is written while the loop runs is not seen.
func TestScanIsOfOneInstant(t *testing.T) {
	r := newRig(t, nil)
	ctx, b := t.Context(), r.bucket(1)
	for i := range 50 {
		if _, err := b.Put(ctx, fmt.Appendf(nil, "%02d", i), []byte("old"), noSync); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for e, err := range b.Scan(ctx, &versioning.ScanOptions{Values: true, Descriptors: true}) {
		if err != nil || string(e.Value.Data) != "old" || e.Value.Version != 1 {
			t.Fatalf("%+v, %v", e, err)
		}
		for _, key := range [][]byte{fmt.Appendf(nil, "%02d", 49-n), fmt.Appendf(nil, "%02d+", n)} {
			if _, err := b.Put(ctx, key, []byte("new"), noSync); err != nil {
				t.Fatal(err)
			}
		}
		n++
	}
	if n != 50 {
		t.Fatalf("%d keys, want 50", n)
	}
}

// TestScanAtATime pages through the past while the present changes.
func TestScanAtATime(t *testing.T) {
	r := newRig(t, nil)
	ctx, b := t.Context(), r.bucket(1)
	var at hlc.Timestamp
	for round := range 5 {
		for i := range 20 {
			res, err := b.Put(ctx, fmt.Appendf(nil, "%d/%02d", round%2, i), fmt.Append(nil, round), noSync)
			if err != nil {
				t.Fatal(err)
			}
			if round == 2 {
				at = res.Revision
			}
		}
	}
	o := versioning.ScanOptions{At: at, Values: true, Limit: 7}
	n := 0
	for {
		page := 0
		for e, err := range b.Scan(ctx, &o) {
			want := "2"
			if e.Key[0] == '1' {
				want = "1"
			}
			if err != nil || string(e.Value.Data) != want {
				t.Fatalf("%q held %q, want %s, %v", e.Key, e.Value.Data, want, err)
			}
			o.Resume = e.Token()
			page++
		}
		if n += page; page == 0 {
			break
		}
		if _, err := b.Delete(ctx, []byte("1/19"), nil); err != nil && !errors.Is(err, versioning.ErrNotFound) {
			t.Fatal(err)
		}
	}
	if n != 40 {
		t.Fatalf("%d keys, want 40", n)
	}
}

func TestTokensOfOtherScansAreRefused(t *testing.T) {
	r := newRig(t, nil)
	ctx := t.Context()
	for _, id := range []keys.BucketID{1, 2} {
		if _, err := r.bucket(id).Put(ctx, []byte("k"), nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	var token versioning.Token
	for e, err := range r.bucket(1).Scan(ctx, nil) {
		if err != nil {
			t.Fatal(err)
		}
		token = e.Token()
	}
	for _, c := range []struct {
		bucket keys.BucketID
		o      versioning.ScanOptions
		want   error
	}{
		{1, versioning.ScanOptions{Resume: token}, nil},
		{2, versioning.ScanOptions{Resume: token}, versioning.ErrBadToken},
		{1, versioning.ScanOptions{Resume: token, Reverse: true}, versioning.ErrBadToken},
		{1, versioning.ScanOptions{Resume: token, At: stamp}, versioning.ErrBadToken},
		{1, versioning.ScanOptions{Resume: versioning.Token{}}, versioning.ErrBadToken},
		{1, versioning.ScanOptions{Resume: append(versioning.Token{9}, token[1:]...)}, versioning.ErrTokenVersion},
	} {
		var got error
		for _, err := range r.bucket(c.bucket).Scan(ctx, &c.o) {
			got = err
		}
		if !errors.Is(got, c.want) {
			t.Errorf("bucket %d, %+v: %v, want %v", c.bucket, c.o, got, c.want)
		}
	}
}

// TestScanStopsWithItsContext: a scan that nobody wants any more ends soon.
func TestScanStopsWithItsContext(t *testing.T) {
	r := newRig(t, nil)
	b := r.bucket(1)
	batch := r.store.NewBatch()
	for i := range 2000 {
		if err := batch.Put(b, fmt.Appendf(nil, "%04d", i), nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := batch.Commit(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	var got error
	for _, err := range b.Scan(ctx, nil) {
		if got = err; err == nil {
			n++
		}
		cancel()
	}
	if !errors.Is(got, context.Canceled) || n > 300 {
		t.Fatalf("%d keys, %v", n, got)
	}
}
