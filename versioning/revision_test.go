package versioning_test

import (
	"errors"
	"testing"

	"github.com/shieldmaidens/pleiades/versioning"
)

// TestReadsNameTheRevision: a value and the revision to write it back under come from one read.
func TestReadsNameTheRevision(t *testing.T) {
	r := newRig(t, nil)
	ctx := t.Context()
	bucket, err := r.store.Bucket(1)
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("k")
	for _, value := range []string{"one", "two"} {
		if _, err := bucket.Put(ctx, key, []byte(value), nil); err != nil {
			t.Fatal(err)
		}
	}
	// The flag moves the revision and no timestamp: the two must not be confused.
	if _, err := bucket.SetVacuumable(ctx, key, true, nil); err != nil {
		t.Fatal(err)
	}
	want, err := bucket.Describe(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]versioning.Value{}
	for name, version := range map[string]int{"latest": versioning.Latest, "old": 1} {
		if read[name], err = bucket.GetVersion(ctx, key, version); err != nil {
			t.Fatal(err)
		}
	}
	for v, err := range bucket.History(ctx, key, nil) {
		if err != nil {
			t.Fatal(err)
		}
		read["history"] = v
	}
	for e, err := range bucket.Scan(ctx, &versioning.ScanOptions{Values: true, Descriptors: true}) {
		if err != nil {
			t.Fatal(err)
		}
		read["scan"] = e.Value
	}
	for name, v := range read {
		if v.Revision != want.Revision {
			t.Errorf("%s: revision %s, want %s", name, v.Revision, want.Revision)
		}
	}
	v := read["latest"]
	if v.Timestamp == v.Revision {
		t.Fatal("the timestamp equals the revision: the test shows nothing")
	}
	if _, err := bucket.Put(ctx, key, append(v.Data, '!'), &versioning.PutOptions{IfRevision: &v.Revision}); err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.Put(ctx, key, nil, &versioning.PutOptions{IfRevision: &v.Revision}); !errors.Is(err, versioning.ErrRevisionMismatch) {
		t.Fatalf("a second write under the same revision: %v", err)
	}
}
