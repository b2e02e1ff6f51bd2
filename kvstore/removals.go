package kvstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/vacuum"
	"github.com/shieldmaidens/pleiades/versioning"
)

// removals removes the data of buckets and accounts, one after the other, in a goroutine that runs while there is
// something to remove. What is to be removed is written in the catalog, so that a crash loses nothing but the place in
// the queue.
type removals struct {
	store  *Store
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu struct {
		sync.Mutex
		jobs    map[jobID]*removal
		queue   []*removal
		running bool
		closed  bool
	}
}

// jobID is an account or a bucket; the other is 0.
type jobID struct{ account, bucket uint64 }

// removal is one account or bucket on its way out.
type removal struct {
	id jobID
	mu struct {
		sync.Mutex
		progress kvstorev1.DeleteProgress
		err      error // of the last try
		changed  chan struct{}
	}
}

const (
	// retryFirst and retryMost bound the pauses after a step that failed.
	retryFirst = 50 * time.Millisecond
	retryMost  = 10 * time.Second
)

func newRemovals(s *Store) *removals {
	r := &removals{store: s}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.mu.jobs = map[jobID]*removal{}
	return r
}

func (r *removals) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.mu.jobs)
}

// start returns the removal of an account or bucket that is marked in the catalog, beginning it if need be.
func (r *removals) start(id jobID) (*removal, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.mu.closed {
		return nil, ErrClosed
	}
	if j := r.mu.jobs[id]; j != nil {
		return j, nil
	}
	j := &removal{id: id}
	j.mu.changed = make(chan struct{})
	r.mu.jobs[id] = j
	r.mu.queue = append(r.mu.queue, j)
	if !r.mu.running {
		r.mu.running = true
		r.done.Go(r.run)
	}
	return j, nil
}

// run works the queue off.
func (r *removals) run() {
	for {
		r.mu.Lock()
		if len(r.mu.queue) == 0 || r.mu.closed {
			r.mu.running = false
			r.mu.Unlock()
			return
		}
		j := r.mu.queue[0]
		r.mu.queue = r.mu.queue[1:]
		r.mu.Unlock()
		r.finish(j)
		r.mu.Lock()
		delete(r.mu.jobs, j.id)
		r.mu.Unlock()
	}
}

// finish removes one account or bucket, however often that takes.
func (r *removals) finish(j *removal) {
	pause := retryFirst
	for {
		err := r.all(j)
		if err == nil {
			j.update(func(p *kvstorev1.DeleteProgress) { p.Done = true }, nil)
			return
		}
		j.update(func(*kvstorev1.DeleteProgress) {}, err)
		if r.ctx.Err() == nil {
			r.store.log.Warn("kvstore: a removal waits", "account", j.id.account, "bucket", j.id.bucket, "pause", pause, "err", err)
		}
		if wait(r.ctx, pause) != nil {
			return
		}
		pause = min(2*pause, retryMost)
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return ctx.Err()
}

func (r *removals) all(j *removal) error {
	if j.id.account == 0 {
		return r.bucket(j, j.id.bucket)
	}
	s := r.store
	for _, b := range s.catalog.bucketList(j.id.account) {
		if err := s.seal(r.ctx, b.bucket.Id, false); err != nil {
			return err
		}
		if err := s.markDeleting(r.ctx, b.bucket); err != nil {
			return err
		}
		if err := r.bucket(j, b.bucket.Id); err != nil {
			return err
		}
		j.update(func(p *kvstorev1.DeleteProgress) { p.BucketsRemoved++ }, nil)
	}
	share := &kvstorev1.ShareAccount{AccountId: j.id.account, Gone: true}
	if _, err := s.local(r.ctx, s.dataLog, &kvstorev1.Command{ShareAccount: share}); err != nil {
		return err
	}
	if _, err := s.local(r.ctx, s.catalogLog, &kvstorev1.Command{Forget: &kvstorev1.Forget{AccountId: j.id.account}}); err != nil {
		return err
	}
	return s.withdrawAccount(r.ctx, j.id.account)
}

// bucket removes a bucket step by step: its data, the space, what the catalog knows of it.
func (r *removals) bucket(j *removal, id uint64) error {
	s := r.store
	// Again: who made the bucket may have told the data shard of it after it was sealed there in vain.
	if err := s.seal(r.ctx, id, false); err != nil {
		return err
	}
	pressure := vacuum.EnginePressure(s.eng)
	var before versioning.Usage // of this bucket, in the progress already
	for {
		for pressure() {
			if err := wait(r.ctx, retryFirst); err != nil {
				return err
			}
		}
		step := &kvstorev1.RemoveStep{BucketId: id, Records: uint32(s.opts.RemoveRecords)}
		res, err := s.local(r.ctx, s.dataLog, &kvstorev1.Command{Remove: step})
		if err != nil {
			return err
		}
		if res.Removed != (versioning.Usage{}) {
			delta := versioning.Usage{Keys: res.Removed.Keys - before.Keys, Bytes: res.Removed.Bytes - before.Bytes}
			before = res.Removed
			j.update(func(p *kvstorev1.DeleteProgress) {
				p.KeysRemoved += uint64(max(0, delta.Keys))
				p.BytesRemoved += uint64(max(0, delta.Bytes))
			}, nil)
		}
		if res.Done {
			break
		}
	}
	bounds := keys.BucketBounds(keys.BucketID(id))
	if err := s.data.shard.Compact(r.ctx, bounds.Lower, bounds.Upper); err != nil {
		return err
	}
	if _, err := s.local(r.ctx, s.catalogLog, &kvstorev1.Command{Forget: &kvstorev1.Forget{BucketId: id}}); err != nil {
		return err
	}
	return s.withdrawBucket(r.ctx, id)
}

// update changes the progress and tells those who follow it.
func (j *removal) update(change func(*kvstorev1.DeleteProgress), err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	change(&j.mu.progress)
	j.mu.err = err
	close(j.mu.changed)
	j.mu.changed = make(chan struct{})
}

// state returns the progress so far, what closes with the next change, and the error of the last try.
func (j *removal) state() (*kvstorev1.DeleteProgress, <-chan struct{}, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return clone(&j.mu.progress), j.mu.changed, j.mu.err
}

// follow returns when the removal is through, or its present try has failed, or ctx ends; the removal goes on then.
func (j *removal) follow(ctx context.Context, store *Store, progress func(*kvstorev1.DeleteProgress)) (*kvstorev1.DeleteProgress, error) {
	for {
		p, changed, err := j.state()
		if p.Done {
			return p, nil
		}
		if err != nil {
			return p, fmt.Errorf("the removal goes on by itself; ask again to follow it: %w", err)
		}
		if progress != nil {
			progress(p)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return p, fmt.Errorf("the removal goes on by itself; ask again to follow it: %w", ctx.Err())
		case <-store.removals.ctx.Done():
			return p, ErrClosed
		}
	}
}

// close stops between two steps.
func (r *removals) close() {
	r.mu.Lock()
	r.mu.closed = true
	r.mu.Unlock()
	r.cancel()
	r.done.Wait()
}

// resume begins the removals that the catalog knows of.
func (s *Store) resume() {
	accounts, _ := s.catalog.accountList()
	for _, a := range accounts {
		if a.account.State == kvstorev1.State_STATE_DELETING {
			s.startRemoval(jobID{account: a.account.Id})
		}
	}
	for _, b := range s.catalog.bucketList(0) {
		if v, _ := s.data.views.bucketState(b.bucket.Id); v.deleting || b.bucket.State == kvstorev1.State_STATE_DELETING {
			s.startRemoval(jobID{bucket: b.bucket.Id})
		}
	}
}

func (s *Store) startRemoval(id jobID) {
	if _, err := s.removals.start(id); err != nil && !errors.Is(err, ErrClosed) {
		s.log.Error("kvstore: a removal could not begin", "account", id.account, "bucket", id.bucket, "err", err)
	}
}
