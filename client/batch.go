package client

import (
	"context"
	"fmt"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/kvstore/kvwire"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// Batch collects writes that are done together or not at all, in any buckets of one client. Later ones see what earlier
// ones wrote. Keys and values are copied at the call. A Batch is not safe for concurrent use.
type Batch struct {
	c     *Client
	req   kvstorev1.BatchRequest
	ids   []func(uint64) // give each operation its bucket
	in    []*Bucket
	bytes int
}

// NewBatch returns an empty batch.
func (c *Client) NewBatch() *Batch { return &Batch{c: c} }

// Len returns the number of operations.
func (b *Batch) Len() int { return len(b.req.Operations) }

// Bytes returns how many bytes of keys and values were collected. A node takes some 16 MiB.
func (b *Batch) Bytes() int { return b.bytes }

func (b *Batch) add(in *Bucket, op *kvstorev1.Operation, size int, id func(uint64)) {
	b.req.Operations = append(b.req.Operations, op)
	b.ids, b.in = append(b.ids, id), append(b.in, in)
	b.bytes += size
}

func copied(p []byte) []byte { return append(make([]byte, 0, len(p)), p...) }

// Put adds what Bucket.Put does. Errors, here and in the other methods that add: those of impossible input, after which the
// batch is as it was.
func (b *Batch) Put(in *Bucket, key, value []byte, opts *PutOptions) error {
	req, err := putRequest(copied(key), copied(value), opts)
	if err != nil {
		return err
	}
	b.add(in, &kvstorev1.Operation{Kind: &kvstorev1.Operation_Put{Put: req}}, len(key)+len(value), func(id uint64) { req.BucketId = id })
	return nil
}

// Delete adds what Bucket.Delete does.
func (b *Batch) Delete(in *Bucket, key []byte, opts *WriteOptions) error {
	req, err := deleteRequest(copied(key), opts)
	if err != nil {
		return err
	}
	b.add(in, &kvstorev1.Operation{Kind: &kvstorev1.Operation_Delete{Delete: req}}, len(key), func(id uint64) { req.BucketId = id })
	return nil
}

// Purge adds what Bucket.Purge does.
func (b *Batch) Purge(in *Bucket, key []byte, opts *WriteOptions) error {
	req, err := purgeRequest(copied(key), opts)
	if err != nil {
		return err
	}
	b.add(in, &kvstorev1.Operation{Kind: &kvstorev1.Operation_Purge{Purge: req}}, len(key), func(id uint64) { req.BucketId = id })
	return nil
}

// SetVacuumable adds what Bucket.SetVacuumable does.
func (b *Batch) SetVacuumable(in *Bucket, key []byte, vacuumable bool, opts *WriteOptions) error {
	req, err := markRequest(copied(key), vacuumable, opts)
	if err != nil {
		return err
	}
	b.add(in, &kvstorev1.Operation{Kind: &kvstorev1.Operation_SetVacuumable{SetVacuumable: req}}, len(key), func(id uint64) { req.BucketId = id })
	return nil
}

// Commit writes the batch, durably, and returns a result for each operation in their order. When one is refused, nothing is
// written and the error names it by its number from 0. Errors: as for Bucket.Put, and ErrBatchTooLarge. An empty batch does
// nothing. A batch may be committed again after an error that says it was not written; not by two goroutines at a time.
func (b *Batch) Commit(ctx context.Context) ([]WriteResult, error) {
	if len(b.req.Operations) == 0 {
		return nil, nil
	}
	for i, in := range b.in {
		if in.c != b.c {
			return nil, fmt.Errorf("%w: operation %d is on a bucket of another client", ErrBadRequest, i)
		}
		id, err := in.ID(ctx)
		if err != nil {
			return nil, err
		}
		b.ids[i](uint64(id))
	}
	var resp kvstorev1.BatchResponse
	err := b.c.write(ctx, &request{
		service: wire.ServiceKVStore, typ: kvwire.Batch, method: "batch", msg: &b.req, answer: resp.UnmarshalVTUnsafe,
	}, func(s *kvstorev1.Session) { b.req.Session = s })
	if err != nil {
		return nil, err
	}
	if len(resp.Results) != len(b.req.Operations) {
		return nil, fmt.Errorf("%w: %d results for %d operations", ErrAnswer, len(resp.Results), len(b.req.Operations))
	}
	results := make([]WriteResult, len(resp.Results))
	for i, r := range resp.Results {
		results[i] = writeResultOf(r)
		results[i].Repeated = resp.Repeated
	}
	return results, nil
}
