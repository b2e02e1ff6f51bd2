package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestShardLifecycle(t *testing.T) {
	dir := t.TempDir()
	e := openAt(t, dir, nil)
	ctx := t.Context()
	_, err := e.Shard(1001)
	wantErr(t, err, ErrShardNotFound)
	_, err = e.CreateShard(ctx, 0)
	wantErr(t, err, ErrInvalid)
	s, err := e.CreateShard(ctx, 1001)
	if err != nil {
		t.Fatal(err)
	}
	if s.Name() != "1001" || s.Incarnation() != 1 || !s.Live() {
		t.Fatalf("first incarnation: %q %d", s.Name(), s.Incarnation())
	}
	_, err = e.CreateShard(ctx, 1001)
	wantErr(t, err, ErrShardExists)
	mustPut(t, e, s, Sync, "k", "old")

	b := e.NewBatch() // names the old incarnation, so that the replacement waits for it
	if err := b.Put(s, []byte("k"), []byte("late")); err != nil {
		t.Fatal(err)
	}
	s2, err := e.ReplaceShard(ctx, 1001)
	if err != nil {
		t.Fatal(err)
	}
	if s2.Name() != "1001.2" || s2.Incarnation() != 2 {
		t.Fatalf("second incarnation: %q", s2.Name())
	}
	wantGet(t, s2, "k", "")
	wantErr(t, e.Commit(ctx, b, Sync), ErrShardDropped)
	b.Close()
	<-s.gone
	_, err = s.Get(nil, []byte("k"), nil)
	wantErr(t, err, ErrShardDropped)
	mustPut(t, e, s2, Sync, "k", "new")

	if err := e.DropShard(ctx, 1001); err != nil {
		t.Fatal(err)
	}
	wantErr(t, e.DropShard(ctx, 1001), ErrShardNotFound)
	s3 := mustShard(t, e, 1001)
	if s3.Name() != "1001" { // nothing is left of the earlier ones
		t.Fatalf("after drop: %q", s3.Name())
	}
	wantGet(t, s3, "k", "")
	closeClean(t, e)
	e = openAt(t, dir, nil)
	if got := fmt.Sprint(e.Shards()); got != "[{1001 1 1001}]" {
		t.Fatalf("shards after reopening: %s", got)
	}
}

func TestDropWaitsForUsersAndContext(t *testing.T) {
	e := openTemp(t)
	s := mustShard(t, e, 1001)
	it, err := s.NewIterator(nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	wantErr(t, e.DropShard(ctx, 1001), context.DeadlineExceeded)
	_, err = e.Shard(1001)
	wantErr(t, err, ErrShardNotFound)
	if it.First() || it.Err() != nil {
		t.Fatal("an iterator that was there before the drop stopped working")
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	<-s.gone
}

// TestLeftoversAreDropped: a staged family that was never activated is gone after a reopening.
func TestLeftoversAreDropped(t *testing.T) {
	dir := t.TempDir()
	e := openAt(t, dir, nil)
	live := mustShard(t, e, 1001)
	mustPut(t, e, live, Sync, "k", "v")
	staged, err := e.StageShard(t.Context(), 1001)
	if err != nil {
		t.Fatal(err)
	}
	mustPut(t, e, staged, Sync, "k", "staged")
	if n := len(e.Shards()); n != 1 {
		t.Fatalf("%d shards", n)
	}
	wantGet(t, live, "k", "v")
	closeClean(t, e)
	e = openAt(t, dir, nil)
	wantGet(t, mustShard(t, e, 1001), "k", "v")
	if n := len(e.shards.all); n != 1 {
		t.Fatalf("%d families after reopening", n)
	}
	staged, err = e.StageShard(t.Context(), 1001)
	if err != nil {
		t.Fatal(err)
	}
	if err := staged.Discard(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantErr(t, staged.Discard(t.Context()), ErrInvalid)
}

// TestDiscardAfterFailedWrite: when nobody knows whether the log holds an activation, the family must
// survive its Discard; a store whose log does hold it would not open any more.
func TestDiscardAfterFailedWrite(t *testing.T) {
	for _, logged := range []bool{true, false} {
		dir := t.TempDir()
		e := openAt(t, dir, nil)
		staged, err := e.StageShard(t.Context(), 1001)
		if err != nil {
			t.Fatal(err)
		}
		mustPut(t, e, staged, Sync, "k", "v")
		if logged { // what a write leaves that fails in its sync
			mustPut(t, e, e.Local(), Sync, string(shardRecordKey(1001)), string(appendShardRecord(nil, staged.inc)))
		}
		e.fail(errors.New("the sync failed"))
		if err := staged.Discard(t.Context()); err != nil {
			t.Fatal(err)
		}
		closeClean(t, e)
		e = openAt(t, dir, nil)
		s, err := e.Shard(1001)
		if logged {
			if err != nil {
				t.Fatal(err)
			}
			wantGet(t, s, "k", "v")
			continue
		}
		wantErr(t, err, ErrShardNotFound)
		if n := len(e.shards.all); n != 0 {
			t.Fatalf("%d families are left over", n)
		}
	}
}

// TestDiscardAfterClose: a staged incarnation that outlives its engine is refused, not dropped.
func TestDiscardAfterClose(t *testing.T) {
	e := openTemp(t)
	staged, err := e.StageShard(t.Context(), 1001)
	if err != nil {
		t.Fatal(err)
	}
	closeClean(t, e)
	wantErr(t, staged.Discard(t.Context()), ErrClosed)
}

// TestFlipsAreSynced: a flip is durable whatever its commit asked for, because the family that it
// retires is dropped durably.
func TestFlipsAreSynced(t *testing.T) {
	e := openTemp(t)
	live := mustShard(t, e, 1001)
	staged, err := e.StageShard(t.Context(), 1001)
	if err != nil {
		t.Fatal(err)
	}
	for name, add := range map[string]func(*Batch) error{
		"activate": func(b *Batch) error { return b.Activate(staged) },
		"retire":   func(b *Batch) error { return b.Retire(mustShard(t, e, 1002)) },
	} {
		b := e.NewBatch()
		if err := add(b); err != nil {
			t.Fatal(err)
		}
		before := e.commitCounts().syncs
		if err := e.Commit(t.Context(), b, NoSync); err != nil {
			t.Fatal(err)
		}
		b.Close()
		if e.commitCounts().syncs == before {
			t.Errorf("%s was not synced", name)
		}
	}
	<-live.gone
}

// TestActivateIsAtomic: the flip and the writes beside it happen together, across a crash as well.
func TestActivateIsAtomic(t *testing.T) {
	dir := t.TempDir()
	e := openAt(t, dir, nil)
	old := mustShard(t, e, 1001)
	side := mustShard(t, e, 1002)
	mustPut(t, e, old, Sync, "k", "old")
	staged, err := e.StageShard(t.Context(), 1001)
	if err != nil {
		t.Fatal(err)
	}
	b := e.NewBatch()
	for _, err := range []error{
		b.Put(staged, []byte("k"), []byte("new")),
		b.Put(side, []byte("flipped"), []byte("yes")),
		b.Activate(staged),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Commit(t.Context(), b, Sync); err != nil {
		t.Fatal(err)
	}
	b.Close()
	<-old.gone
	for range 2 {
		wantGet(t, mustShard(t, e, 1001), "k", "new")
		wantGet(t, mustShard(t, e, 1002), "flipped", "yes")
		closeClean(t, e)
		e = openAt(t, dir, nil)
	}
}

func TestMaxShards(t *testing.T) {
	o := smallOptions()
	o.MaxShards = 2
	e := openAt(t, t.TempDir(), o)
	mustShard(t, e, 1001)
	mustShard(t, e, 1002)
	_, err := e.CreateShard(t.Context(), 1003)
	wantErr(t, err, ErrTooManyShards)
}

// TestDropReplaceCloneUnderWriters is the promise: with 64 writers on other shards, and some
// on the shards that come and go, no write of another shard fails or is lost.
func TestDropReplaceCloneUnderWriters(t *testing.T) {
	const writers, rounds = 64, 40
	dir := t.TempDir()
	e := openAt(t, dir, nil)
	stable := mustShard(t, e, 1001)
	mustShard(t, e, 2000)
	ctx := t.Context()
	var stop atomic.Bool
	var wg sync.WaitGroup
	acked := make([]int, writers)
	var refused, reached atomic.Int64
	for w := range writers {
		wg.Go(func() {
			for n := 0; !stop.Load(); n++ {
				b := e.NewBatch()
				key := fmt.Appendf(nil, "%02d-%06d", w, n)
				err := b.Put(stable, key, key)
				if err == nil {
					err = e.Commit(ctx, b, CommitMode(n%2))
				}
				b.Close()
				if err != nil {
					t.Errorf("a write of a shard that stays failed: %v", err)
					return
				}
				acked[w] = n + 1
				// And one to the shard that is replaced all the time: refused or applied, nothing else.
				s, err := e.Shard(2000)
				if err != nil {
					t.Errorf("shard 2000: %v", err)
					return
				}
				b = e.NewBatch()
				if err = b.Put(s, key, key); err == nil {
					err = e.Commit(ctx, b, NoSync)
				}
				b.Close()
				switch {
				case err == nil:
					reached.Add(1)
				case errors.Is(err, ErrShardDropped):
					refused.Add(1)
				default:
					t.Errorf("a write of a replaced shard: %v", err)
					return
				}
			}
		})
	}
	for r := range rounds {
		if _, err := e.ReplaceShard(ctx, 2000); err != nil {
			t.Errorf("replace: %v", err)
		}
		clone := ShardID(3000 + r%3)
		if err := e.DropShard(ctx, clone); err != nil && !errors.Is(err, ErrShardNotFound) {
			t.Errorf("drop: %v", err)
		}
		if _, err := e.CloneShard(ctx, stable, clone); err != nil {
			t.Errorf("clone: %v", err)
		}
	}
	stop.Store(true)
	wg.Wait()
	if reached.Load() == 0 {
		t.Error("no write reached the replaced shard: the test shows nothing")
	}
	t.Logf("%d writes to the stable shard, %d to replaced incarnations, %d refused", sum(acked), reached.Load(), refused.Load())
	closeClean(t, e)
	e = openAt(t, dir, nil)
	stable = mustShard(t, e, 1001)
	for w, n := range acked {
		for i := range n {
			key := fmt.Sprintf("%02d-%06d", w, i)
			wantGet(t, stable, key, key)
		}
	}
}

func sum(list []int) (n int) {
	for _, v := range list {
		n += v
	}
	return n
}

// TestDiscardRacesActivate: whichever comes first wins, and the store opens afterwards.
func TestDiscardRacesActivate(t *testing.T) {
	dir := t.TempDir()
	e := openAt(t, dir, nil)
	activated := 0
	for range 60 {
		staged, err := e.StageShard(t.Context(), 1001)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		var committed, discarded error
		b := e.NewBatch()
		if err := b.Activate(staged); err != nil {
			t.Fatal(err)
		}
		wg.Go(func() { committed = e.Commit(t.Context(), b, Sync); b.Close() })
		wg.Go(func() { discarded = staged.Discard(t.Context()) })
		wg.Wait()
		if (committed == nil) == (discarded == nil) {
			t.Fatalf("activation: %v, discard: %v", committed, discarded)
		}
		if committed == nil {
			activated++
		}
	}
	t.Logf("%d of 60 were activated", activated)
	closeClean(t, e)
	e = openAt(t, dir, nil)
	if _, err := e.Shard(1001); (err == nil) != (activated > 0) {
		t.Fatalf("after %d activations: %v", activated, err)
	}
}
