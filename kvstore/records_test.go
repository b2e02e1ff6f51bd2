package kvstore

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	kvstorev1 "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/versioning"
)

// goldenRecord is one example of a record.
type goldenRecord struct {
	name string
	key  []byte
	m    interface {
		message
		proto.Message
	}
}

// goldenRecords are one example of every record, all of its fields set, in the order of their keys.
func goldenRecords() []goldenRecord {
	ts := func(n int64) *kvstorev1.Timestamp { return stamp(hlc.Timestamp{WallNanos: n, Logical: 7}) }
	usage := usageMessage(versioning.Usage{Keys: 2, Versions: 3, Bytes: 300})
	ptr := func(n uint64) *uint64 { return &n }
	account := &kvstorev1.Account{
		Id: 1001, Name: "pleione", Owner: "maia", Created: ts(1), State: kvstorev1.State_STATE_ACTIVE,
		Limits: &kvstorev1.AccountLimits{MaxBuckets: 3, MaxKeys: 1000, MaxBytes: 1 << 20},
	}
	bucket := &kvstorev1.Bucket{
		Id: 1002, Name: "stars", AccountId: 1001, Account: "pleione", Created: ts(2), State: kvstorev1.State_STATE_DELETING,
		Settings: &kvstorev1.BucketSettings{MaxVersions: 10, Rollover: 1, MaxKeys: ptr(100), MaxBytes: ptr(0)},
	}
	write := &kvstorev1.WriteResponse{Version: 5, Revision: ts(3), RolledOver: true, Dropped: 1}
	id := SessionID([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0brand"))
	return []goldenRecord{
		{"account", appendIDKey(nil, metaCatalog, kindAccount, 1001), &kvstorev1.StoredAccount{Format: recordFormat, Generation: 4, Account: account}},
		{"bucket", appendIDKey(nil, metaCatalog, kindBucket, 1002), &kvstorev1.StoredBucket{Format: recordFormat, Generation: 5, Bucket: bucket}},
		{"what a data shard knows of an account", appendIDKey(nil, metaShare, kindAccount, 1001), (&accountShare{
			generation: 4, maxKeys: 1000, maxBytes: 1 << 20, state: kvstorev1.State_STATE_ACTIVE,
		}).record()},
		{"what a data shard knows of a bucket", appendIDKey(nil, metaShare, kindBucket, 1002), (&bucketShare{
			generation: 5, account: &accountShare{id: 1001}, maxKeys: 100, maxBytes: 200, state: kvstorev1.State_STATE_DELETING,
			removedTo: []byte("d\x00"), removed: usageOf(usage),
		}).record()},
		{"next ids", metaKey(metaIDs), &kvstorev1.StoredCatalog{Format: recordFormat, NextAccountId: 1002, NextBucketId: 1003}},
		{"session", appendSessionKey(nil, id), &kvstorev1.StoredSession{
			Format: recordFormat, Caller: Caller{Name: "maia", Role: RoleClient}.message(), Opened: ts(6),
		}},
		{"outcome: one write", appendOutcomeKey(nil, id, 1), &kvstorev1.StoredOutcome{
			Format: recordFormat, Fingerprint: 0x0102030405060708, LowWater: 1, Time: ts(3), Write: write,
		}},
		{"outcome: a batch", appendOutcomeKey(nil, id, 2), &kvstorev1.StoredOutcome{
			Format: recordFormat, Fingerprint: 1, LowWater: 1, Time: ts(3), Writes: []*kvstorev1.WriteResponse{write, {Revision: ts(4)}},
		}},
		{"outcome: a refusal", appendOutcomeKey(nil, id, 3), &kvstorev1.StoredOutcome{
			Format: recordFormat, Fingerprint: 1, LowWater: 1, Time: ts(3), ErrorNumber: 26, ErrorText: "over the quota",
		}},
		{"outcome: an account", appendOutcomeKey(nil, id, 4), &kvstorev1.StoredOutcome{
			Format: recordFormat, Fingerprint: 1, LowWater: 1, Time: ts(3), Account: account,
		}},
		{"outcome: a bucket", appendOutcomeKey(nil, id, 5), &kvstorev1.StoredOutcome{
			Format: recordFormat, Fingerprint: 1, LowWater: 1, Time: ts(3), Bucket: bucket,
		}},
		{"machine", metaKey(metaMachine), &kvstorev1.StoredMachine{Format: recordFormat, Time: ts(8), SessionFloor: ts(7)}},
		{"counters of an account", appendIDKey(nil, metaUsage, kindAccount, 1001), &kvstorev1.StoredUsage{Format: recordFormat, Usage: usage}},
		{"counters of a bucket", appendIDKey(nil, metaUsage, kindBucket, 1002), &kvstorev1.StoredUsage{Format: recordFormat, Usage: usage}},
	}
}

// annotate writes each field of an encoded message on a line: its name, and its bytes with the tag.
func annotate(t *testing.T, out *strings.Builder, indent string, d protoreflect.MessageDescriptor, b []byte) {
	t.Helper()
	for len(b) > 0 {
		number, kind, tag := protowire.ConsumeTag(b)
		n := protowire.ConsumeFieldValue(number, kind, b[max(tag, 0):])
		f := d.Fields().ByNumber(number)
		if tag < 0 || n < 0 || f == nil {
			t.Fatalf("field %d of %s: %x", number, d.Name(), b)
		}
		if f.Kind() != protoreflect.MessageKind {
			fmt.Fprintf(out, "%s%-14s %x %x\n", indent, f.Name(), b[:tag], b[tag:tag+n])
		} else {
			inner, _ := protowire.ConsumeBytes(b[tag:])
			fmt.Fprintf(out, "%s%-14s %x\n", indent, f.Name(), b[:tag+n-len(inner)])
			annotate(t, out, indent+"  ", f.Message(), inner)
		}
		b = b[tag+n:]
	}
}

// stored returns what the encoder writes.
func (r *goldenRecord) stored(t *testing.T) []byte {
	t.Helper()
	b := make([]byte, r.m.SizeVT())
	if n, err := r.m.MarshalToSizedBufferVT(b); err != nil || n != len(b) {
		t.Fatal(n, err)
	}
	return b
}

// TestRecordGolden pins the bytes of every record. A changed line means that stores written by earlier versions cannot be
// read.
func TestRecordGolden(t *testing.T) {
	var out strings.Builder
	for _, r := range goldenRecords() {
		fmt.Fprintf(&out, "%s\n  key %x\n", r.name, r.key)
		annotate(t, &out, "  ", r.m.ProtoReflect().Descriptor(), r.stored(t))
	}
	const path = "testdata/records.golden"
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Fatalf("%s differs (UPDATE_GOLDEN=1 accepts it, and breaks every store on disk):\n%s", path, out.String())
	}
}

// TestRecordsComeBack: what was written is read; the format of a newer program, none at all, and bytes that are missing give
// errors that can be told apart.
func TestRecordsComeBack(t *testing.T) {
	for _, r := range goldenRecords() {
		stored := r.stored(t)
		back := r.m.ProtoReflect().New().Interface().(message)
		if err := parse(r.key, stored, back); err != nil || !proto.Equal(back.(proto.Message), r.m) {
			t.Errorf("%s: %v, %v", r.name, back, err)
		}
		again := r.m.ProtoReflect().New().Interface().(message)
		if stored[0] != 1<<3 || stored[1] != recordFormat {
			t.Fatalf("%s does not begin with its format: %x", r.name, stored)
		}
		newer := append([]byte{1 << 3, recordFormat + 1}, stored[2:]...)
		if err := parse(r.key, newer, again); !errors.Is(err, ErrRecordFormat) || !errors.Is(err, base.ErrVersion) {
			t.Errorf("%s of a newer program: %v", r.name, err)
		}
		if err := parse(r.key, stored[2:], r.m.ProtoReflect().New().Interface().(message)); !errors.Is(err, ErrRecord) || !errors.Is(err, base.ErrCorruption) {
			t.Errorf("%s without a format: %v", r.name, err)
		}
		for n := range len(stored) {
			err := parse(r.key, stored[:n], r.m.ProtoReflect().New().Interface().(message))
			if err != nil && !errors.Is(err, ErrRecord) {
				t.Errorf("%s, %d of its bytes: %v", r.name, n, err)
			}
		}
	}
}
