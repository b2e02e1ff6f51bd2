package kvstore_test

import (
	"errors"
	"fmt"
	"testing"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/kvstore"
	"github.com/shieldmaidens/pleiades/versioning"
)

// TestKeysOfTheDefaultBucket follows one key through everything that can be done to it.
func TestKeysOfTheDefaultBucket(t *testing.T) {
	r := newRig(t, nil)
	ctx, nobody := t.Context(), kvstore.Caller{}
	if _, err := r.get(0, "k"); !errors.Is(err, kverr.ErrNotFound) {
		t.Fatalf("an absent key: %v", err)
	}
	first := r.put(0, "k", "one")
	second := r.put(1, "k", "two")
	if first.Version != 1 || second.Version != 2 {
		t.Fatalf("versions %d and %d", first.Version, second.Version)
	}
	check := func(req *kvstorev1.GetRequest, want string, version uint32) {
		t.Helper()
		req.Key = []byte("k")
		err := r.store.Get(ctx, req, func(g *kvstorev1.GetResponse) error {
			if string(g.Value) != want || g.Version != version || g.Checksum != versioning.Checksum([]byte(want)) {
				t.Errorf("got %v, want %q version %d", g, want, version)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	check(&kvstorev1.GetRequest{}, "two", 0)
	check(&kvstorev1.GetRequest{Version: 1}, "one", 1)
	check(&kvstorev1.GetRequest{Version: 255}, "two", 2)
	check(&kvstorev1.GetRequest{WithVersion: true}, "two", 2)
	check(&kvstorev1.GetRequest{At: first.Revision}, "one", 1)

	// Conditions.
	for name, req := range map[string]*kvstorev1.PutRequest{
		"revision":     {IfRevision: first.Revision},
		"no revision":  {IfRevision: &kvstorev1.Timestamp{}},
		"version":      {IfVersion: 1},
		"absent":       {IfAbsent: true},
		"checksum":     {Checksum: new(uint32)},
		"before 1970":  {IfRevision: &kvstorev1.Timestamp{WallNanos: -1}},
		"far version":  {IfVersion: 1 << 31},
		"end of times": {ExpiresWallNanos: 1 << 63},
	} {
		req.Key, req.Value = []byte("k"), []byte("three")
		if _, err := r.store.Put(ctx, nobody, req); kverr.NumberOf(err) == 0 {
			t.Errorf("a put with the wrong %s: %v", name, err)
		}
	}
	if _, err := r.store.Put(ctx, nobody, &kvstorev1.PutRequest{Key: []byte("k"), Value: []byte("three"), IfVersion: 2, IfRevision: second.Revision}); err != nil {
		t.Fatal(err)
	}
	d, err := r.store.Delete(ctx, nobody, &kvstorev1.DeleteRequest{Key: []byte("k"), IfVersion: 3})
	if err != nil || d.Version != 4 {
		t.Fatalf("%v, %v", d, err)
	}
	if _, err := r.get(0, "k"); !errors.Is(err, kverr.ErrNotFound) {
		t.Fatalf("a deleted key: %v", err)
	}
	if err := r.store.Get(ctx, &kvstorev1.GetRequest{Key: []byte("k"), WithVersion: true}, nil); !errors.Is(err, kverr.ErrNotFound) {
		t.Fatalf("a deleted key, with its version: %v", err)
	}
	desc, err := r.store.Describe(ctx, &kvstorev1.DescribeRequest{Key: []byte("k")})
	if err != nil || !desc.Descriptor_.Deleted || desc.Descriptor_.Versions != 4 {
		t.Fatalf("%v, %v", desc, err)
	}
	var history []string
	for v, err := range r.store.History(ctx, &kvstorev1.HistoryRequest{Key: []byte("k"), Values: true}) {
		if err != nil {
			t.Fatal(err)
		}
		history = append(history, fmt.Sprintf("%d=%s/%t", v.Version, v.Value, v.Tombstone))
	}
	if got := fmt.Sprint(history); got != "[4=/true 3=three/false 2=two/false 1=one/false]" {
		t.Fatal(got)
	}
	if _, err := r.store.SetVacuumable(ctx, nobody, &kvstorev1.SetVacuumableRequest{Key: []byte("k"), Vacuumable: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.store.Purge(ctx, nobody, &kvstorev1.PurgeRequest{Key: []byte("k")}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.store.Purge(ctx, nobody, &kvstorev1.PurgeRequest{Key: []byte("k")}); !errors.Is(err, kverr.ErrNotFound) {
		t.Fatal(err)
	}
}

// TestScanAndCount walks over a bucket in both directions, resumes, and counts.
func TestScanAndCount(t *testing.T) {
	r := newRig(t, nil)
	for i := range 20 {
		r.put(0, fmt.Sprintf("k%02d", i), fmt.Sprint(i))
	}
	scan := func(req *kvstorev1.ScanRequest) (all []string) {
		t.Helper()
		for e, err := range r.store.Scan(t.Context(), req) {
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, string(e.Key)+"="+string(e.Value))
		}
		return all
	}
	if got := scan(&kvstorev1.ScanRequest{Values: true, Start: []byte("k03"), End: []byte("k06")}); fmt.Sprint(got) != "[k03=3 k04=4 k05=5]" {
		t.Fatal(got)
	}
	if got := scan(&kvstorev1.ScanRequest{Reverse: true, Limit: 2, Prefix: []byte("k1")}); fmt.Sprint(got) != "[k19= k18=]" {
		t.Fatal(got)
	}
	n, err := r.store.Count(t.Context(), &kvstorev1.ScanRequest{Prefix: []byte("k0")})
	if err != nil || n != 10 {
		t.Fatalf("%d, %v", n, err)
	}
	for _, err := range r.store.Scan(t.Context(), &kvstorev1.ScanRequest{ResumeToken: []byte("nonsense")}) {
		if !errors.Is(err, kverr.ErrBadToken) && !errors.Is(err, kverr.ErrTokenVersion) {
			t.Fatal(err)
		}
	}
}

// TestABatchIsAllOrNothing, and a refused one does not take others' writes along.
func TestABatchIsAllOrNothing(t *testing.T) {
	r := newRig(t, nil)
	put := func(key, value string) *kvstorev1.Operation {
		return &kvstorev1.Operation{Kind: &kvstorev1.Operation_Put{Put: &kvstorev1.PutRequest{Key: []byte(key), Value: []byte(value)}}}
	}
	remove := func(key string) *kvstorev1.Operation {
		return &kvstorev1.Operation{Kind: &kvstorev1.Operation_Delete{Delete: &kvstorev1.DeleteRequest{Key: []byte(key)}}}
	}
	b, err := r.store.Batch(t.Context(), kvstore.Caller{}, &kvstorev1.BatchRequest{Operations: []*kvstorev1.Operation{put("a", "1"), put("a", "2"), put("b", "3")}})
	if err != nil || len(b.Results) != 3 || b.Results[1].Version != 2 {
		t.Fatalf("%v, %v", b, err)
	}
	_, err = r.store.Batch(t.Context(), kvstore.Caller{}, &kvstorev1.BatchRequest{Operations: []*kvstorev1.Operation{put("a", "9"), put("c", "9"), remove("nothing")}})
	opErr, ok := errors.AsType[*versioning.OpError](err)
	if !ok || opErr.Index != 2 || !errors.Is(err, kverr.ErrNotFound) {
		t.Fatalf("got %v", err)
	}
	if v, err := r.get(0, "a"); v != "2" || err != nil {
		t.Fatalf("a refused batch wrote %q, %v", v, err)
	}
	if _, err := r.get(0, "c"); !errors.Is(err, kverr.ErrNotFound) {
		t.Fatalf("a refused batch wrote c: %v", err)
	}
	if _, err := r.store.Batch(t.Context(), kvstore.Caller{}, &kvstorev1.BatchRequest{Operations: []*kvstorev1.Operation{{}}}); !errors.Is(err, kverr.ErrBadRequest) {
		t.Fatalf("an operation without a kind: %v", err)
	}
	if got, err := r.store.Batch(t.Context(), kvstore.Caller{}, &kvstorev1.BatchRequest{}); err != nil || len(got.Results) != 0 {
		t.Fatalf("an empty batch: %v, %v", got, err)
	}
}

// TestImpossibleRequests are refused before they wait for anybody.
func TestImpossibleRequests(t *testing.T) {
	r := newRig(t, nil)
	put := func(req *kvstorev1.PutRequest) error {
		_, err := r.store.Put(t.Context(), kvstore.Caller{}, req)
		return err
	}
	for want, err := range map[error]error{
		keys.ErrEmptyKey:        put(&kvstorev1.PutRequest{}),
		keys.ErrKeyTooLong:      put(&kvstorev1.PutRequest{Key: make([]byte, keys.MaxKeyBytes+1)}),
		kverr.ErrValueTooLarge:  put(&kvstorev1.PutRequest{Key: []byte("k"), Value: make([]byte, versioning.MaxValueBytes+1)}),
		kverr.ErrBucketNotFound: put(&kvstorev1.PutRequest{Key: []byte("k"), BucketId: 77}),
		kverr.ErrSessionExpired: put(&kvstorev1.PutRequest{Key: []byte("k"), Session: &kvstorev1.Session{Id: make([]byte, 16), Sequence: 1}}),
		kverr.ErrSequence:       put(&kvstorev1.PutRequest{Key: []byte("k"), Session: &kvstorev1.Session{Id: make([]byte, 16)}}),
		kverr.ErrBadRequest:     put(&kvstorev1.PutRequest{Key: []byte("k"), Session: &kvstorev1.Session{Id: make([]byte, 15), Sequence: 1}}),
		kverr.ErrInvalidVersion: r.store.Get(t.Context(), &kvstorev1.GetRequest{Key: []byte("k"), Version: 256}, nil),
		kverr.ErrAccountNotFound: func() error {
			_, err := r.store.GetBucket(t.Context(), kvstore.Caller{}, &kvstorev1.GetBucketRequest{Account: "none"})
			return err
		}(),
	} {
		if !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
	store := r.store
	r.close()
	if err := store.Ready(t.Context()); err == nil {
		t.Error("a closed store is ready")
	}
}
