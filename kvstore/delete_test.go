package kvstore_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/kvstore"
)

// rows counts the records of a shard that begin with a prefix.
func rows(t *testing.T, eng *engine.Engine, id engine.ShardID, bounds keys.Bounds) (n int) {
	t.Helper()
	shard, err := eng.Shard(id)
	if err != nil {
		t.Fatal(err)
	}
	it, err := shard.NewIterator(&engine.IterOptions{Lower: bounds.Lower, Upper: bounds.Upper})
	if err != nil {
		t.Fatal(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return n
}

// TestRemovalOfABucketSurvivesACrashAtEachStep: the directory as it was after each commit is opened, and the removal goes
// on to the end: no data, no records, and the other bucket untouched.
func TestRemovalOfABucketSurvivesACrashAtEachStep(t *testing.T) {
	r := newRig(t, &kvstore.Options{RemoveRecords: 16})
	ctx := t.Context()
	if _, err := r.store.CreateAccount(ctx, nobody, &kvstorev1.CreateAccountRequest{Name: "gone"}); err != nil {
		t.Fatal(err)
	}
	var ids []uint64
	for i := range 2 {
		b, err := r.store.CreateBucket(ctx, nobody, &kvstorev1.CreateBucketRequest{Account: "gone", Name: fmt.Sprint("b", i)})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, b.Id)
	}
	for i := range 30 {
		r.put(ids[i%2], fmt.Sprint("k", i%10), "value")
		r.put(0, fmt.Sprint("k", i%10), "stays")
	}
	var checkpoints []string
	dir := t.TempDir()
	r.store.OnCommit(func() {
		at := filepath.Join(dir, fmt.Sprint("commit", len(checkpoints)))
		if err := r.eng.Checkpoint(context.Background(), at); err != nil {
			t.Error(err)
		}
		checkpoints = append(checkpoints, at)
	})
	var last *kvstorev1.DeleteProgress
	done, err := r.store.DeleteAccount(ctx, nobody, &kvstorev1.DeleteAccountRequest{Name: "gone"}, func(p *kvstorev1.DeleteProgress) { last = p })
	if err != nil || !done.Done || done.BucketsRemoved != 2 || done.KeysRemoved != 10 || done.BytesRemoved != 30*7 {
		t.Fatalf("%v, %v", done, err)
	}
	if last == nil || last.Done {
		t.Fatalf("no progress was told: %v", last)
	}
	r.store.OnCommit(nil)
	if len(checkpoints) < 10 {
		t.Fatalf("only %d steps", len(checkpoints))
	}
	r.close()
	for i, at := range checkpoints {
		r.dir = at
		r.open()
		_, err := r.store.DeleteAccount(ctx, nobody, &kvstorev1.DeleteAccountRequest{Name: "gone"}, nil)
		if err != nil && !errors.Is(err, kverr.ErrAccountNotFound) {
			t.Fatalf("after commit %d: %v", i, err)
		}
		for _, id := range ids {
			if n := rows(t, r.eng, kvstore.DataShard, keys.BucketBounds(keys.BucketID(id))); n != 0 {
				t.Errorf("after commit %d: %d rows of bucket %d are left", i, n, id)
			}
		}
		if got := metaRows(t, r); got != wantMeta {
			t.Errorf("after commit %d: records %s, want %s", i, got, wantMeta)
		}
		b, err := r.store.GetBucket(ctx, nobody, &kvstorev1.GetBucketRequest{})
		if err != nil || b.Usage.Keys != 10 || b.Usage.Versions != 30 {
			t.Errorf("after commit %d: the other bucket: %v, %v", i, b, err)
		}
		if again := r.bucket("next", nil); again != 1003 {
			t.Errorf("after commit %d: a new bucket got id %d", i, again)
		}
		r.close()
	}
}

// wantMeta is what remains: of the data shard the shares and counters of the default account and bucket, the mark, the
// machine; of the catalog the default account and bucket, the ids and the machine.
const wantMeta = "data 6, catalog 4"

func metaRows(t *testing.T, r *rig) string {
	t.Helper()
	meta := keys.NamespaceBounds(keys.NamespaceMeta)
	return fmt.Sprintf("data %d, catalog %d", rows(t, r.eng, kvstore.DataShard, meta), rows(t, r.eng, kvstore.CatalogShard, meta))
}

// TestABucketThatIsBeingRemovedTakesNothing: reads and writes are refused from the beginning on, its name is taken until
// the end, and who asked may leave: the removal goes on.
func TestABucketThatIsBeingRemovedTakesNothing(t *testing.T) {
	r := newRig(t, &kvstore.Options{RemoveRecords: 4})
	id := r.bucket("b", nil)
	for i := range 8 {
		r.put(id, fmt.Sprint("k", i), "v")
	}
	if _, err := r.store.DeleteBucket(t.Context(), nobody, &kvstorev1.DeleteBucketRequest{Name: "b", OnlyEmpty: true}, nil); !errors.Is(err, kverr.ErrNotEmpty) {
		t.Fatal(err)
	}
	if _, err := r.get(id, "k1"); err != nil {
		t.Fatalf("a removal that was refused: %v", err)
	}
	ctx, leave := context.WithCancel(t.Context())
	var looked atomic.Bool
	hold, looking := make(chan struct{}), make(chan struct{})
	r.store.OnCommit(func() {
		if b, err := r.store.GetBucket(t.Context(), nobody, &kvstorev1.GetBucketRequest{Id: id}); err == nil && b.State == kvstorev1.State_STATE_DELETING && b.Usage.Keys < 8 && !looked.Swap(true) {
			close(looking)
			<-hold
		}
	})
	left := make(chan error)
	go func() {
		_, err := r.store.DeleteBucket(ctx, nobody, &kvstorev1.DeleteBucketRequest{Name: "b"}, nil)
		left <- err
	}()
	<-looking
	if _, err := r.get(id, "k7"); !errors.Is(err, kverr.ErrDeleting) {
		t.Errorf("a read: %v", err)
	}
	for _, err := range r.store.Scan(t.Context(), &kvstorev1.ScanRequest{BucketId: id}) {
		if !errors.Is(err, kverr.ErrDeleting) {
			t.Errorf("a scan: %v", err)
		}
	}
	if _, err := r.store.CreateBucket(t.Context(), nobody, &kvstorev1.CreateBucketRequest{Name: "b"}); !errors.Is(err, kverr.ErrBucketExists) {
		t.Errorf("a bucket of the same name: %v", err)
	}
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("who left got %v", err)
	}
	close(hold)
	if _, err := r.store.Put(t.Context(), nobody, &kvstorev1.PutRequest{BucketId: id, Key: []byte("k"), Value: []byte("v")}); !errors.Is(err, kverr.ErrDeleting) && !errors.Is(err, kverr.ErrBucketNotFound) {
		t.Errorf("a write: %v", err)
	}
	if p, err := r.store.DeleteBucket(t.Context(), nobody, &kvstorev1.DeleteBucketRequest{Name: "b"}, nil); err != nil && !errors.Is(err, kverr.ErrBucketNotFound) || err == nil && !p.Done {
		t.Errorf("following: %v, %v", p, err)
	}
	if _, err := r.get(id, "k1"); !errors.Is(err, kverr.ErrBucketNotFound) {
		t.Errorf("in the end: %v", err)
	}
	empty := r.bucket("empty", nil)
	if p, err := r.store.DeleteBucket(t.Context(), nobody, &kvstorev1.DeleteBucketRequest{Name: "empty", OnlyEmpty: true}, nil); err != nil || !p.Done {
		t.Errorf("an empty bucket %d: %v, %v", empty, p, err)
	}
}

// TestWhatIsGoneDoesNotComeBack: whoever tells the data shard of a bucket and its account when both have been removed since
// leaves nothing there.
func TestWhatIsGoneDoesNotComeBack(t *testing.T) {
	r := newRig(t, nil)
	ctx := t.Context()
	if _, err := r.store.CreateAccount(ctx, nobody, &kvstorev1.CreateAccountRequest{Name: "gone"}); err != nil {
		t.Fatal(err)
	}
	b, err := r.store.CreateBucket(ctx, nobody, &kvstorev1.CreateBucketRequest{Account: "gone", Name: "b"})
	if err != nil {
		t.Fatal(err)
	}
	stays := r.bucket("b", nil)
	both, one := r.store.Stale(b.Id), r.store.Stale(stays)
	if _, err := r.store.DeleteAccount(ctx, nobody, &kvstorev1.DeleteAccountRequest{Name: "gone"}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := r.store.DeleteBucket(ctx, nobody, &kvstorev1.DeleteBucketRequest{Name: "b"}, nil); err != nil {
		t.Fatal(err)
	}
	if account, bucket := both(ctx); account != nil || !errors.Is(bucket, kverr.ErrAccountNotFound) {
		t.Errorf("account: %v, bucket: %v", account, bucket)
	}
	if account, bucket := one(ctx); account != nil || bucket != nil {
		t.Errorf("account: %v, bucket: %v", account, bucket)
	}
	for _, id := range []uint64{b.Id, stays} {
		if _, err := r.store.Put(ctx, nobody, &kvstorev1.PutRequest{BucketId: id, Key: []byte("k")}); !errors.Is(err, kverr.ErrBucketNotFound) {
			t.Errorf("a put into bucket %d: %v", id, err)
		}
	}
	if got := metaRows(t, r); got != wantMeta {
		t.Errorf("records %s, want %s", got, wantMeta)
	}
}

// TestCreationsRaceWithRemovals: buckets that are made while they, or their account, are removed leave nothing behind in
// the data shard, and every removal comes to its end.
func TestCreationsRaceWithRemovals(t *testing.T) {
	r := newRig(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for round := range 40 {
		if _, err := r.store.CreateAccount(ctx, nobody, &kvstorev1.CreateAccountRequest{Name: "a"}); err != nil {
			t.Fatal(round, err)
		}
		var racing sync.WaitGroup
		for i := range 4 {
			name := string(rune('a' + i))
			racing.Go(func() {
				_, _ = r.store.CreateBucket(ctx, nobody, &kvstorev1.CreateBucketRequest{Account: "a", Name: name})
			})
			racing.Go(func() {
				_, _ = r.store.DeleteBucket(ctx, nobody, &kvstorev1.DeleteBucketRequest{Account: "a", Name: name}, nil)
			})
		}
		_, err := r.store.DeleteAccount(ctx, nobody, &kvstorev1.DeleteAccountRequest{Name: "a"}, nil)
		racing.Wait()
		if err != nil {
			t.Fatal(round, err)
		}
	}
	if buckets, accounts := r.store.Shares(); buckets != 1 || accounts != 1 {
		t.Errorf("the data shard knows %d buckets and %d accounts", buckets, accounts)
	}
}
