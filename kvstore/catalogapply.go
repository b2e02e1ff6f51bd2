package kvstore

import (
	"fmt"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/versioning"
)

// maxNameBytes bounds the names of accounts and buckets.
const maxNameBytes = 64

// checkName returns ErrInvalidName unless name is 1 to 64 letters, digits, '-', '_' and '.', beginning with a letter or
// digit.
func checkName(name string) error {
	ok := len(name) > 0 && len(name) <= maxNameBytes
	for i := 0; ok && i < len(name); i++ {
		ch := name[i]
		alphanumeric := ch >= 'a' && ch <= 'z' || ch >= 'A' && ch <= 'Z' || ch >= '0' && ch <= '9'
		ok = alphanumeric || i > 0 && (ch == '-' || ch == '_' || ch == '.')
	}
	if !ok {
		return fmt.Errorf("%w: %s", kverr.ErrInvalidName, base.Quote([]byte(name)))
	}
	return nil
}

// checkSettings returns ErrInvalidSettings for what no bucket can have.
func checkSettings(s *kvstorev1.BucketSettings) error {
	if s.GetMaxVersions() > versioning.MaxVersions {
		return fmt.Errorf("%w: max_versions %d is not in 1..%d", kverr.ErrInvalidSettings, s.GetMaxVersions(), versioning.MaxVersions)
	}
	if r := s.GetRollover(); r < 0 || r > kvstorev1.RolloverPolicy_ROLLOVER_POLICY_REFUSE {
		return fmt.Errorf("%w: rollover %d", kverr.ErrInvalidSettings, r)
	}
	return nil
}

// bootstrap makes the default account and bucket unless they are there.
func (c *catalogBody) bootstrap(ts hlc.Timestamp) {
	if c.state.accounts[DefaultAccountID] == nil {
		c.setAccount(DefaultAccountID, &catalogAccount{generation: 1, account: &kvstorev1.Account{
			Id: DefaultAccountID, Name: DefaultName, Created: stamp(ts), State: kvstorev1.State_STATE_ACTIVE,
		}})
	}
	if id := uint64(keys.DefaultBucket); c.state.buckets[id] == nil {
		c.setBucket(id, &catalogBucket{generation: 1, bucket: &kvstorev1.Bucket{
			Id: id, Name: DefaultName, AccountId: DefaultAccountID, Account: DefaultName, Created: stamp(ts),
			Settings: &kvstorev1.BucketSettings{}, State: kvstorev1.State_STATE_ACTIVE,
		}})
	}
}

func (c *catalogBody) setAccount(id uint64, a *catalogAccount) {
	c.state.setAccount(id, a)
	c.accounts = append(c.accounts, id)
}

func (c *catalogBody) setBucket(id uint64, b *catalogBucket) {
	c.state.setBucket(id, b)
	c.buckets = append(c.buckets, id)
}

func (c *catalogBody) createAccount(r *kvstorev1.CreateAccountRequest, ts hlc.Timestamp) (*kvstorev1.Account, error) {
	if err := checkName(r.GetName()); err != nil {
		return nil, err
	}
	if len(r.GetOwner()) > maxCallerName {
		return nil, fmt.Errorf("%w: an owner's name of %d bytes", kverr.ErrInvalidName, len(r.GetOwner()))
	}
	if old, err := c.state.account(r.GetName()); err == nil {
		return nil, fmt.Errorf("%w: %q%s", kverr.ErrAccountExists, r.GetName(), goingText(old.account.State))
	}
	if len(c.state.accounts) >= c.limits.MaxAccounts {
		return nil, fmt.Errorf("%w: %d accounts", kverr.ErrQuota, len(c.state.accounts))
	}
	id := c.nextAccount
	c.nextAccount++
	c.idsDirty = true
	a := &kvstorev1.Account{
		Id: id, Name: r.GetName(), Owner: r.GetOwner(), Created: stamp(ts), State: kvstorev1.State_STATE_ACTIVE,
		Limits: clone(r.GetLimits()),
	}
	cloneStrings(&a.Name, &a.Owner)
	c.setAccount(id, &catalogAccount{generation: 1, account: a})
	return a, nil
}

// goingText says of something that is being removed that it is.
func goingText(s kvstorev1.State) string {
	if s == kvstorev1.State_STATE_DELETING {
		return ", still being removed"
	}
	return ""
}

// managed returns an account that the caller may change and that is not being removed.
func (c *catalogBody) managed(caller Caller, name string) (*catalogAccount, error) {
	a, err := c.state.account(name)
	if err != nil {
		return nil, err
	}
	return a, a.managedBy(caller)
}

// managedBy returns ErrNotOwner unless the caller may change the account.
func (a *catalogAccount) managedBy(caller Caller) error {
	if caller.manages(a.account.Owner) {
		return nil
	}
	return fmt.Errorf("%w: account %q is not of %v", kverr.ErrNotOwner, a.account.Name, caller)
}

func (c *catalogBody) updateAccount(caller Caller, r *kvstorev1.UpdateAccountRequest) (*kvstorev1.Account, error) {
	old, err := c.managed(caller, r.GetName())
	if err != nil {
		return nil, err
	}
	if old.account.State == kvstorev1.State_STATE_DELETING {
		return nil, fmt.Errorf("%w: account %q", kverr.ErrDeleting, old.account.Name)
	}
	if len(r.GetOwner()) > maxCallerName {
		return nil, fmt.Errorf("%w: an owner's name of %d bytes", kverr.ErrInvalidName, len(r.GetOwner()))
	}
	a := clone(old.account)
	if r.Owner != nil {
		a.Owner = *r.Owner
		cloneStrings(&a.Owner)
	}
	if r.Limits != nil {
		a.Limits = clone(r.Limits)
	}
	c.setAccount(a.Id, &catalogAccount{generation: old.generation + 1, account: a})
	return a, nil
}

func (c *catalogBody) deleteAccount(caller Caller, r *kvstorev1.DeleteAccountRequest) (*kvstorev1.Account, error) {
	old, err := c.managed(caller, r.GetName())
	switch {
	case err != nil:
		return nil, err
	case old.account.Id == DefaultAccountID:
		return nil, fmt.Errorf("%w: account %q", kverr.ErrReserved, old.account.Name)
	case old.account.State == kvstorev1.State_STATE_DELETING:
		return old.account, nil
	case r.GetOnlyEmpty() && c.state.counts[old.account.Id] > 0:
		return nil, fmt.Errorf("%w: account %q has %d buckets", kverr.ErrNotEmpty, old.account.Name, c.state.counts[old.account.Id])
	}
	a := clone(old.account)
	a.State = kvstorev1.State_STATE_DELETING
	c.setAccount(a.Id, &catalogAccount{generation: old.generation + 1, account: a})
	return a, nil
}

func (c *catalogBody) createBucket(caller Caller, cmd *kvstorev1.CreateBucket, ts hlc.Timestamp) (*kvstorev1.Bucket, error) {
	r := cmd.GetRequest()
	account, err := c.managed(caller, r.GetAccount())
	if err != nil {
		return nil, err
	}
	a := account.account
	if err := checkName(r.GetName()); err != nil {
		return nil, err
	}
	if err := checkSettings(r.GetSettings()); err != nil {
		return nil, err
	}
	old := c.state.buckets[c.state.bucketNames[bucketName{a.Id, r.GetName()}]]
	most := a.GetLimits().GetMaxBuckets()
	switch {
	case a.State == kvstorev1.State_STATE_DELETING:
		return nil, fmt.Errorf("%w: account %q", kverr.ErrDeleting, a.Name)
	case old != nil:
		return nil, fmt.Errorf("%w: %q in account %q%s", kverr.ErrBucketExists, r.GetName(), a.Name, goingText(old.bucket.State))
	case most > 0 && c.state.counts[a.Id] >= int(most):
		return nil, fmt.Errorf("%w: account %q has %d buckets, its limit is %d", kverr.ErrQuota, a.Name, c.state.counts[a.Id], most)
	case len(c.state.buckets) >= c.limits.MaxBuckets:
		return nil, fmt.Errorf("%w: %d buckets in all", kverr.ErrQuota, len(c.state.buckets))
	}
	id := max(c.nextBucket, cmd.GetMinId())
	c.nextBucket, c.idsDirty = id+1, true
	b := &kvstorev1.Bucket{
		Id: id, Name: r.GetName(), AccountId: a.Id, Account: a.Name, Created: stamp(ts),
		Settings: clone(r.GetSettings()), State: kvstorev1.State_STATE_ACTIVE,
	}
	if b.Settings == nil {
		b.Settings = &kvstorev1.BucketSettings{}
	}
	cloneStrings(&b.Name)
	c.setBucket(id, &catalogBucket{generation: 1, bucket: b})
	return b, nil
}

func (c *catalogBody) updateBucket(caller Caller, r *kvstorev1.UpdateBucketRequest) (*kvstorev1.Bucket, error) {
	old, account, err := c.state.bucket(r.GetAccount(), r.GetName())
	if err != nil {
		return nil, err
	}
	if err := account.managedBy(caller); err != nil {
		return nil, err
	}
	if err := checkSettings(r.GetSettings()); err != nil {
		return nil, err
	}
	if old.bucket.State == kvstorev1.State_STATE_DELETING || account.account.State == kvstorev1.State_STATE_DELETING {
		return nil, fmt.Errorf("%w: bucket %q", kverr.ErrDeleting, old.bucket.Name)
	}
	b, want := clone(old.bucket), r.GetSettings()
	if b.Settings == nil {
		b.Settings = &kvstorev1.BucketSettings{}
	}
	// What the store itself keeps of a bucket is named once and not repeated by a later change of something else: it may
	// have been set by other means since.
	b.Settings.MaxVersions, b.Settings.Rollover = want.GetMaxVersions(), want.GetRollover()
	if want != nil && want.MaxKeys != nil {
		b.Settings.MaxKeys = clonePtr(want.MaxKeys)
	}
	if want != nil && want.MaxBytes != nil {
		b.Settings.MaxBytes = clonePtr(want.MaxBytes)
	}
	c.setBucket(b.Id, &catalogBucket{generation: old.generation + 1, bucket: b})
	return b, nil
}

func (c *catalogBody) deleteBucket(caller Caller, r *kvstorev1.DeleteBucketRequest) (*kvstorev1.Bucket, error) {
	old, account, err := c.state.bucket(r.GetAccount(), r.GetName())
	if err != nil {
		return nil, err
	}
	if err := account.managedBy(caller); err != nil {
		return nil, err
	}
	if old.bucket.Id == uint64(keys.DefaultBucket) {
		return nil, fmt.Errorf("%w: bucket %q", kverr.ErrReserved, old.bucket.Name)
	}
	if old.bucket.State == kvstorev1.State_STATE_DELETING {
		return old.bucket, nil
	}
	b := clone(old.bucket)
	b.State = kvstorev1.State_STATE_DELETING
	c.setBucket(b.Id, &catalogBucket{generation: old.generation + 1, bucket: b})
	return b, nil
}

// forget removes what has no data any more.
func (c *catalogBody) forget(f *kvstorev1.Forget) error {
	if id := f.GetBucketId(); c.state.buckets[id] != nil {
		if c.state.buckets[id].bucket.State != kvstorev1.State_STATE_DELETING {
			return fmt.Errorf("%w: bucket %d is not being removed", kverr.ErrBadRequest, id)
		}
		c.setBucket(id, nil)
	}
	if id := f.GetAccountId(); c.state.accounts[id] != nil {
		switch {
		case c.state.accounts[id].account.State != kvstorev1.State_STATE_DELETING:
			return fmt.Errorf("%w: account %d is not being removed", kverr.ErrBadRequest, id)
		case c.state.counts[id] > 0:
			return fmt.Errorf("%w: account %d has %d buckets", kverr.ErrNotEmpty, id, c.state.counts[id])
		}
		c.setAccount(id, nil)
	}
	return nil
}
