package kvstore_test

import (
	"errors"
	"testing"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/kverr"
	"github.com/shieldmaidens/pleiades/kvstore"
)

// FuzzCommand: no bytes that a log may hold make a machine panic, stop it, or meet anything but a typed refusal.
func FuzzCommand(f *testing.F) {
	for _, cmd := range []*kvstorev1.Command{
		{Format: 1, Put: &kvstorev1.PutRequest{Key: []byte("k"), Value: []byte("v")}},
		{Format: 1, Batch: &kvstorev1.BatchRequest{Operations: []*kvstorev1.Operation{{Kind: &kvstorev1.Operation_Delete{Delete: &kvstorev1.DeleteRequest{Key: []byte("k")}}}}}},
		{Format: 1, Vacuum: &kvstorev1.VacuumStep{BucketId: 1, Operations: []*kvstorev1.VacuumOperation{{Key: []byte("k"), Revision: &kvstorev1.Timestamp{WallNanos: 1}}}}},
		{Format: 1, SealBucket: &kvstorev1.SealBucket{BucketId: 2}},
		{Format: 1, Remove: &kvstorev1.RemoveStep{BucketId: 2, Records: 1}},
		{Format: 1, ShareAccount: &kvstorev1.ShareAccount{AccountId: 1, Generation: 9}},
		{Format: 1, ShareBucket: &kvstorev1.ShareBucket{BucketId: 2, AccountId: 1, Generation: 1}},
		{Format: 1, CreateBucket: &kvstorev1.CreateBucket{Request: &kvstorev1.CreateBucketRequest{Name: "b"}}},
		{Format: 1, Bootstrap: &kvstorev1.Bootstrap{}},
		{Format: 1, Forget: &kvstorev1.Forget{BucketId: 1}},
		{Format: 1, OpenSession: &kvstorev1.SessionCommand{Id: make([]byte, 16)}},
		{Format: 1, Session: &kvstorev1.Session{Id: make([]byte, 16), Sequence: 1}, UpdateAccount: &kvstorev1.UpdateAccountRequest{Name: "default"}},
	} {
		b, err := cmd.MarshalVT()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(true, b)
		f.Add(false, b)
	}
	r := newRig(f, nil)
	r.put(0, "k", "v")
	f.Fuzz(func(t *testing.T, data bool, stored []byte) {
		cmd := new(kvstorev1.Command)
		if err := cmd.UnmarshalVT(stored); err != nil {
			return
		}
		if cmd.Remove.GetRecords() > 1000 {
			cmd.Remove.Records = 1000
		}
		cmd.Fingerprint = kvstore.Fingerprint(cmd)
		res, err := r.store.Propose(t.Context(), data, cmd)
		if err == nil {
			err = res.Err
		}
		if err != nil && kverr.NumberOf(err) == 0 && !errors.Is(err, kvstore.ErrOverloaded) && !errors.Is(err, kvstore.ErrCommandFormat) &&
			!errors.Is(err, hlc.ErrExhausted) {
			t.Fatalf("%v: %v", cmd, err)
		}
		if _, err := r.store.Describe(t.Context(), &kvstorev1.DescribeRequest{Key: []byte("absent")}); !errors.Is(err, kverr.ErrNotFound) {
			t.Fatalf("after %v: %v", cmd, err)
		}
	})
}

// FuzzRecord: damaged records are refused with a typed error, and what is taken is written back to the same bytes.
func FuzzRecord(f *testing.F) {
	r := newRig(f, nil)
	id := r.session(maia)
	if _, err := r.sessionPut(maia, id, 1, 1, "k", "v"); err != nil {
		f.Fatal(err)
	}
	r.bucket("b", nil)
	for _, rows := range shardBytes(f, r.eng) {
		for _, row := range rows {
			f.Add(row[0], row[1])
		}
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		err := kvstore.LoadRecord(key, value)
		if err != nil && !errors.Is(err, base.ErrCorruption) && !errors.Is(err, base.ErrVersion) {
			t.Fatalf("%x = %x: %v", key, value, err)
		}
	})
}
