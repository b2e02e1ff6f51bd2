package client

import (
	"context"
	"errors"
	"fmt"
	"iter"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/kvstore/kvwire"
)

func quote(b []byte) string { return base.Quote(b) }

// HistoryOptions qualify a history. nil means all versions, newest first, without data.
type HistoryOptions struct {
	// From and To bound the version numbers, both inclusive. 0 means no bound.
	From, To int
	// OldestFirst reverses the order.
	OldestFirst bool
	// Limit ends it after that many versions; 0 means no limit.
	Limit int
	// Values reads the data too.
	Values bool
}

// History walks over the versions of a key as they are stored: tombstones and expired ones too. All are of one instant as
// long as the connection holds; when it breaks, the history goes on with the next version by its timestamp. An error ends
// it: ErrNotFound when there is no such key, ErrInvalidVersion.
func (b *Bucket) History(ctx context.Context, key []byte, opts *HistoryOptions) iter.Seq2[Value, error] {
	var o HistoryOptions
	if opts != nil {
		o = *opts
	}
	return func(yield func(Value, error) bool) {
		err := b.history(ctx, key, &o, yield)
		if err != nil && !errors.Is(err, errStopped) {
			yield(Value{}, err)
		}
	}
}

func (b *Bucket) history(ctx context.Context, key []byte, o *HistoryOptions, yield func(Value, error) bool) error {
	req := &kvstorev1.HistoryRequest{Key: key, OldestFirst: o.OldestFirst, Values: o.Values}
	var err error
	if req.From, err = version(o.From); err != nil {
		return named("history", err)
	}
	if req.To, err = version(o.To); err != nil {
		return named("history", err)
	}
	if o.Limit < 0 {
		return named("history", fmt.Errorf("%w: a limit of %d", ErrBadRequest, o.Limit))
	}
	req.Limit = uint32(min(o.Limit, MaxVersions))
	seen := 0
	var last hlc.Timestamp // of the version that was yielded last; numbers may go down meanwhile
	return b.with(ctx, func(id uint64) error {
		req.BucketId = id
		return b.c.follow(ctx, kvwire.History, req, func(msg []byte) error {
			var resp kvstorev1.HistoryResponse
			if err := resp.UnmarshalVT(msg); err != nil {
				return fmt.Errorf("%w: %w", ErrAnswer, err)
			}
			for _, m := range resp.Versions {
				v := valueOf(m)
				if seen > 0 && (o.OldestFirst && !last.Less(v.Timestamp) || !o.OldestFirst && !v.Timestamp.Less(last)) {
					continue // had before the connection broke
				}
				seen, last = seen+1, v.Timestamp
				// Sent again, it must not end before what is new, and need not begin at the beginning: the numbers of older
				// versions only go down. Those of newer ones do too, so that from the oldest on nothing can be left out.
				req.Limit = 0
				if !o.OldestFirst {
					req.To = m.Version
				}
				if !yield(v, nil) || seen == o.Limit {
					return errStopped
				}
			}
			return nil
		})
	})
}
