package kvservice

import (
	"context"
	"fmt"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/kvstore"
	"github.com/shieldmaidens/pleiades/kvstore/kvwire"
	"github.com/shieldmaidens/pleiades/net/pwp"
)

// accounts serves the requests about accounts.
func (s *service) accounts(r *pwp.Request, caller kvstore.Caller) error {
	switch r.Type() {
	case kvwire.CreateAccount:
		return answer(r, caller, &kvstorev1.CreateAccountRequest{}, wrapped(s.store.CreateAccount, accountResponse))
	case kvwire.GetAccount:
		return answer(r, caller, &kvstorev1.GetAccountRequest{}, wrapped(s.store.GetAccount, accountResponse))
	case kvwire.UpdateAccount:
		return answer(r, caller, &kvstorev1.UpdateAccountRequest{}, wrapped(s.store.UpdateAccount, accountResponse))
	case kvwire.ListAccounts:
		if err := decode(r, &kvstorev1.ListAccountsRequest{}); err != nil {
			return err
		}
		return sendAll(r, s.store.ListAccounts(r.Context(), caller))
	case kvwire.DeleteAccount:
		return remove(r, caller, &kvstorev1.DeleteAccountRequest{}, s.store.DeleteAccount)
	}
	return fmt.Errorf("%w: %s", kverr.ErrBadRequest, kvwire.Name(r.Type()))
}

// buckets serves the requests about buckets.
func (s *service) buckets(r *pwp.Request, caller kvstore.Caller) error {
	switch r.Type() {
	case kvwire.CreateBucket:
		return answer(r, caller, &kvstorev1.CreateBucketRequest{}, wrapped(s.store.CreateBucket, bucketResponse))
	case kvwire.GetBucket:
		return answer(r, caller, &kvstorev1.GetBucketRequest{}, wrapped(s.store.GetBucket, bucketResponse))
	case kvwire.UpdateBucket:
		return answer(r, caller, &kvstorev1.UpdateBucketRequest{}, wrapped(s.store.UpdateBucket, bucketResponse))
	case kvwire.ListBuckets:
		var req kvstorev1.ListBucketsRequest
		if err := decode(r, &req); err != nil {
			return err
		}
		return sendAll(r, s.store.ListBuckets(r.Context(), caller, &req))
	case kvwire.DeleteBucket:
		return remove(r, caller, &kvstorev1.DeleteBucketRequest{}, s.store.DeleteBucket)
	}
	return fmt.Errorf("%w: %s", kverr.ErrBadRequest, kvwire.Name(r.Type()))
}

func accountResponse(a *kvstorev1.Account) *kvstorev1.AccountResponse {
	return &kvstorev1.AccountResponse{Account: a}
}

func bucketResponse(b *kvstorev1.Bucket) *kvstorev1.BucketResponse {
	return &kvstorev1.BucketResponse{Bucket: b}
}

// wrapped puts what a method of the store returns into its response.
func wrapped[Q, T, A any](do func(context.Context, kvstore.Caller, Q) (T, error), wrap func(T) A) func(context.Context, kvstore.Caller, Q) (A, error) {
	return func(ctx context.Context, caller kvstore.Caller, req Q) (A, error) {
		made, err := do(ctx, caller, req)
		if err != nil {
			var none A
			return none, err
		}
		return wrap(made), nil
	}
}

// remove serves a removal, which says how far it is. When the client goes away the store goes on with it.
func remove[Q decoded](r *pwp.Request, caller kvstore.Caller, req Q,
	do func(context.Context, kvstore.Caller, Q, func(*kvstorev1.DeleteProgress)) (*kvstorev1.DeleteProgress, error),
) error {
	if err := decode(r, req); err != nil {
		return err
	}
	last, err := do(r.Context(), caller, req, func(p *kvstorev1.DeleteProgress) {
		_ = send(r, p) // the end of r's context tells the store
	})
	if err != nil {
		return err
	}
	last.Done = true
	return send(r, last)
}
