package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/kvstore/kvwire"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// State of an account or a bucket.
type State uint8

// The states, with the numbers of the wire.
const (
	StateActive State = 1
	// StateDeleting takes no requests any more; the data goes step by step.
	StateDeleting State = 2
)

func (s State) String() string {
	switch s {
	case StateActive:
		return "active"
	case StateDeleting:
		return "deleting"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// Usage is what an account or a bucket holds.
type Usage struct {
	// Keys have a descriptor, deleted ones included until vacuum takes them.
	Keys uint64
	// Versions, and Bytes of their keys and values, before compression.
	Versions, Bytes uint64
}

func usageOf(m *kvstorev1.Usage) Usage {
	return Usage{Keys: m.GetKeys(), Versions: m.GetVersions(), Bytes: m.GetBytes()}
}

// Limits bound what an account may hold; 0: no limit.
type Limits struct {
	MaxBuckets        int
	MaxKeys, MaxBytes uint64
}

func (l *Limits) message() *kvstorev1.AccountLimits {
	if l == nil {
		return nil
	}
	return &kvstorev1.AccountLimits{MaxBuckets: uint32(max(l.MaxBuckets, 0)), MaxKeys: l.MaxKeys, MaxBytes: l.MaxBytes}
}

// Account owns buckets.
type Account struct {
	// ID is never used again.
	ID uint64
	// Name is unique: 1 to 64 letters, digits, '-', '_' and '.', beginning with a letter or digit.
	Name string
	// Owner is the name of the client certificate that may manage it. Empty: anybody of the constellation.
	Owner   string
	Created time.Time
	Limits  Limits
	State   State
	Usage   Usage
	Buckets int
}

func accountOf(m *kvstorev1.Account) Account {
	return Account{
		ID: m.GetId(), Name: m.GetName(), Owner: m.GetOwner(), Created: createdOf(m.GetCreated()),
		Limits: Limits{MaxBuckets: int(m.GetLimits().GetMaxBuckets()), MaxKeys: m.GetLimits().GetMaxKeys(), MaxBytes: m.GetLimits().GetMaxBytes()},
		State:  State(m.GetState()), Usage: usageOf(m.GetUsage()), Buckets: int(m.GetBuckets()),
	}
}

// createdOf is the wall time of a timestamp; the zero time for none.
func createdOf(m *kvstorev1.Timestamp) time.Time {
	if m.GetWallNanos() == 0 {
		return time.Time{}
	}
	return kvwire.TimestampOf(m).Time()
}

// AccountOptions qualify the creation of an account. nil: no owner, no limits.
type AccountOptions struct {
	Owner  string
	Limits Limits
}

// CreateAccount makes an account. Errors: ErrAccountExists, ErrInvalidName.
func (c *Client) CreateAccount(ctx context.Context, name string, opts *AccountOptions) (Account, error) {
	if opts == nil {
		opts = &AccountOptions{}
	}
	req := &kvstorev1.CreateAccountRequest{Name: name, Owner: opts.Owner, Limits: opts.Limits.message()}
	return c.account(ctx, kvwire.CreateAccount, req, func(s *kvstorev1.Session) { req.Session = s })
}

// Account returns what is known of an account. Errors: ErrAccountNotFound.
func (c *Client) Account(ctx context.Context, name string) (Account, error) {
	return c.account(ctx, kvwire.GetAccount, &kvstorev1.GetAccountRequest{Name: name}, nil)
}

// AccountChange says what to change of an account. What is nil stays as it is.
type AccountChange struct {
	Owner  *string
	Limits *Limits
}

// SetAccount changes an account. Errors: ErrAccountNotFound, ErrNotOwner, ErrDeleting.
func (c *Client) SetAccount(ctx context.Context, name string, change AccountChange) (Account, error) {
	req := &kvstorev1.UpdateAccountRequest{Name: name, Owner: change.Owner, Limits: change.Limits.message()}
	return c.account(ctx, kvwire.UpdateAccount, req, func(s *kvstorev1.Session) { req.Session = s })
}

func (c *Client) account(ctx context.Context, t wire.MessageType, msg encoded, set func(*kvstorev1.Session)) (Account, error) {
	var resp kvstorev1.AccountResponse
	r := &request{service: wire.ServiceKVStore, typ: t, method: kvwire.Name(t), msg: msg, keep: true, answer: resp.UnmarshalVTUnsafe}
	if err := c.readOrWrite(ctx, r, set); err != nil {
		return Account{}, err
	}
	return accountOf(resp.Account), nil
}

func (c *Client) readOrWrite(ctx context.Context, r *request, set func(*kvstorev1.Session)) error {
	if set == nil {
		return c.read(ctx, r)
	}
	return c.write(ctx, r, set)
}

// Accounts walks over all accounts in the order of their names.
func (c *Client) Accounts(ctx context.Context) iter.Seq2[Account, error] {
	return list(ctx, c, kvwire.ListAccounts, &kvstorev1.ListAccountsRequest{}, func(msg []byte) ([]Account, error) {
		var resp kvstorev1.ListAccountsResponse
		err := resp.UnmarshalVT(msg)
		out := make([]Account, 0, len(resp.Accounts))
		for _, m := range resp.Accounts {
			out = append(out, accountOf(m))
		}
		return out, err
	}, func(a Account) string { return a.Name })
}

// list walks over a list in the order of its names. When the connection breaks, it begins again behind the last name.
func list[T any](ctx context.Context, c *Client, t wire.MessageType, req encoded, parse func([]byte) ([]T, error), name func(T) string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		last := ""
		err := c.follow(ctx, t, req, func(msg []byte) error {
			items, err := parse(msg)
			if err != nil {
				return fmt.Errorf("%w: %w", ErrAnswer, err)
			}
			for _, it := range items {
				if name(it) <= last {
					continue
				}
				last = name(it)
				if !yield(it, nil) {
					return errStopped
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStopped) {
			var none T
			yield(none, err)
		}
	}
}

// Removal says how far the removal of a bucket or an account is.
type Removal struct {
	Keys, Bytes uint64
	Buckets     int
}

// RemoveOptions qualify a removal. nil means none of it.
type RemoveOptions struct {
	// OnlyEmpty refuses with ErrNotEmpty what still has keys, or buckets.
	OnlyEmpty bool
	// Progress is called now and then, by the goroutine of the call.
	Progress func(Removal)
}

// DeleteAccount removes an account with its buckets and all their data, and returns when all of it is gone. Ending it
// earlier does not stop it: the node goes on, and calling it again follows it. Errors: ErrAccountNotFound, ErrNotEmpty,
// ErrNotOwner, ErrReserved.
func (c *Client) DeleteAccount(ctx context.Context, name string, opts *RemoveOptions) (Removal, error) {
	req := &kvstorev1.DeleteAccountRequest{Name: name, OnlyEmpty: opts != nil && opts.OnlyEmpty}
	return c.remove(ctx, kvwire.DeleteAccount, req, func(s *kvstorev1.Session) { req.Session = s }, ErrAccountNotFound, opts)
}

// remove follows a removal to its end. What is gone when it is asked again was removed by the first asking.
func (c *Client) remove(ctx context.Context, t wire.MessageType, msg encoded, set func(*kvstorev1.Session), gone error, opts *RemoveOptions) (done Removal, err error) {
	method, start := kvwire.Name(t), time.Now()
	attempts := tries{c: c, ctx: ctx}
	sent := false
	err = func() error {
		w := writing{c: c, ctx: ctx}
		defer w.leave()
		for {
			got := false
			err := w.join()
			if err == nil {
				if w.session != nil {
					set(w.session.stamp(w.sequence))
				}
				got, err = c.stream(ctx, t, msg, func(b []byte) error {
					var p kvstorev1.DeleteProgress
					if err := p.UnmarshalVT(b); err != nil {
						return fmt.Errorf("%w: %w", ErrAnswer, err)
					}
					done = Removal{Keys: p.KeysRemoved, Bytes: p.BytesRemoved, Buckets: int(p.BucketsRemoved)}
					if opts != nil && opts.Progress != nil {
						opts.Progress(done)
					}
					return nil
				})
			}
			switch {
			case err == nil, sent && errors.Is(err, gone):
				return nil
			case errors.Is(err, kverr.ErrSessionExpired) && w.session != nil:
				c.expire(w.session)
				w.leave() // asking again only follows what was begun
			case fateOf(err) == answered:
				return err
			}
			sent = sent || got || fateOf(err) == lost
			if got {
				attempts.progress()
			}
			if err := attempts.wait(err); err != nil {
				return err
			}
		}
	}()
	c.done(method, start, attempts.n+1, err)
	return done, named(method, err)
}
