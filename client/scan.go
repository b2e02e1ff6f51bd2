package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/kvstore/kvwire"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// ScanOptions qualify a scan. nil means all keys of the bucket, without values.
type ScanOptions struct {
	// Start and End bound the keys to [Start, End), in both directions. An empty Start is the beginning of the bucket, an
	// empty End its end. Prefix bounds them further.
	Start, End, Prefix []byte
	// Reverse walks from the highest key down.
	Reverse bool
	// Limit ends the scan after that many keys; 0 means no limit.
	Limit int
	// Values reads the values. Without them Entry.Descriptor is filled in; with them only if Descriptors is set.
	Values      bool
	Descriptors bool
	// Deleted returns keys too whose latest version is a tombstone or expired.
	Deleted bool
	// At returns what the keys held at that time. The zero timestamp is the present.
	At hlc.Timestamp
	// Resume goes on behind the entry whose Token it is. Bucket, Reverse and At must be those of that scan.
	Resume []byte
}

// Entry is one key of a scan.
type Entry struct {
	Key []byte
	// Value is the latest version, or the one of ScanOptions.At. Without values, Data is nil and Checksum 0.
	Value Value
	// Descriptor describes the key as it is now; zero when it was not asked for.
	Descriptor Descriptor

	scan *scan
}

// Token returns what ScanOptions.Resume takes to go on behind this entry: in any process, also much later.
func (e Entry) Token() []byte {
	return kvwire.AppendToken(nil, keys.BucketID(e.scan.req.BucketId), e.scan.req.Reverse, kvwire.TimestampOf(e.scan.req.At), e.Key)
}

func (s *scan) entryOf(m *kvstorev1.Entry) Entry {
	d := descriptorOf(m.Descriptor_)
	return Entry{
		Key: m.Key, Descriptor: d, scan: s,
		Value: Value{
			Data: m.Value, Size: int(m.Size), Version: int(m.Version), Revision: d.Revision, Timestamp: kvwire.TimestampOf(m.Timestamp),
			ExpireAt: kvwire.TimeOf(m.ExpiresWallNanos), Tombstone: m.Tombstone, Checksum: m.Checksum,
		},
	}
}

// Scan walks over the keys of the bucket in the order of their bytes. Keys and values are the caller's. All entries are of
// one instant as long as the connection holds; when it breaks, the scan goes on behind the last key on another one, and
// what follows is of a later instant (with At it is the same). Nothing comes twice.
//
// An error comes with the last step and ends the scan, with one exception: ErrHistoryTruncated comes with the key whose
// history does not reach back to At, and the scan goes on.
//
// A loop that takes its time stops the node's scan, at about 1 MiB ahead of it, and a node gives up on it after half a
// minute without a step; the scan then goes on as after a broken connection.
func (b *Bucket) Scan(ctx context.Context, opts *ScanOptions) iter.Seq2[Entry, error] {
	var o ScanOptions
	if opts != nil {
		o = *opts
	}
	return func(yield func(Entry, error) bool) {
		s := &scan{req: kvstorev1.ScanRequest{
			Start: o.Start, End: o.End, Prefix: o.Prefix, Reverse: o.Reverse, Limit: uint64(max(o.Limit, 0)), Values: o.Values,
			Descriptors: o.Descriptors, Deleted: o.Deleted, At: kvwire.Timestamp(o.At), ResumeToken: o.Resume,
		}}
		var err error
		if o.Limit < 0 {
			err = fmt.Errorf("%w: a limit of %d", ErrBadRequest, o.Limit)
		} else {
			err = b.with(ctx, func(id uint64) error {
				s.req.BucketId = id
				return b.c.follow(ctx, kvwire.Scan, &s.req, func(msg []byte) error { return s.take(msg, yield) })
			})
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(Entry{}, err)
		}
	}
}

// scan is a scan under way. Its request always says how to go on behind what was received.
type scan struct{ req kvstorev1.ScanRequest }

// take yields the entries of one message.
func (s *scan) take(msg []byte, yield func(Entry, error) bool) error {
	var resp kvstorev1.ScanResponse
	if err := resp.UnmarshalVT(msg); err != nil {
		return fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	s.req.ResumeToken = resp.ResumeToken
	for _, m := range resp.Entries {
		var err error
		if m.Truncated {
			err = fmt.Errorf("%w: key %s", ErrHistoryTruncated, quote(m.Key))
		}
		if !yield(s.entryOf(m), err) {
			return errStopped
		}
	}
	if s.req.Limit > 0 {
		got := uint64(len(resp.Entries))
		if s.req.Limit <= got {
			return errStopped // a limit of 0 would mean none
		}
		s.req.Limit -= got
	}
	return nil
}

// Count counts the keys that a scan would return; Limit and Values do not count.
func (b *Bucket) Count(ctx context.Context, opts *ScanOptions) (n uint64, err error) {
	var o ScanOptions
	if opts != nil {
		o = *opts
	}
	err = b.with(ctx, func(id uint64) error {
		req := &kvstorev1.ScanRequest{
			BucketId: id, Start: o.Start, End: o.End, Prefix: o.Prefix, Reverse: o.Reverse, Deleted: o.Deleted,
			At: kvwire.Timestamp(o.At), ResumeToken: o.Resume, CountOnly: true,
		}
		return b.c.follow(ctx, kvwire.Scan, req, func(msg []byte) error {
			var resp kvstorev1.ScanResponse
			if err := resp.UnmarshalVT(msg); err != nil {
				return fmt.Errorf("%w: %w", ErrAnswer, err)
			}
			n = resp.Count
			return nil
		})
	})
	return n, err
}

// errStopped says that whoever takes a stream wants no more.
var errStopped = errors.New("client: stopped")

// follow runs a streaming request that changes nothing, on a pair of its own, and gives each message to take, which also
// makes the request go on behind it. When the stream breaks, the request is sent again.
func (c *Client) follow(ctx context.Context, t wire.MessageType, msg encoded, take func([]byte) error) error {
	method := kvwire.Name(t)
	start, attempts := time.Now(), tries{c: c, ctx: ctx}
	err := func() error {
		for {
			got, err := c.stream(ctx, t, msg, take)
			if err == nil || errors.Is(err, errStopped) || fateOf(err) == answered {
				return err
			}
			if got {
				attempts.progress()
			}
			if err := attempts.wait(err); err != nil {
				return err
			}
		}
	}()
	told := err
	if errors.Is(err, errStopped) {
		told = nil
	}
	c.done(method, start, attempts.n+1, told)
	return named(method, err)
}

// stream sends a streaming request once. got says that there were answers.
func (c *Client) stream(ctx context.Context, t wire.MessageType, msg encoded, take func([]byte) error) (got bool, err error) {
	body, err := appendMessage(nil, msg)
	if err != nil {
		return false, err
	}
	l, err := c.acquire(ctx)
	if err != nil {
		return false, err
	}
	defer c.release(l)
	p, err := l.streamPair(ctx)
	if err != nil {
		return false, c.blame(l, err)
	}
	responses, err := p.Stream(ctx, t, body)
	if err != nil {
		p.Abort()
		return false, kvwire.FromWire(c.blame(l, err))
	}
	got, err = drain(responses, t, take)
	_ = responses.Close() // it only tells the node
	e, told := errors.AsType[*wire.Error](err)
	if err == nil || told && e.ID != 0 {
		l.putStreamPair(p)
	} else {
		p.Abort()
	}
	if err == nil {
		return got, nil
	}
	if errors.Is(err, pwp.ErrNotRun) || told {
		err = c.blame(l, err)
	}
	return got, kvwire.FromWire(err)
}

func drain(responses *pwp.Responses, t wire.MessageType, take func([]byte) error) (got bool, err error) {
	for {
		typ, msg, err := responses.Next()
		switch {
		case errors.Is(err, io.EOF):
			return got, nil
		case err != nil:
			return got, err
		case typ != kvwire.Response(t):
			return got, fmt.Errorf("%w: %v to %v", ErrAnswer, typ, t)
		}
		got = true
		if err := take(msg); err != nil {
			return got, err
		}
	}
}
