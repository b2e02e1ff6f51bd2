package kvservice

import (
	"context"
	"fmt"

	"golang.org/x/sync/semaphore"
	"google.golang.org/protobuf/encoding/protowire"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/kvstore"
	"github.com/shieldmaidens/pleiades/net/pwp"
)

const (
	// operationBytes is about what one operation of a batch takes besides its key and value: decoded, on its way through the
	// store, and its answer. On the wire it may be two bytes.
	operationBytes = 1 << 10
	// smallBatch is how many operations a batch may have without waiting for its turn.
	smallBatch = 64
	// batchesBytes is what the operations of all larger batches that run may take; one that takes more runs alone.
	batchesBytes = 24 << 20
	// mostOperations is above any limit of a store.
	mostOperations = 100_000
	// operationsField is BatchRequest.operations.
	operationsField = 3
)

// batches lets batches wait for their turn before they are decoded, because they grow a lot.
type batches struct{ turn *semaphore.Weighted }

func newBatches() batches { return batches{semaphore.NewWeighted(batchesBytes)} }

// operations returns how many operations an encoded batch has. What is malformed is left to the decoder.
func operations(b []byte) (n int) {
	for len(b) > 0 {
		field, typ, size := protowire.ConsumeTag(b)
		if size < 0 {
			return n
		}
		b = b[size:]
		if size = protowire.ConsumeFieldValue(field, typ, b); size < 0 {
			return n
		}
		b = b[size:]
		if field == operationsField {
			n++
		}
	}
	return n
}

// batch serves a batch.
func (s *service) batch(r *pwp.Request, caller kvstore.Caller) error {
	n := operations(r.Message())
	if n > mostOperations {
		return fmt.Errorf("%w: %d operations", kverr.ErrBatchTooLarge, n)
	}
	if n > smallBatch {
		weight := min(int64(n)*operationBytes, batchesBytes)
		if err := s.batches.turn.Acquire(r.Context(), weight); err != nil {
			return context.Cause(r.Context()) // nothing was done
		}
		defer s.batches.turn.Release(weight)
	}
	return answer(r, caller, &kvstorev1.BatchRequest{}, s.store.Batch)
}
