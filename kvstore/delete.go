package kvstore

import (
	"context"
	"errors"
	"fmt"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/kverr"
)

// DeleteBucket removes a bucket with everything in it. From the beginning on nobody can read or write it; its data goes
// in bounded steps, which go on by themselves when ctx ends, and after a restart. progress, when not nil, is told how far
// it is. The same call again follows the same removal.
//
// Errors: ErrBucketNotFound, ErrAccountNotFound, ErrNotOwner, ErrReserved for the default bucket, ErrNotEmpty; those of
// sessions; else as for Put. When the error comes with a progress, the removal has begun.
func (s *Store) DeleteBucket(ctx context.Context, caller Caller, r *kvstorev1.DeleteBucketRequest, progress func(*kvstorev1.DeleteProgress)) (*kvstorev1.DeleteProgress, error) {
	if err := s.checkOpen(ctx); err != nil {
		return nil, err
	}
	b, account, err := s.findBucket(r.GetAccount(), r.GetName(), 0)
	switch {
	case err == nil:
		if err := account.managedBy(caller); err != nil {
			return nil, err
		}
		if b.bucket.Id == uint64(keys.DefaultBucket) {
			return nil, fmt.Errorf("%w: bucket %q", kverr.ErrReserved, b.bucket.Name)
		}
		if err := s.seal(ctx, b.bucket.Id, r.GetOnlyEmpty()); err != nil {
			return nil, err
		}
		if r.GetSession() == nil {
			err = s.markDeleting(context.WithoutCancel(ctx), b.bucket) // sealed: the catalog must come to know it
			return s.followBucket(ctx, b.bucket.Id, err, progress)
		}
	case r.GetSession() == nil || !errors.Is(err, base.ErrNotFound):
		return nil, err
	}
	cmd, err := command(&kvstorev1.Command{DeleteBucket: r}, caller, r.GetSession())
	if err != nil {
		return nil, err
	}
	res, err := s.propose(context.WithoutCancel(ctx), s.catalogLog, cmd)
	if b == nil && err != nil {
		return nil, err
	}
	id := res.Bucket.GetId()
	if b != nil {
		id = b.bucket.Id
	}
	return s.followBucket(ctx, id, err, progress)
}

// followBucket follows the removal of a bucket that is sealed; marking says what came of the mark in the catalog.
func (s *Store) followBucket(ctx context.Context, id uint64, marking error, progress func(*kvstorev1.DeleteProgress)) (*kvstorev1.DeleteProgress, error) {
	b, _, err := s.findBucket("", "", id)
	if err != nil {
		return &kvstorev1.DeleteProgress{Done: true}, nil // gone by now
	}
	if b.bucket.State != kvstorev1.State_STATE_DELETING {
		s.startRemoval(jobID{bucket: id})
		return nil, marking
	}
	j, err := s.removals.start(jobID{bucket: id})
	if err != nil {
		return nil, err
	}
	if marking != nil {
		return nil, marking
	}
	return j.follow(ctx, s, progress)
}

// DeleteAccount removes an account with all its buckets, as DeleteBucket does one. Errors: ErrAccountNotFound,
// ErrNotOwner, ErrReserved for the default account, ErrNotEmpty; those of sessions; else as for Put.
func (s *Store) DeleteAccount(ctx context.Context, caller Caller, r *kvstorev1.DeleteAccountRequest, progress func(*kvstorev1.DeleteProgress)) (*kvstorev1.DeleteProgress, error) {
	if err := s.checkOpen(ctx); err != nil {
		return nil, err
	}
	cmd, err := command(&kvstorev1.Command{DeleteAccount: r}, caller, r.GetSession())
	if err != nil {
		return nil, err
	}
	res, err := s.propose(ctx, s.catalogLog, cmd)
	if err != nil {
		return nil, err
	}
	c := &s.catalog.published
	c.RLock()
	a := c.accounts[res.Account.Id]
	c.RUnlock()
	if a == nil {
		return &kvstorev1.DeleteProgress{Done: true}, nil // gone by now
	}
	if err := s.shareAccount(context.WithoutCancel(ctx), a); err != nil {
		s.startRemoval(jobID{account: a.account.Id})
		return nil, err
	}
	j, err := s.removals.start(jobID{account: a.account.Id})
	if err != nil {
		return nil, err
	}
	return j.follow(ctx, s, progress)
}
