package kvstore

import (
	"context"
	"fmt"
	"iter"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/versioning"
)

// findAccount returns a committed account by name, and how many buckets it has.
func (s *Store) findAccount(name string) (*catalogAccount, int, error) {
	c := &s.catalog.published
	c.RLock()
	defer c.RUnlock()
	a, err := c.account(name)
	if err != nil {
		return nil, 0, err
	}
	return a, c.counts[a.account.Id], nil
}

// findBucket returns a committed bucket by its id, or by name when that is 0, and its account.
func (s *Store) findBucket(account, name string, id uint64) (*catalogBucket, *catalogAccount, error) {
	c := &s.catalog.published
	c.RLock()
	defer c.RUnlock()
	if id == 0 {
		return c.bucket(account, name)
	}
	b := c.buckets[id]
	if b == nil {
		return nil, nil, fmt.Errorf("%w: bucket %d", kverr.ErrBucketNotFound, id)
	}
	return b, c.accounts[b.bucket.AccountId], nil
}

// manages returns ErrNotOwner unless the caller may manage the bucket.
func (s *Store) manages(caller Caller, bucket uint64) error {
	_, account, err := s.findBucket("", "", bucket)
	if err != nil {
		return err
	}
	return account.managedBy(caller)
}

// fillAccount returns an account with what is counted of it; the caller's.
func (s *Store) fillAccount(a *kvstorev1.Account, buckets int) *kvstorev1.Account {
	m := clone(a)
	v, _ := s.data.views.accountState(a.Id)
	m.Usage, m.Buckets = usageMessage(v.usage), uint32(buckets)
	if m.Limits == nil {
		m.Limits = &kvstorev1.AccountLimits{}
	}
	return m
}

// fillBucket returns a bucket with its usage and the settings that count; the caller's.
func (s *Store) fillBucket(ctx context.Context, b *kvstorev1.Bucket) (*kvstorev1.Bucket, error) {
	m := clone(b)
	v, known := s.data.views.bucketState(b.Id)
	m.Usage = usageMessage(v.usage)
	if v.deleting {
		m.State = kvstorev1.State_STATE_DELETING
	}
	if m.Settings == nil {
		m.Settings = &kvstorev1.BucketSettings{}
	}
	settings := versioning.DefaultSettings()
	if known {
		var err error
		if settings, err = v.bucket.Settings(ctx); err != nil {
			return nil, err
		}
	}
	m.Settings.MaxVersions, m.Settings.Rollover = uint32(settings.MaxVersions), kvstorev1.RolloverPolicy(settings.Rollover)
	return m, nil
}

// CreateAccount makes an account. Errors of kverr: ErrAccountExists, ErrInvalidName, ErrQuota, those of sessions; else as
// for Put. The account returned is the caller's, here and below.
func (s *Store) CreateAccount(ctx context.Context, caller Caller, r *kvstorev1.CreateAccountRequest) (*kvstorev1.Account, error) {
	return s.changeAccount(ctx, caller, r.GetSession(), &kvstorev1.Command{CreateAccount: r})
}

// UpdateAccount changes who owns an account, and its limits. Errors: ErrAccountNotFound, ErrNotOwner, ErrDeleting.
func (s *Store) UpdateAccount(ctx context.Context, caller Caller, r *kvstorev1.UpdateAccountRequest) (*kvstorev1.Account, error) {
	return s.changeAccount(ctx, caller, r.GetSession(), &kvstorev1.Command{UpdateAccount: r})
}

// changeAccount proposes a change of an account and tells the data shard.
func (s *Store) changeAccount(ctx context.Context, caller Caller, session *kvstorev1.Session, cmd *kvstorev1.Command) (*kvstorev1.Account, error) {
	if err := s.checkOpen(ctx); err != nil {
		return nil, err
	}
	cmd, err := command(cmd, caller, session)
	if err != nil {
		return nil, err
	}
	r, err := s.propose(ctx, s.catalogLog, cmd)
	if err != nil {
		return nil, err
	}
	now, buckets, err := s.findAccount(r.Account.Name)
	if err != nil || now.account.Id != r.Account.Id {
		return s.fillAccount(r.Account, 0), nil // a repetition of what is gone since
	}
	if err := s.shareAccount(context.WithoutCancel(ctx), now); err != nil {
		return nil, fmt.Errorf("the account was changed, but its limits do not hold yet; send it again: %w", err)
	}
	return s.fillAccount(r.Account, buckets), nil
}

// GetAccount returns an account by name, empty for the default one. Error: ErrAccountNotFound.
func (s *Store) GetAccount(ctx context.Context, _ Caller, r *kvstorev1.GetAccountRequest) (*kvstorev1.Account, error) {
	if err := s.checkOpen(ctx); err != nil {
		return nil, err
	}
	a, buckets, err := s.findAccount(r.GetName())
	if err != nil {
		return nil, err
	}
	return s.fillAccount(a.account, buckets), nil
}

// ListAccounts yields all accounts in the order of their names.
func (s *Store) ListAccounts(ctx context.Context, _ Caller) iter.Seq2[*kvstorev1.Account, error] {
	return func(yield func(*kvstorev1.Account, error) bool) {
		accounts, buckets := s.catalog.accountList()
		for i, a := range accounts {
			if err := s.checkOpen(ctx); err != nil {
				yield(nil, err)
				return
			}
			if !yield(s.fillAccount(a.account, buckets[i]), nil) {
				return
			}
		}
	}
}

// CreateBucket makes a bucket in an account. Errors: ErrBucketExists, ErrAccountNotFound, ErrInvalidName,
// ErrInvalidSettings, ErrNotOwner, ErrQuota, ErrDeleting, those of sessions; else as for Put.
func (s *Store) CreateBucket(ctx context.Context, caller Caller, r *kvstorev1.CreateBucketRequest) (*kvstorev1.Bucket, error) {
	if err := s.checkOpen(ctx); err != nil {
		return nil, err
	}
	minID, err := s.unusedID()
	if err != nil {
		return nil, err
	}
	return s.changeBucket(ctx, caller, r.GetSession(), &kvstorev1.Command{CreateBucket: &kvstorev1.CreateBucket{Request: r, MinId: minID}})
}

// unusedID returns the lowest id that the catalog may give next and under which no program has put data past it.
func (s *Store) unusedID() (uint64, error) {
	c := &s.catalog.published
	c.RLock()
	id := c.nextBucket
	c.RUnlock()
	for ; ; id++ {
		bounds := keys.BucketBounds(keys.BucketID(id))
		it, err := s.data.shard.NewIterator(&engine.IterOptions{Lower: bounds.Lower, Upper: bounds.Upper, KeysOnly: true, BufferRows: 1})
		if err != nil {
			return 0, err
		}
		used := it.First()
		if err := it.Close(); err != nil {
			return 0, err
		}
		if !used {
			if used, err = s.data.shard.Has(keys.AppendBucketSettings(nil, keys.BucketID(id)), nil); err != nil {
				return 0, err
			}
		}
		if !used {
			return id, nil
		}
	}
}

// UpdateBucket changes settings of a bucket: those that are not 0, and the limits that are there. Errors:
// ErrBucketNotFound, ErrAccountNotFound, ErrInvalidSettings, ErrNotOwner, ErrDeleting.
func (s *Store) UpdateBucket(ctx context.Context, caller Caller, r *kvstorev1.UpdateBucketRequest) (*kvstorev1.Bucket, error) {
	if err := s.checkOpen(ctx); err != nil {
		return nil, err
	}
	if b, _, err := s.findBucket(r.GetAccount(), r.GetName(), 0); err == nil {
		// What an earlier change set must have arrived before this one replaces it.
		if err := s.shareBucket(ctx, b); err != nil {
			return nil, err
		}
	}
	return s.changeBucket(ctx, caller, r.GetSession(), &kvstorev1.Command{UpdateBucket: r})
}

// changeBucket proposes a change of a bucket and tells the data shard.
func (s *Store) changeBucket(ctx context.Context, caller Caller, session *kvstorev1.Session, cmd *kvstorev1.Command) (*kvstorev1.Bucket, error) {
	cmd, err := command(cmd, caller, session)
	if err != nil {
		return nil, err
	}
	r, err := s.propose(ctx, s.catalogLog, cmd)
	if err != nil {
		return nil, err
	}
	now, account, err := s.findBucket("", "", r.Bucket.Id)
	if err != nil {
		return s.fillBucket(ctx, r.Bucket) // a repetition of what is gone since
	}
	ctx = context.WithoutCancel(ctx)
	err = s.shareAccount(ctx, account)
	if err == nil {
		err = s.shareBucket(ctx, now)
	}
	if err != nil {
		return nil, fmt.Errorf("the bucket was changed in the catalog, but cannot be used yet; send it again: %w", err)
	}
	return s.fillBucket(ctx, r.Bucket)
}

// GetBucket returns a bucket by its id, or by its name and its account's; empty names are the default ones. Errors:
// ErrBucketNotFound, ErrAccountNotFound.
func (s *Store) GetBucket(ctx context.Context, _ Caller, r *kvstorev1.GetBucketRequest) (*kvstorev1.Bucket, error) {
	if err := s.checkOpen(ctx); err != nil {
		return nil, err
	}
	b, _, err := s.findBucket(r.GetAccount(), r.GetName(), r.GetId())
	if err != nil {
		return nil, err
	}
	return s.fillBucket(ctx, b.bucket)
}

// ListBuckets yields the buckets of an account in the order of their names, or with an empty name those of all accounts.
// Error: ErrAccountNotFound.
func (s *Store) ListBuckets(ctx context.Context, _ Caller, r *kvstorev1.ListBucketsRequest) iter.Seq2[*kvstorev1.Bucket, error] {
	return func(yield func(*kvstorev1.Bucket, error) bool) {
		var account uint64
		if r.GetAccount() != "" {
			a, _, err := s.findAccount(r.GetAccount())
			if err != nil {
				yield(nil, err)
				return
			}
			account = a.account.Id
		}
		for _, b := range s.catalog.bucketList(account) {
			m, err := s.fillBucket(ctx, b.bucket)
			if err == nil {
				err = s.checkOpen(ctx)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(m, nil) {
				return
			}
		}
	}
}
