package kvstore

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/kverr"
)

// The account and the bucket that always are; part of the format.
const (
	// DefaultAccountID and DefaultName name the default account, and DefaultName the default bucket, whose id is
	// keys.DefaultBucket.
	DefaultAccountID = 1
	DefaultName      = "default"

	// firstID is the first id that the catalog gives. Ids below are for programs that use the shard directly.
	firstID = 1001
)

// catalogAccount is one account. It is replaced, never changed, so that who got it may keep it.
type catalogAccount struct {
	generation uint64
	account    *kvstorev1.Account
}

// catalogBucket is one bucket, likewise.
type catalogBucket struct {
	generation uint64
	bucket     *kvstorev1.Bucket
}

type bucketName struct {
	account uint64
	name    string
}

// catalogState is all accounts and buckets.
type catalogState struct {
	accounts     map[uint64]*catalogAccount
	buckets      map[uint64]*catalogBucket
	accountNames map[string]uint64
	bucketNames  map[bucketName]uint64
	// counts is how many buckets each account has.
	counts map[uint64]int
}

func newCatalogState() catalogState {
	return catalogState{
		accounts: map[uint64]*catalogAccount{}, buckets: map[uint64]*catalogBucket{},
		accountNames: map[string]uint64{}, bucketNames: map[bucketName]uint64{}, counts: map[uint64]int{},
	}
}

// setAccount adds or replaces an account; nil removes it.
func (s *catalogState) setAccount(id uint64, a *catalogAccount) {
	if old := s.accounts[id]; old != nil {
		delete(s.accountNames, old.account.Name)
	}
	if a == nil {
		delete(s.accounts, id)
		delete(s.counts, id)
		return
	}
	s.accounts[id], s.accountNames[a.account.Name] = a, id
}

// setBucket adds or replaces a bucket; nil removes it.
func (s *catalogState) setBucket(id uint64, b *catalogBucket) {
	if old := s.buckets[id]; old != nil {
		delete(s.bucketNames, bucketName{old.bucket.AccountId, old.bucket.Name})
		s.counts[old.bucket.AccountId]--
		delete(s.buckets, id)
	}
	if b == nil {
		return
	}
	s.buckets[id], s.bucketNames[bucketName{b.bucket.AccountId, b.bucket.Name}] = b, id
	s.counts[b.bucket.AccountId]++
}

// account returns the account of that name, empty for the default one. Error: ErrAccountNotFound.
func (s *catalogState) account(name string) (*catalogAccount, error) {
	if name == "" {
		name = DefaultName
	}
	if a := s.accounts[s.accountNames[name]]; a != nil {
		return a, nil
	}
	return nil, fmt.Errorf("%w: %q", kverr.ErrAccountNotFound, name)
}

// bucket returns the bucket of that name, empty for the default one. Errors: ErrAccountNotFound, ErrBucketNotFound.
func (s *catalogState) bucket(account, name string) (*catalogBucket, *catalogAccount, error) {
	a, err := s.account(account)
	if err != nil {
		return nil, nil, err
	}
	if name == "" {
		name = DefaultName
	}
	if b := s.buckets[s.bucketNames[bucketName{a.account.Id, name}]]; b != nil {
		return b, a, nil
	}
	return nil, nil, fmt.Errorf("%w: %q in account %q", kverr.ErrBucketNotFound, name, a.account.Name)
}

// catalogBody is the machine of the catalog shard.
type catalogBody struct {
	encoder encoder
	shard   *engine.Shard
	limits  *Options

	state       catalogState
	nextAccount uint64
	nextBucket  uint64

	batch *engine.Batch
	// accounts and buckets are the ids that the batch changes.
	accounts, buckets []uint64
	idsDirty          bool

	published struct {
		sync.RWMutex
		catalogState
		nextBucket uint64
	}
}

var _ body = (*catalogBody)(nil)

func newCatalogBody(shard *engine.Shard, limits *Options) *catalogBody {
	c := &catalogBody{shard: shard, limits: limits}
	c.published.catalogState = newCatalogState()
	return c
}

func (c *catalogBody) first(*kvstorev1.Command) bool { return false }

func (c *catalogBody) begin(batch *engine.Batch, _ []*kvstorev1.Command) error {
	c.reset()
	c.batch = batch
	return nil
}

func (c *catalogBody) reset() {
	c.accounts, c.buckets, c.idsDirty = c.accounts[:0], c.buckets[:0], false
}

func (c *catalogBody) apply(_ int, cmd *kvstorev1.Command, ts hlc.Timestamp) (Result, hlc.Timestamp, error) {
	caller := callerOf(cmd.Caller)
	var r Result
	var err error
	switch {
	case cmd.Bootstrap != nil:
		c.bootstrap(ts)
	case cmd.CreateAccount != nil:
		r.Account, err = c.createAccount(cmd.CreateAccount, ts)
	case cmd.UpdateAccount != nil:
		r.Account, err = c.updateAccount(caller, cmd.UpdateAccount)
	case cmd.DeleteAccount != nil:
		r.Account, err = c.deleteAccount(caller, cmd.DeleteAccount)
	case cmd.CreateBucket != nil:
		r.Bucket, err = c.createBucket(caller, cmd.CreateBucket, ts)
	case cmd.UpdateBucket != nil:
		r.Bucket, err = c.updateBucket(caller, cmd.UpdateBucket)
	case cmd.DeleteBucket != nil:
		r.Bucket, err = c.deleteBucket(caller, cmd.DeleteBucket)
	case cmd.Forget != nil:
		err = c.forget(cmd.Forget)
	default:
		err = fmt.Errorf("%w: no command that the catalog knows", kverr.ErrBadRequest)
	}
	if err != nil {
		refused, ok := refusal(err)
		if !ok {
			return Result{}, ts, err
		}
		return Result{Err: refused}, ts, nil
	}
	return r, ts, nil
}

// flush writes what changed.
func (c *catalogBody) flush() error {
	for _, id := range c.accounts {
		key := appendIDKey(nil, metaCatalog, kindAccount, id)
		a := c.state.accounts[id]
		if a == nil {
			if err := c.batch.Delete(c.shard, key); err != nil {
				return err
			}
			continue
		}
		err := c.encoder.put(c.batch, c.shard, key, &kvstorev1.StoredAccount{Format: recordFormat, Generation: a.generation, Account: a.account})
		if err != nil {
			return err
		}
	}
	for _, id := range c.buckets {
		key := appendIDKey(nil, metaCatalog, kindBucket, id)
		b := c.state.buckets[id]
		if b == nil {
			if err := c.batch.Delete(c.shard, key); err != nil {
				return err
			}
			continue
		}
		err := c.encoder.put(c.batch, c.shard, key, &kvstorev1.StoredBucket{Format: recordFormat, Generation: b.generation, Bucket: b.bucket})
		if err != nil {
			return err
		}
	}
	if !c.idsDirty {
		return nil
	}
	return c.encoder.put(c.batch, c.shard, metaKey(metaIDs), &kvstorev1.StoredCatalog{
		Format: recordFormat, NextAccountId: c.nextAccount, NextBucketId: c.nextBucket,
	})
}

func (c *catalogBody) committed() {
	p := &c.published
	p.Lock()
	defer p.Unlock()
	for _, id := range c.accounts {
		p.setAccount(id, c.state.accounts[id])
	}
	for _, id := range c.buckets {
		p.setBucket(id, c.state.buckets[id])
	}
	p.nextBucket = c.nextBucket
}

func (c *catalogBody) discard() { c.reset() }

// load reads the whole catalog.
func (c *catalogBody) load() error {
	c.state = newCatalogState()
	c.nextAccount, c.nextBucket = firstID, firstID
	err := walk(c.shard, metaKey(metaCatalog), func(key, value []byte) error {
		kind, id, err := recordID(key)
		if err != nil {
			return err
		}
		if kind == kindAccount {
			var pb kvstorev1.StoredAccount
			if err := parse(key, value, &pb); err != nil {
				return err
			}
			if pb.Account.GetId() != id {
				return fmt.Errorf("%w: %s is of account %d", ErrRecord, keys.Pretty(key), pb.Account.GetId())
			}
			c.state.setAccount(id, &catalogAccount{generation: pb.Generation, account: pb.Account})
			return nil
		}
		var pb kvstorev1.StoredBucket
		if err := parse(key, value, &pb); err != nil {
			return err
		}
		if pb.Bucket.GetId() != id || c.state.accounts[pb.Bucket.GetAccountId()] == nil {
			return fmt.Errorf("%w: %s is of bucket %d in account %d", ErrRecord, keys.Pretty(key), pb.Bucket.GetId(), pb.Bucket.GetAccountId())
		}
		c.state.setBucket(id, &catalogBucket{generation: pb.Generation, bucket: pb.Bucket})
		return nil
	})
	if err != nil {
		return err
	}
	err = walk(c.shard, metaKey(metaIDs), func(key, value []byte) error {
		var pb kvstorev1.StoredCatalog
		if err := parse(key, value, &pb); err != nil {
			return err
		}
		c.nextAccount, c.nextBucket = max(c.nextAccount, pb.NextAccountId), max(c.nextBucket, pb.NextBucketId)
		return nil
	})
	if err != nil {
		return err
	}
	p := &c.published
	p.Lock()
	defer p.Unlock()
	p.catalogState = newCatalogState()
	for id, a := range c.state.accounts {
		p.setAccount(id, a)
	}
	for id, b := range c.state.buckets {
		p.setBucket(id, b)
	}
	p.nextBucket = c.nextBucket
	return nil
}

// accountList returns all accounts in the order of their names, and how many buckets each has.
func (c *catalogBody) accountList() ([]*catalogAccount, []int) {
	p := &c.published
	p.RLock()
	defer p.RUnlock()
	all := make([]*catalogAccount, 0, len(p.accounts))
	for _, a := range p.accounts {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b *catalogAccount) int { return cmp.Compare(a.account.Name, b.account.Name) })
	counts := make([]int, len(all))
	for i, a := range all {
		counts[i] = p.counts[a.account.Id]
	}
	return all, counts
}

// bucketList returns the buckets of an account, or with id 0 of all, in the order of the accounts' names and theirs.
func (c *catalogBody) bucketList(account uint64) []*catalogBucket {
	p := &c.published
	p.RLock()
	defer p.RUnlock()
	var all []*catalogBucket
	for _, b := range p.buckets {
		if account == 0 || b.bucket.AccountId == account {
			all = append(all, b)
		}
	}
	slices.SortFunc(all, func(a, b *catalogBucket) int {
		return cmp.Or(cmp.Compare(a.bucket.Account, b.bucket.Account), cmp.Compare(a.bucket.Name, b.bucket.Name))
	})
	return all
}
