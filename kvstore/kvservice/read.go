package kvservice

import (
	"context"
	"encoding/binary"
	"errors"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/kvstore/kvwire"
	"github.com/shieldmaidens/pleiades/net/pwp"
)

func (s *service) get(r *pwp.Request) error {
	var req kvstorev1.GetRequest
	if err := decode(r, &req); err != nil {
		return err
	}
	room := 0
	for {
		need, err := s.getOnce(r, &req, room)
		if need == 0 {
			return err
		}
		// The value was let go: thousands of requests may wait here.
		if err := r.Reserve(need); err != nil {
			return err
		}
		room = need
	}
}

// getOnce answers unless the value is larger than the room that r has, and there is none for it; then it returns how much
// is needed. Where others wait for room already it takes its turn, since a large value costs as much to read in vain.
func (s *service) getOnce(r *pwp.Request, req *kvstorev1.GetRequest, room int) (need int, err error) {
	if r.Crowded() {
		if err := s.crowd.Acquire(r.Context(), 1); err != nil {
			return 0, context.Cause(r.Context())
		}
		defer s.crowd.Release(1)
	}
	err = s.store.Get(contextOf(r), req, func(resp *kvstorev1.GetResponse) error {
		if size := resp.SizeVT(); size > largeBytes && size > room && !r.TryReserve(size) {
			need = size
			return errNoRoom
		}
		return reply(r, resp)
	})
	return need, err
}

// largeBytes is the size above which an answer or an entry of a stream needs room before it is built.
const largeBytes = 64 << 10

// errNoRoom says that the connection has too much to write already.
var errNoRoom = errors.New("kvservice: no room")

func (s *service) describe(r *pwp.Request) error {
	var req kvstorev1.DescribeRequest
	if err := decode(r, &req); err != nil {
		return err
	}
	resp, err := s.store.Describe(contextOf(r), &req)
	if err != nil {
		return err
	}
	return reply(r, resp)
}

func (s *service) history(r *pwp.Request) error {
	var req kvstorev1.HistoryRequest
	if err := decode(r, &req); err != nil {
		return err
	}
	return sendAll(r, s.store.History(r.Context(), &req))
}

// tokenField is ScanResponse.resume_token as a protobuf tag: 4, with a length.
const tokenField = 4<<3 | 2

func (s *service) scan(r *pwp.Request) error {
	var req kvstorev1.ScanRequest
	if err := decode(r, &req); err != nil {
		return err
	}
	if req.CountOnly {
		n, err := s.store.Count(r.Context(), &req)
		if err != nil {
			return err
		}
		return send(r, &kvstorev1.ScanResponse{Count: n})
	}
	bucket := keys.BucketID(req.BucketId)
	if bucket == 0 {
		bucket = kvwire.DefaultBucket
	}
	at := kvwire.TimestampOf(req.At)
	c, err := newChunk(r)
	if err != nil {
		return err
	}
	defer c.free()
	var last, token, tail []byte
	flush := func() error {
		token = kvwire.AppendToken(token[:0], bucket, req.Reverse, at, last)
		tail = binary.AppendUvarint(append(tail[:0], tokenField), uint64(len(token)))
		return c.flush(append(tail, token...))
	}
	for e, err := range s.store.Scan(r.Context(), &req) {
		if err == nil {
			last = append(last[:0], e.Key...)
			err = c.add(e)
		}
		if err == nil && c.full() {
			err = flush()
		}
		if err != nil {
			return err
		}
	}
	if c.n == 0 {
		return nil
	}
	return flush()
}
