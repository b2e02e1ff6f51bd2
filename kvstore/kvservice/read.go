package kvservice

import (
	"encoding/binary"

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
	return s.store.Get(contextOf(r), &req, func(resp *kvstorev1.GetResponse) error { return reply(r, resp) })
}

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
	c := newChunk(r)
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
