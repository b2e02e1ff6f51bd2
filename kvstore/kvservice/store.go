package kvservice

import (
	"context"
	"iter"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/kvstore"
)

// Store is what the service needs of *kvstore.Store. Requests and what is in them are the service's and valid until the
// method returns; an iterator's until its loop ends. What is yielded is valid until the next step.
type Store interface {
	// Get calls fn with the answer, whose value is valid until fn returns.
	Get(ctx context.Context, req *kvstorev1.GetRequest, fn func(*kvstorev1.GetResponse) error) error
	Describe(ctx context.Context, req *kvstorev1.DescribeRequest) (*kvstorev1.DescribeResponse, error)
	History(ctx context.Context, req *kvstorev1.HistoryRequest) iter.Seq2[*kvstorev1.GetResponse, error]
	Scan(ctx context.Context, req *kvstorev1.ScanRequest) iter.Seq2[*kvstorev1.Entry, error]
	Count(ctx context.Context, req *kvstorev1.ScanRequest) (uint64, error)

	Put(ctx context.Context, caller kvstore.Caller, req *kvstorev1.PutRequest) (*kvstorev1.WriteResponse, error)
	Delete(ctx context.Context, caller kvstore.Caller, req *kvstorev1.DeleteRequest) (*kvstorev1.WriteResponse, error)
	Purge(ctx context.Context, caller kvstore.Caller, req *kvstorev1.PurgeRequest) (*kvstorev1.WriteResponse, error)
	SetVacuumable(ctx context.Context, caller kvstore.Caller, req *kvstorev1.SetVacuumableRequest) (*kvstorev1.WriteResponse, error)
	Batch(ctx context.Context, caller kvstore.Caller, req *kvstorev1.BatchRequest) (*kvstorev1.BatchResponse, error)
	// Vacuum calls progress now and then, and returns the report of the whole run.
	Vacuum(ctx context.Context, caller kvstore.Caller, req *kvstorev1.VacuumRequest, progress func(*kvstorev1.VacuumResponse)) (*kvstorev1.VacuumResponse, error)

	CreateAccount(ctx context.Context, caller kvstore.Caller, req *kvstorev1.CreateAccountRequest) (*kvstorev1.Account, error)
	GetAccount(ctx context.Context, caller kvstore.Caller, req *kvstorev1.GetAccountRequest) (*kvstorev1.Account, error)
	ListAccounts(ctx context.Context, caller kvstore.Caller) iter.Seq2[*kvstorev1.Account, error]
	UpdateAccount(ctx context.Context, caller kvstore.Caller, req *kvstorev1.UpdateAccountRequest) (*kvstorev1.Account, error)
	DeleteAccount(ctx context.Context, caller kvstore.Caller, req *kvstorev1.DeleteAccountRequest, progress func(*kvstorev1.DeleteProgress)) (*kvstorev1.DeleteProgress, error)

	CreateBucket(ctx context.Context, caller kvstore.Caller, req *kvstorev1.CreateBucketRequest) (*kvstorev1.Bucket, error)
	GetBucket(ctx context.Context, caller kvstore.Caller, req *kvstorev1.GetBucketRequest) (*kvstorev1.Bucket, error)
	ListBuckets(ctx context.Context, caller kvstore.Caller, req *kvstorev1.ListBucketsRequest) iter.Seq2[*kvstorev1.Bucket, error]
	UpdateBucket(ctx context.Context, caller kvstore.Caller, req *kvstorev1.UpdateBucketRequest) (*kvstorev1.Bucket, error)
	DeleteBucket(ctx context.Context, caller kvstore.Caller, req *kvstorev1.DeleteBucketRequest, progress func(*kvstorev1.DeleteProgress)) (*kvstorev1.DeleteProgress, error)

	OpenSession(ctx context.Context, caller kvstore.Caller) (*kvstorev1.OpenSessionResponse, error)
	CloseSession(ctx context.Context, caller kvstore.Caller, id []byte) error
}
