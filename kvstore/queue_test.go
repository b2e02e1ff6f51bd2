package kvstore_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/kvstore"
)

// hold has the next commit of the store wait: entered closes when it is there, release lets it go on.
func (r *rig) hold() (entered <-chan struct{}, release func()) {
	in, out := make(chan struct{}), make(chan struct{})
	var first sync.Once
	r.store.OnCommit(func() {
		first.Do(func() {
			close(in)
			<-out
		})
	})
	return in, sync.OnceFunc(func() { close(out) })
}

// queued returns once n writes wait in the data shard's queue.
func (r *rig) queued(n int) {
	for r.store.Metrics().Data.QueueCommands != n {
		runtime.Gosched()
	}
}

// try puts in a goroutine and sends what came of it.
func (r *rig) try(ctx context.Context, key, value string) <-chan error {
	done := make(chan error, 1)
	store := r.store
	go func() {
		_, err := store.Put(ctx, nobody, &kvstorev1.PutRequest{Key: []byte(key), Value: []byte(value)})
		done <- err
	}()
	return done
}

// absent fails the test if a key exists.
func (r *rig) absent(key string) {
	r.tb.Helper()
	if _, err := r.get(0, key); !errors.Is(err, kverr.ErrNotFound) {
		r.tb.Errorf("%s: %v, want ErrNotFound", key, err)
	}
}

// TestTheQueueIsBounded, in commands: one more is turned away at once and does nothing; who leaves makes room; and those
// that wait are done.
func TestTheQueueIsBounded(t *testing.T) {
	r := newRig(t, &kvstore.Options{QueueCommands: 2})
	entered, release := r.hold()
	defer release()
	first := r.try(t.Context(), "first", "v")
	<-entered
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	left, stays := r.try(ctx, "left", "v"), r.try(t.Context(), "stays", "v")
	r.queued(2)
	for range 2 {
		if err := <-r.try(t.Context(), "turned away", "v"); !errors.Is(err, kvstore.ErrOverloaded) || !errors.Is(err, base.ErrOverloaded) {
			t.Fatalf("one write too many: %v", err)
		}
	}
	if m := r.store.Metrics().Data; m.Overloaded != 2 || m.QueueCommands != 2 {
		t.Errorf("%+v", m)
	}
	leave()
	if err := <-left; !errors.Is(err, engine.ErrNotWritten) || !errors.Is(err, context.Canceled) {
		t.Fatalf("who left: %v", err)
	}
	r.queued(1)
	late := r.try(t.Context(), "late", "v")
	r.queued(2)
	release()
	for name, done := range map[string]<-chan error{"first": first, "stays": stays, "late": late} {
		if err := <-done; err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if v, err := r.get(0, name); v != "v" || err != nil {
			t.Errorf("%s: %q, %v", name, v, err)
		}
	}
	r.absent("left")
	r.absent("turned away")
	if m := r.store.Metrics().Data; m.QueueCommands != 0 || m.QueueBytes != 0 {
		t.Errorf("in the end: %+v", m)
	}
}

// TestTheQueueIsBoundedInBytes; a write that is larger than the bound waits alone.
func TestTheQueueIsBoundedInBytes(t *testing.T) {
	r := newRig(t, &kvstore.Options{QueueBytes: 4096})
	entered, release := r.hold()
	defer release()
	first := r.try(t.Context(), "first", strings.Repeat("v", 10_000))
	<-entered
	big := r.try(t.Context(), "big", strings.Repeat("v", 8192))
	r.queued(1)
	if err := <-r.try(t.Context(), "small", "v"); !errors.Is(err, kvstore.ErrOverloaded) {
		t.Fatalf("behind a full queue: %v", err)
	}
	release()
	if err := errors.Join(<-first, <-big); err != nil {
		t.Fatal(err)
	}
	r.absent("small")
}

// TestWhoLeavesWasDoneOrNot: contexts end at every moment, in the queue, in the batch, in the lead. Each write is there and
// was acknowledged, or is not there and says so.
func TestWhoLeavesWasDoneOrNot(t *testing.T) {
	r := newRig(t, nil)
	const rounds, writers = 12, 32
	done, refused := 0, 0
	for round := range rounds {
		var leaves [writers]context.CancelFunc
		var ctxs [writers]context.Context
		for i := range writers {
			ctxs[i], leaves[i] = context.WithCancel(t.Context())
			defer leaves[i]()
		}
		commits := 0
		r.store.OnCommit(func() { // some of those that wait, some that were just done, some that come
			for i := range writers {
				if (i+commits)%3 == 0 {
					leaves[i]()
				}
			}
			commits++
		})
		var results [writers]<-chan error
		key := func(i int) string { return fmt.Sprintf("%d-%d", round, i) }
		for i := range writers {
			results[i] = r.try(ctxs[i], key(i), "v")
		}
		for i, result := range results {
			err := <-result
			v, got := r.get(0, key(i))
			switch {
			case err == nil:
				if done++; v != "v" || got != nil {
					t.Fatalf("%s was acknowledged: %q, %v", key(i), v, got)
				}
			case errors.Is(err, context.Canceled):
				if refused++; !errors.Is(got, kverr.ErrNotFound) {
					t.Fatalf("%s was given up: %q, %v", key(i), v, got)
				}
			default:
				t.Fatalf("%s: %v", key(i), err)
			}
		}
	}
	r.store.OnCommit(nil)
	b, err := r.store.GetBucket(t.Context(), nobody, &kvstorev1.GetBucketRequest{})
	if err != nil || b.Usage.Keys != uint64(done) {
		t.Errorf("%d writes were acknowledged; %v, %v", done, b, err)
	}
	if done == 0 || refused == 0 {
		t.Errorf("%d were done and %d given up: one of the two was not tried", done, refused)
	}
	if m := r.store.Metrics().Data; m.QueueCommands != 0 || m.QueueBytes != 0 {
		t.Errorf("in the end: %+v", m)
	}
}
