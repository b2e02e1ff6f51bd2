package node

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/client"
	"github.com/shieldmaidens/pleiades/kvstore/kvwire"
	"github.com/shieldmaidens/pleiades/net/endpoint"
	"github.com/shieldmaidens/pleiades/net/pwp"
	"github.com/shieldmaidens/pleiades/net/pwp/wire"
	"github.com/shieldmaidens/pleiades/system"
)

type encoder interface{ MarshalVT() ([]byte, error) }

type sent struct {
	typ wire.MessageType
	msg encoder
}

// conversation is what a client sends that uses everything of the key-value service.
func conversation(t *testing.T, session []byte) []byte {
	in := func(seq uint64) *kvstorev1.Session {
		return &kvstorev1.Session{Id: session, Sequence: seq, LowWater: 1}
	}
	b := []byte{0x01, 0x05, 0x01, 0x03, 0x12, 0x03, 0x10, 0x03}
	b = wire.AppendLatencyStart(b, 7)
	for i, s := range []sent{
		{kvwire.CreateAccount, &kvstorev1.CreateAccountRequest{Name: "a", Limits: &kvstorev1.AccountLimits{}, Session: in(1)}},
		{kvwire.CreateBucket, &kvstorev1.CreateBucketRequest{Account: "a", Name: "b", Settings: &kvstorev1.BucketSettings{MaxVersions: 3}}},
		{kvwire.GetBucket, &kvstorev1.GetBucketRequest{Account: "a", Name: "b"}},
		{kvwire.Put, &kvstorev1.PutRequest{Key: []byte("k"), Value: []byte("value"), Session: in(2)}},
		{kvwire.Get, &kvstorev1.GetRequest{Key: []byte("k"), Version: 1}},
		{kvwire.Batch, &kvstorev1.BatchRequest{Operations: []*kvstorev1.Operation{
			{Kind: &kvstorev1.Operation_Put{Put: &kvstorev1.PutRequest{Key: []byte("k2"), Value: []byte("v")}}},
			{Kind: &kvstorev1.Operation_Delete{Delete: &kvstorev1.DeleteRequest{Key: []byte("k2")}}},
		}, Session: in(3)}},
		{kvwire.SetVacuumable, &kvstorev1.SetVacuumableRequest{Key: []byte("k"), Vacuumable: true}},
		{kvwire.Describe, &kvstorev1.DescribeRequest{Key: []byte("k")}},
		{kvwire.History, &kvstorev1.HistoryRequest{Key: []byte("k"), Values: true}},
		{kvwire.Scan, &kvstorev1.ScanRequest{Values: true, Limit: 3, At: &kvstorev1.Timestamp{WallNanos: 1 << 60}}},
		{kvwire.Vacuum, &kvstorev1.VacuumRequest{KeepNewest: 1, Prefix: []byte("k"), DryRun: true}},
		{kvwire.Purge, &kvstorev1.PurgeRequest{Key: []byte("k2")}},
		{kvwire.UpdateBucket, &kvstorev1.UpdateBucketRequest{Account: "a", Name: "b", Settings: &kvstorev1.BucketSettings{MaxVersions: 5}}},
		{kvwire.ListBuckets, &kvstorev1.ListBucketsRequest{Account: "a"}},
		{kvwire.ListAccounts, &kvstorev1.ListAccountsRequest{}},
		{kvwire.UpdateAccount, &kvstorev1.UpdateAccountRequest{Name: "a"}},
		{kvwire.DeleteBucket, &kvstorev1.DeleteBucketRequest{Account: "a", Name: "b"}},
		{kvwire.DeleteAccount, &kvstorev1.DeleteAccountRequest{Name: "a"}},
	} {
		b = append(b, message(t, s.typ, wire.RequestID(i+1), s.msg)...)
	}
	b = wire.AppendMessage(b, wire.TypeCancel, wire.Envelope{ID: 18}, nil)
	return wire.AppendClose(append(wire.AppendHeartbeat(b), 0xE1, 0x00))
}

// systemConversation is the same for the system service.
func systemConversation() []byte {
	b := []byte{0x01, 0x03, 0x10, 0x05}
	for i, typ := range []wire.MessageType{system.Health, system.Health + 2, system.Health + 4, system.Health + 6, system.Health + 8, system.Health + 10, 0x7f} {
		b = wire.AppendMessage(b, typ, wire.Envelope{ID: wire.RequestID(i + 1)}, nil)
	}
	return wire.AppendClose(b)
}

// judge fails the test unless the node ended the pair with a typed reason and met no fault of its own.
func judge(t *testing.T, what string, i int, said []byte, err error) {
	t.Helper()
	if e, ok := errors.AsType[*pwp.StreamError](err); err != nil && (!ok || e.Code == wire.CloseInternal) {
		t.Errorf("%s %d: it ended with %v", what, i, err)
	}
	if err == nil && (len(said) == 0 || said[len(said)-1] != 0xFF) {
		t.Errorf("%s %d: it ended without CLOSE: % x", what, i, said)
	}
	if e := lastError(said); e != nil && (e.Code == wire.CodeInternal || e.Code == 0) {
		t.Errorf("%s %d: %+v", what, i, e)
	}
}

// TestSiegeReplay cuts conversations behind each byte and changes each byte; a part of it all, unless
// PLEIADES_HOSTILE_ALL is set.
func TestSiegeReplay(t *testing.T) {
	s := besiege(t, nil)
	c := s.conn()
	p := open(t, connect(t, s.n), wire.ServiceKVStore)
	_, b, err := p.Call(t.Context(), kvwire.OpenSession, nil, nil)
	var session kvstorev1.OpenSessionResponse
	if err != nil || session.UnmarshalVT(b) != nil {
		t.Fatal(err)
	}
	all := os.Getenv("PLEIADES_HOSTILE_ALL") != ""
	random := rand.New(rand.NewPCG(1, 2))
	s.begin()
	for _, whole := range [][]byte{conversation(t, session.Id), systemConversation()} {
		said, err := s.play(c, whole)
		judge(t, "whole", 0, said, err)
		for i := range whole {
			if all || i%7 == 0 {
				said, err := s.play(c, whole[:i])
				judge(t, "cut", i, said, err)
			}
			for value := range 256 {
				if byte(value) == whole[i] || !all && random.IntN(512) > 0 && value != int(whole[i]^0x80) {
					continue
				}
				if !all && i%2 > 0 && value == int(whole[i]^0x80) {
					continue
				}
				changed := []byte(string(whole))
				changed[i] = byte(value)
				said, err := s.play(c, changed)
				judge(t, "changed", i, said, err)
			}
		}
	}
	for i := range 100 {
		b := make([]byte, random.IntN(400))
		for j := range b {
			b[j] = byte(random.Uint32())
		}
		said, err := s.play(c, append([]byte{0x01, 0x03, 0x10, byte(3 + 2*(i%2))}, b...))
		judge(t, "random", i, said, err)
	}
	huge := wire.AppendPrelude([]byte{1, 3, 0x10, 3}, wire.Prelude{Type: kvwire.Put, SizeBytes: 1 << 63})
	said, err := s.play(c, huge)
	judge(t, "2^63 bytes", 0, said, err)
	if e := lastError(said); e == nil || wire.CloseCode(e.Detail) != wire.CloseTooLarge {
		t.Errorf("2^63 bytes: %+v", e)
	}
	s.over("replays")
	if live := len(s.n.server.Contexts()); live > 8 {
		t.Errorf("%d pairs are left", live)
	}
}

// TestSiegeAbsurdFields sends valid messages whose fields make no sense: each is answered, none by a fault of the node.
func TestSiegeAbsurdFields(t *testing.T) {
	s := besiege(t, nil)
	s.begin()
	cl := connect(t, s.n)
	p := open(t, cl, wire.ServiceKVStore)
	bulk, err := cl.Open(t.Context(), wire.ServiceKVStore, &pwp.PairOptions{Bulk: true})
	if err != nil {
		t.Fatal(err)
	}
	k, most := []byte("k"), uint64(math.MaxUint64)
	times := []*kvstorev1.Timestamp{{}, {WallNanos: -1}, {WallNanos: math.MinInt64}, {WallNanos: math.MaxInt64, Logical: math.MaxUint32}, {WallNanos: 9_000_000_000_000_000_000}}
	list := []sent{
		{kvwire.Put, &kvstorev1.PutRequest{Key: make([]byte, 16<<10+1)}},
		{kvwire.Put, &kvstorev1.PutRequest{}},
		{kvwire.Put, &kvstorev1.PutRequest{Key: k, BucketId: most, ExpiresWallNanos: most}},
		{kvwire.Put, &kvstorev1.PutRequest{Key: k, ExpiresWallNanos: most}},
		{kvwire.Put, &kvstorev1.PutRequest{Key: k, ExpiresWallNanos: 1}},
		{kvwire.Put, &kvstorev1.PutRequest{Key: k, IfVersion: 70_000, IfAbsent: true, IfRevision: times[0]}},
		{kvwire.Get, &kvstorev1.GetRequest{Key: k, Version: math.MaxUint32}},
		{kvwire.Get, &kvstorev1.GetRequest{Key: k, Version: 70_000}},
		{kvwire.History, &kvstorev1.HistoryRequest{Key: k, From: math.MaxUint32, To: 1, Limit: math.MaxUint32}},
		{kvwire.Scan, &kvstorev1.ScanRequest{Limit: most, Start: []byte{0xff}, End: []byte{0}}},
		{kvwire.Scan, &kvstorev1.ScanRequest{Limit: most, Prefix: make([]byte, 1<<20)}},
		{kvwire.Scan, &kvstorev1.ScanRequest{ResumeToken: []byte("random"), Reverse: true}},
		{kvwire.Scan, &kvstorev1.ScanRequest{ResumeToken: make([]byte, 32<<10), CountOnly: true}},
		{kvwire.Vacuum, &kvstorev1.VacuumRequest{KeepNewest: math.MaxUint32, KeepNewerThanMillis: most, AllKeys: true}},
		{kvwire.Vacuum, &kvstorev1.VacuumRequest{BucketId: most}},
		{kvwire.Vacuum, &kvstorev1.VacuumRequest{Start: []byte("z"), End: []byte("a"), Deleted: true}},
		{kvwire.CloseSession, &kvstorev1.CloseSessionRequest{Id: make([]byte, 1<<10)}},
		{kvwire.CloseSession, &kvstorev1.CloseSessionRequest{Id: make([]byte, 16)}},
		{kvwire.Batch, &kvstorev1.BatchRequest{Operations: make([]*kvstorev1.Operation, 99_999)}},
		{kvwire.Batch, &kvstorev1.BatchRequest{Operations: []*kvstorev1.Operation{{}, {Kind: &kvstorev1.Operation_Put{}}}}},
		{kvwire.CreateBucket, &kvstorev1.CreateBucketRequest{Name: "b", Settings: &kvstorev1.BucketSettings{MaxVersions: 70_000, Rollover: 77}}},
		{kvwire.GetBucket, &kvstorev1.GetBucketRequest{Id: most}},
		{kvwire.UpdateAccount, &kvstorev1.UpdateAccountRequest{Limits: &kvstorev1.AccountLimits{MaxKeys: most, MaxBytes: most}}},
		{kvwire.DeleteBucket, &kvstorev1.DeleteBucketRequest{Name: "default"}},
		{kvwire.DeleteAccount, &kvstorev1.DeleteAccountRequest{}},
	}
	for _, name := range []string{"\x00", "a\x00b", strings.Repeat("n", 1<<20), "\xff\xfe", ".", "../x", "é"} {
		list = append(list, sent{kvwire.CreateAccount, &kvstorev1.CreateAccountRequest{Name: name}}, sent{kvwire.CreateBucket, &kvstorev1.CreateBucketRequest{Name: name}},
			sent{kvwire.GetBucket, &kvstorev1.GetBucketRequest{Account: name, Name: name}}, sent{kvwire.GetAccount, &kvstorev1.GetAccountRequest{Name: name}},
			sent{kvwire.DeleteAccount, &kvstorev1.DeleteAccountRequest{Name: name}})
	}
	for _, at := range times {
		list = append(list, sent{kvwire.Get, &kvstorev1.GetRequest{Key: k, At: at}}, sent{kvwire.Scan, &kvstorev1.ScanRequest{At: at, Values: true}},
			sent{kvwire.Put, &kvstorev1.PutRequest{Key: k, IfRevision: at}}, sent{kvwire.Delete, &kvstorev1.DeleteRequest{Key: k, IfRevision: at}})
	}
	for _, id := range [][]byte{nil, k, make([]byte, 16), []byte(strings.Repeat("\xff", 16)), make([]byte, 1<<16)} {
		for _, seq := range [][2]uint64{{0, 0}, {1, 2}, {most, most}, {most, 0}} {
			list = append(list, sent{kvwire.Put, &kvstorev1.PutRequest{Key: k, Session: &kvstorev1.Session{Id: id, Sequence: seq[0], LowWater: seq[1]}}})
		}
	}
	for i, m := range list {
		body, err := m.msg.MarshalVT()
		if err != nil {
			t.Fatal(err)
		}
		on := p
		if len(body) > 60<<10 {
			on = bulk
		}
		if kvwire.Streams(m.typ) {
			var answers *pwp.Responses
			if answers, err = on.Stream(t.Context(), m.typ, body); err == nil {
				for err == nil {
					_, _, err = answers.Next()
				}
				_ = answers.Close()
			}
		} else {
			_, _, err = on.Call(t.Context(), m.typ, body, nil)
		}
		if errors.Is(err, wire.ErrInternal) || errors.Is(err, pwp.ErrLost) || errors.Is(err, endpoint.ErrGone) {
			t.Errorf("%s %d: %v", kvwire.Name(m.typ), i, err)
		}
	}
	s.over("absurd fields")
	if _, err := s.client(client.Options{}).BucketByID(1).Put(t.Context(), k, k, nil); err != nil {
		t.Error(err)
	}
}
