package kvstore_test

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/kvstore"
)

// fullRig is a store with a key in the default bucket and two in another, on a disk that has become full since.
func fullRig(t *testing.T) (r *rig, bucket uint64, session []byte) {
	t.Helper()
	r = newRig(t, nil)
	var fs unix.Statfs_t
	if err := unix.Statfs(r.dir, &fs); err != nil {
		t.Fatal(err)
	}
	if (fs.Blocks-fs.Bavail)*100 < 2*fs.Blocks {
		t.Skip("the disk of the tests is next to empty: the engine calls none full that is used to less than 1 %")
	}
	bucket = r.bucket("b", nil)
	session = r.session(maia)
	r.put(1, "k", "old")
	r.put(1, "spare", "old")
	r.put(bucket, "a", "1")
	r.put(bucket, "b", "2")
	if _, err := r.sessionPut(maia, session, 1, 1, "s", "1"); err != nil {
		t.Fatal(err)
	}
	r.full = true
	r.reopen()
	return r, bucket, session
}

// TestAFullDiskRefusesWhole: whatever would add is refused with one error, and not a byte of either shard changes. A write
// of a session that was refused so is done under the same number when there is room again.
func TestAFullDiskRefusesWhole(t *testing.T) {
	r, bucket, session := fullRig(t)
	ctx := t.Context()
	put := func(key string) *kvstorev1.PutRequest {
		return &kvstorev1.PutRequest{Key: []byte(key), Value: []byte("new")}
	}
	before := shardBytes(t, r.eng)
	for name, write := range map[string]func() error{
		"put": func() error { _, err := r.store.Put(ctx, nobody, put("k")); return err },
		"delete": func() error {
			_, err := r.store.Delete(ctx, nobody, &kvstorev1.DeleteRequest{Key: []byte("k")})
			return err
		},
		"session":      func() error { _, err := r.sessionPut(maia, session, 2, 1, "s", "2"); return err },
		"open session": func() error { _, err := r.store.OpenSession(ctx, maia); return err },
		"create bucket": func() error {
			_, err := r.store.CreateBucket(ctx, nobody, &kvstorev1.CreateBucketRequest{Name: "c"})
			return err
		},
		"create account": func() error {
			_, err := r.store.CreateAccount(ctx, nobody, &kvstorev1.CreateAccountRequest{Name: "c"})
			return err
		},
		"a purge and a put in one batch": func() error {
			_, err := r.store.Batch(ctx, nobody, &kvstorev1.BatchRequest{Operations: []*kvstorev1.Operation{
				{Kind: &kvstorev1.Operation_Purge{Purge: &kvstorev1.PurgeRequest{Key: []byte("k")}}},
				{Kind: &kvstorev1.Operation_Put{Put: put("other")}},
			}})
			return err
		},
	} {
		if err := write(); !errors.Is(err, base.ErrDiskFull) || !errors.Is(err, engine.ErrDiskFull) {
			t.Errorf("%s: %v", name, err)
		}
		if d := firstDifference(shardBytes(t, r.eng)[0], before[0]) + firstDifference(shardBytes(t, r.eng)[1], before[1]); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	if v, err := r.get(0, "k"); v != "old" || err != nil {
		t.Errorf("a read: %q, %v", v, err)
	}
	if b, err := r.store.GetBucket(ctx, nobody, &kvstorev1.GetBucketRequest{Id: bucket}); err != nil || b.Usage.Keys != 2 {
		t.Errorf("the counters: %v, %v", b, err)
	}
	r.full = false
	r.reopen()
	if w, err := r.sessionPut(maia, session, 2, 1, "s", "2"); err != nil || w.Repeated || w.Version != 2 {
		t.Errorf("the same write with room: %v, %v", w, err)
	}
}

// TestAFullDiskCanBeEmptied: purges, removals of buckets, and the ends of sessions pass, also in one group with what is
// refused; the counters follow.
func TestAFullDiskCanBeEmptied(t *testing.T) {
	r, bucket, session := fullRig(t)
	ctx := t.Context()
	entered, release := r.hold()
	defer release()
	purge := func(key string) <-chan error {
		done := make(chan error, 1)
		go func() {
			_, err := r.store.Purge(ctx, nobody, &kvstorev1.PurgeRequest{Key: []byte(key)})
			done <- err
		}()
		return done
	}
	first := purge("spare")
	<-entered
	put, second := r.try(ctx, "new", "v"), purge("k")
	r.queued(2)
	release()
	if err := errors.Join(<-first, <-second); err != nil {
		t.Errorf("purges: %v", err)
	}
	if err := <-put; !errors.Is(err, base.ErrDiskFull) {
		t.Errorf("a put in the group of a purge: %v", err)
	}
	for _, key := range []string{"spare", "k", "new"} {
		r.absent(key)
	}
	if err := r.store.CloseSession(ctx, maia, session); err != nil {
		t.Errorf("the end of a session: %v", err)
	}
	if p, err := r.store.DeleteBucket(ctx, nobody, &kvstorev1.DeleteBucketRequest{Name: "b"}, nil); err != nil || !p.Done {
		t.Errorf("the removal of a bucket: %v, %v", p, err)
	}
	if n := rows(t, r.eng, kvstore.DataShard, keys.BucketBounds(keys.BucketID(bucket))); n != 0 {
		t.Errorf("%d rows are left", n)
	}
	r.full = false
	r.reopen()
	if _, err := r.store.GetBucket(ctx, nobody, &kvstorev1.GetBucketRequest{Name: "b"}); !errors.Is(err, kverr.ErrBucketNotFound) {
		t.Errorf("the bucket: %v", err)
	}
	b, err := r.store.GetBucket(ctx, nobody, &kvstorev1.GetBucketRequest{})
	if err != nil || b.Usage.Keys != 1 || b.Usage.Versions != 1 || b.Usage.Bytes != 2 {
		t.Errorf("the counters: %v, %v", b, err)
	}
	r.put(0, "k", "again")
}
