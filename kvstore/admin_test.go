package kvstore_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/kvstore"
	"github.com/shieldmaidens/pleiades/versioning"
)

var (
	nobody = kvstore.Caller{}
	maia   = kvstore.Caller{Name: "maia", Role: kvstore.RoleClient}
	merope = kvstore.Caller{Name: "merope", Role: kvstore.RoleClient}
)

func ptr[T any](v T) *T { return &v }

// TestAccountsAndBuckets: making, finding, changing, listing; owners; names; all of it still there after reopening.
func TestAccountsAndBuckets(t *testing.T) {
	r := newRig(t, nil)
	ctx := t.Context()
	a, err := r.store.CreateAccount(ctx, maia, &kvstorev1.CreateAccountRequest{Name: "atlas", Owner: "maia", Limits: &kvstorev1.AccountLimits{MaxBuckets: 2}})
	if err != nil || a.Id != 1001 {
		t.Fatalf("%v, %v", a, err)
	}
	create := func(who kvstore.Caller, account, name string, s *kvstorev1.BucketSettings) (*kvstorev1.Bucket, error) {
		return r.store.CreateBucket(ctx, who, &kvstorev1.CreateBucketRequest{Account: account, Name: name, Settings: s})
	}
	if _, err := create(merope, "atlas", "b", nil); !errors.Is(err, kverr.ErrNotOwner) {
		t.Fatalf("a stranger: %v", err)
	}
	b, err := create(maia, "atlas", "stars", &kvstorev1.BucketSettings{MaxVersions: 3, Rollover: kvstorev1.RolloverPolicy_ROLLOVER_POLICY_CASCADE, MaxKeys: ptr(uint64(7))})
	if err != nil || b.Settings.MaxVersions != 3 || b.Settings.GetMaxKeys() != 7 || b.Account != "atlas" {
		t.Fatalf("%v, %v", b, err)
	}
	if _, err := create(kvstore.Caller{Name: "n1", Role: kvstore.RoleNode}, "atlas", "moons", nil); err != nil {
		t.Fatalf("a node: %v", err)
	}
	wrong := []struct {
		want error
		err  error
	}{
		{kverr.ErrQuota, second(create(maia, "atlas", "third", nil))},
		{kverr.ErrBucketExists, second(create(maia, "", "default", nil))},
		{kverr.ErrAccountNotFound, second(create(maia, "none", "b", nil))},
		{kverr.ErrInvalidName, second(create(maia, "", "-b", nil))},
		{kverr.ErrInvalidName, second(create(maia, "", strings.Repeat("b", 65), nil))},
		{kverr.ErrInvalidName, second(create(maia, "", "", nil))},
		{kverr.ErrInvalidSettings, second(create(maia, "", "b", &kvstorev1.BucketSettings{MaxVersions: 256}))},
		{kverr.ErrInvalidSettings, second(create(maia, "", "b", &kvstorev1.BucketSettings{Rollover: 9}))},
		{kverr.ErrAccountExists, second(r.store.CreateAccount(ctx, maia, &kvstorev1.CreateAccountRequest{Name: "atlas"}))},
		{kverr.ErrNotOwner, second(r.store.UpdateAccount(ctx, merope, &kvstorev1.UpdateAccountRequest{Name: "atlas"}))},
		{kverr.ErrNotOwner, second(r.store.DeleteBucket(ctx, merope, &kvstorev1.DeleteBucketRequest{Account: "atlas", Name: "stars"}, nil))},
		{kverr.ErrNotOwner, second(r.store.Vacuum(ctx, merope, &kvstorev1.VacuumRequest{BucketId: b.Id}, nil))},
		{kverr.ErrReserved, second(r.store.DeleteBucket(ctx, maia, &kvstorev1.DeleteBucketRequest{}, nil))},
		{kverr.ErrReserved, second(r.store.DeleteAccount(ctx, maia, &kvstorev1.DeleteAccountRequest{Name: "default"}, nil))},
	}
	for i, w := range wrong {
		if !errors.Is(w.err, w.want) {
			t.Errorf("case %d: %v, want %v", i, w.err, w.want)
		}
	}
	u, err := r.store.UpdateBucket(ctx, maia, &kvstorev1.UpdateBucketRequest{Account: "atlas", Name: "stars", Settings: &kvstorev1.BucketSettings{MaxVersions: 5, MaxKeys: ptr(uint64(0))}})
	if err != nil || u.Settings.MaxVersions != 5 || u.Settings.GetMaxKeys() != 0 || u.Settings.Rollover != kvstorev1.RolloverPolicy_ROLLOVER_POLICY_CASCADE {
		t.Fatalf("%v, %v", u, err)
	}
	if _, err := r.store.UpdateAccount(ctx, maia, &kvstorev1.UpdateAccountRequest{Name: "atlas", Owner: ptr("merope")}); err != nil {
		t.Fatal(err)
	}
	r.put(b.Id, "k", "value")
	r.reopen()
	var names []string
	for a, err := range r.store.ListAccounts(ctx, nobody) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, fmt.Sprintf("%s/%s/%d/%d", a.Name, a.Owner, a.Buckets, a.Usage.Bytes))
	}
	for b, err := range r.store.ListBuckets(ctx, nobody, &kvstorev1.ListBucketsRequest{}) {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, fmt.Sprintf("%d:%s/%s/%d/%d", b.Id, b.Account, b.Name, b.Settings.MaxVersions, b.Usage.Keys))
	}
	want := "[atlas/merope/2/6 default//1/0 1002:atlas/moons/255/0 1001:atlas/stars/5/1 1:default/default/255/0]"
	if got := fmt.Sprint(names); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
	if g, err := r.store.GetBucket(ctx, nobody, &kvstorev1.GetBucketRequest{Id: b.Id}); err != nil || g.Name != "stars" {
		t.Fatalf("%v, %v", g, err)
	}
}

func second[T any](_ T, err error) error { return err }

// TestQuotas: limits of buckets and accounts, in keys and bytes, hold exactly; what removes is never refused.
func TestQuotas(t *testing.T) {
	r := newRig(t, nil)
	ctx := t.Context()
	if _, err := r.store.CreateAccount(ctx, nobody, &kvstorev1.CreateAccountRequest{Name: "small", Limits: &kvstorev1.AccountLimits{MaxKeys: 3, MaxBytes: 40}}); err != nil {
		t.Fatal(err)
	}
	b, err := r.store.CreateBucket(ctx, nobody, &kvstorev1.CreateBucketRequest{Account: "small", Name: "b", Settings: &kvstorev1.BucketSettings{MaxKeys: ptr(uint64(2)), MaxVersions: 1}})
	if err != nil {
		t.Fatal(err)
	}
	put := func(bucket uint64, key, value string) error {
		_, err := r.store.Put(ctx, nobody, &kvstorev1.PutRequest{BucketId: bucket, Key: []byte(key), Value: []byte(value)})
		return err
	}
	steps := []struct {
		key, value string
		want       error
	}{
		{"a", "1", nil},
		{"b", "2", nil},
		{"c", "3", kverr.ErrQuota},
		{"a", "again", nil},
		{"a", strings.Repeat("x", 36), nil},
		{"a", strings.Repeat("x", 38), kverr.ErrQuota},
		{"a", "", nil},
	}
	for i, s := range steps {
		if err := put(b.Id, s.key, s.value); !errors.Is(err, s.want) {
			t.Fatalf("step %d: %v, want %v", i, err, s.want)
		}
	}
	if _, err := r.store.UpdateBucket(ctx, nobody, &kvstorev1.UpdateBucketRequest{Account: "small", Name: "b", Settings: &kvstorev1.BucketSettings{MaxKeys: ptr(uint64(0))}}); err != nil {
		t.Fatal(err)
	}
	if err := put(b.Id, "c", "3"); err != nil {
		t.Fatal(err)
	}
	if err := put(b.Id, "d", "4"); !errors.Is(err, kverr.ErrQuota) {
		t.Fatalf("beyond the account's limit: %v", err)
	}
	if _, err := r.store.UpdateAccount(ctx, nobody, &kvstorev1.UpdateAccountRequest{Name: "small", Limits: &kvstorev1.AccountLimits{MaxKeys: 1}}); err != nil {
		t.Fatal(err)
	}
	if err := put(b.Id, "a", "over, and no more keys than before"); err != nil {
		t.Fatalf("a new version while over the limit of keys: %v", err)
	}
	if _, err := r.store.Purge(ctx, nobody, &kvstorev1.PurgeRequest{BucketId: b.Id, Key: []byte("a")}); err != nil {
		t.Fatal(err)
	}
	a, err := r.store.GetAccount(ctx, nobody, &kvstorev1.GetAccountRequest{Name: "small"})
	if err != nil || a.Usage.Keys != 2 || a.Usage.Versions != 2 || a.Usage.Bytes != 4 {
		t.Fatalf("%v, %v", a, err)
	}
}

// TestCountersAfterForeignWrites: what a program wrote straight to the shard is counted when the store opens next, and its
// data is readable; ids under which it put data are never given.
func TestCountersAfterForeignWrites(t *testing.T) {
	r := newRig(t, nil)
	r.put(0, "ours", "12345")
	r.close()
	r.openEngine()
	shard, err := r.eng.Shard(kvstore.DataShard)
	if err != nil {
		t.Fatal(err)
	}
	store, err := versioning.Open(shard, r.clock, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []uint64{1, 1001} {
		bucket, err := store.Bucket(keys.BucketID(id))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bucket.Put(t.Context(), []byte("theirs"), []byte("1"), nil); err != nil {
			t.Fatal(err)
		}
	}
	store.Close()
	r.close()
	r.open()
	b, err := r.store.GetBucket(t.Context(), nobody, &kvstorev1.GetBucketRequest{})
	if err != nil || b.Usage.Keys != 2 || b.Usage.Bytes != 4+5+6+1 {
		t.Fatalf("%v, %v", b, err)
	}
	if v, err := r.get(0, "theirs"); v != "1" || err != nil {
		t.Fatalf("%q, %v", v, err)
	}
	if id := r.bucket("fresh", nil); id != 1002 {
		t.Fatalf("the bucket got id %d, under which there is data", id)
	}
}

// TestVacuumThroughTheLog removes versions, and the counters follow.
func TestVacuumThroughTheLog(t *testing.T) {
	r := newRig(t, nil)
	for i := range 6 {
		r.put(0, "k", fmt.Sprint(i))
	}
	reports := 0
	got, err := r.store.Vacuum(t.Context(), maia, &kvstorev1.VacuumRequest{AllKeys: true, KeepNewest: 2}, func(*kvstorev1.VacuumResponse) { reports++ })
	if err != nil || got.Versions != 4 || !got.Done || reports == 0 {
		t.Fatalf("%v, %v, %d reports", got, err, reports)
	}
	b, err := r.store.GetBucket(t.Context(), nobody, &kvstorev1.GetBucketRequest{})
	if err != nil || b.Usage.Versions != 2 || b.Usage.Bytes != 4 {
		t.Fatalf("%v, %v", b, err)
	}
	if _, err := r.store.Vacuum(t.Context(), maia, &kvstorev1.VacuumRequest{AllKeys: true}, nil); !errors.Is(err, kverr.ErrBadRequest) {
		t.Fatal(err)
	}
}

// TestTheHighestLimitIsNone: a limit above what the counters can count refuses nothing.
func TestTheHighestLimitIsNone(t *testing.T) {
	r := newRig(t, nil)
	limits := &kvstorev1.AccountLimits{MaxKeys: 1<<64 - 1, MaxBytes: 1 << 63}
	if _, err := r.store.UpdateAccount(t.Context(), nobody, &kvstorev1.UpdateAccountRequest{Limits: limits}); err != nil {
		t.Fatal(err)
	}
	r.put(0, "k", "v")
}
