package node

import (
	"fmt"
	"strings"
	"testing"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/client"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/kvstore/kvwire"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
)

// requests are n equal requests with their ids.
func requests(t *testing.T, typ wire.MessageType, n int, m interface{ MarshalVT() ([]byte, error) }) []byte {
	var b []byte
	for i := range n {
		b = append(b, message(t, typ, wire.RequestID(i+1), m)...)
	}
	return b
}

// queued is how much the node has waiting for readers.
func (s *siege) queued() (n int) {
	for _, p := range s.n.server.Contexts() {
		n += p.QueuedBytes
	}
	return n
}

func (s *siege) inFlight() (n int) {
	for _, p := range s.n.server.Contexts() {
		n += p.InFlight
	}
	return n
}

// TestSiegeLargeAnswersUnread asks for large values thousands of times and reads none of them.
func TestSiegeLargeAnswersUnread(t *testing.T) {
	s := besiege(t, nil)
	bucket := s.client(client.Options{}).BucketByID(1)
	for i := range 4 {
		if _, err := bucket.Put(t.Context(), fmt.Appendf(nil, "large-%d", i), repeat([]byte{byte(i)}, 4<<20), nil); err != nil {
			t.Fatal(err)
		}
	}
	s.begin()
	c := s.conn()
	for i := range 8 {
		s.raw(c, wire.ServiceKVStore, requests(t, kvwire.Get, 256, &kvstorev1.GetRequest{Key: fmt.Appendf(nil, "large-%d", i%4)}))
	}
	until(t, "the requests are there", func() bool { return s.inFlight() > 1000 && s.queued() > 1<<20 })
	s.over("gets of 4 MiB that nobody reads")
}

func TestSiegeScansUnread(t *testing.T) {
	s := besiege(t, nil)
	bucket := s.client(client.Options{}).BucketByID(1)
	for i := range 2000 {
		if _, err := bucket.Put(t.Context(), fmt.Appendf(nil, "key-%05d", i), repeat([]byte{byte(i)}, 4<<10), nil); err != nil {
			t.Fatal(err)
		}
	}
	s.begin()
	c := s.conn()
	for range 16 {
		s.raw(c, wire.ServiceKVStore, requests(t, kvwire.Scan, 256, &kvstorev1.ScanRequest{Values: true}))
	}
	until(t, "the scans are there", func() bool { return s.inFlight() >= 40 && s.inFlight() <= 256 && s.queued() > 64<<10 })
	s.over("scans that nobody reads")
}

// TestSiegeBatchBombs sends batches of millions of empty operations: two bytes each on the wire.
func TestSiegeBatchBombs(t *testing.T) {
	s := besiege(t, nil)
	bomb := wire.AppendMessage([]byte{1, 3, 0x10, 3}, kvwire.Batch, wire.Envelope{ID: 1}, repeat([]byte{0x1a, 0}, 4<<20))
	s.begin()
	c := s.conn()
	for range 4 {
		said, err := s.play(c, bomb)
		if e := lastError(said); err != nil || e == nil || e.Detail != kverr.NumberOf(kverr.ErrBatchTooLarge) {
			t.Errorf("%v, %v", e, err)
		}
	}
	s.over("batches of 4 million empty operations")
}

func repeat(b []byte, n int) []byte { return []byte(strings.Repeat(string(b), n)) }

// lastError returns the last error message of what a node said on its half, nil when there is none.
func lastError(said []byte) (last *wire.Error) {
	for len(said) > 0 {
		if p, n, err := wire.ParsePrelude(said); err == nil {
			msg := said[n:min(len(said), n+int(p.SizeBytes))]
			if e, err := wire.ParseError(msg); p.Type == wire.TypeError && err == nil {
				last = e
			}
			said = said[n+len(msg):]
			continue
		}
		_, n, err := wire.Parse(said)
		if err != nil {
			return last
		}
		said = said[n:]
	}
	return last
}
