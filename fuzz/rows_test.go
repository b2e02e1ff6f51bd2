package fuzz

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/metrics"
	"testing"
	"time"

	storagev1 "github.com/shieldmaidens/pleiades/api/storage/v1"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/internal/dump"
	"github.com/shieldmaidens/pleiades/internal/storemodel"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/vacuum"
	"github.com/shieldmaidens/pleiades/versioning"
)

// The bounds of one input of FuzzStoredRows.
const (
	maxRows = 40
	// maxAllocated is what reading and writing them may allocate in all, in bytes: what a length field claims is no reason to.
	maxAllocated = 64 << 20
)

// damaged is a store whose rows were written behind its back.
type damaged struct {
	t     *testing.T
	r     *rig
	names [][]byte
	// clean: versioning.Check found nothing, so nothing may be called damaged.
	clean bool
}

// FuzzStoredRows writes rows of any kind into a shard, among those of healthy keys, and then reads in every way there is, plans
// a vacuum, dumps, vacuums and writes. Whatever lies there, errors are typed, loops end and memory is bounded. Where
// versioning.Check finds nothing, nothing is reported as damaged, and later writes leave it that way.
func FuzzStoredRows(f *testing.F) {
	addSeeds(f, 5, 12, 4, 20)
	r := newRig(f)
	f.Fuzz(func(t *testing.T, input []byte) {
		r.next(t)
		c := storemodel.NewBytes(input)
		x := &damaged{t: t, r: r, names: [][]byte{{'a'}, {0}, []byte("a\xff")}}
		x.write(c)
		r.openStore(&versioning.Options{Cache: smallCache(t)})
		before := allocated()
		x.check()
		x.readAll(1)
		x.readAll(2)
		x.vacuum(&vacuum.Options{DryRun: true, Compact: vacuum.CompactNever})
		_, _, err := dump.WriteBucket(context.Background(), io.Discard, r.bucket(1), nil)
		x.judge("dump", err)
		x.change(c)
		x.vacuum(&vacuum.Options{BatchKeys: 2, Compact: vacuum.CompactNever})
		x.readAll(1)
		if n := allocated() - before; n > maxAllocated {
			t.Fatalf("%d bytes were allocated", n)
		}
		if x.clean {
			r.check(r.store.Shard())
		}
	})
}

// allocated is how many bytes the process has ever allocated.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// write makes some healthy versions and then the rows.
func (x *damaged) write(c *storemodel.Bytes) {
	x.t.Helper()
	ctx, b := context.Background(), x.r.bucket(1)
	for i := range c.IntN(8) {
		_, err := b.Put(ctx, x.names[i%2], []byte("healthy"), &versioning.PutOptions{NoSync: true})
		if err != nil {
			x.t.Fatal(err)
		}
	}
	shard := x.r.store.Shard()
	batch := x.r.eng.NewBatch()
	defer batch.Close()
	for n := 0; n < maxRows && c.Len() > 0; n++ {
		key := x.storedKey(c)
		var err error
		if c.IntN(8) == 7 {
			err = batch.Delete(shard, key)
		} else {
			err = batch.Put(shard, key, x.storedValue(c))
		}
		if err != nil {
			x.t.Fatal(err)
		}
	}
	x.r.commit(batch)
}

// storedKey makes the key of a row: a record of one of the names, most of the time.
func (x *damaged) storedKey(c *storemodel.Bytes) []byte {
	bucket, name := keys.BucketID(1), x.names[c.IntN(len(x.names))]
	switch c.IntN(16) {
	case 0, 1, 2, 3:
		return keys.AppendDescriptor(nil, bucket, name)
	case 4, 5, 6:
		return keys.AppendLatest(nil, bucket, name)
	case 7, 8, 9, 10:
		return keys.AppendSlot(nil, bucket, name, uint8(1+c.IntN(6)))
	case 11:
		return keys.AppendSlot(nil, bucket, name, uint8(c.IntN(256)))
	case 12:
		return keys.AppendTag(nil, bucket, name, byte(c.IntN(256)))
	case 13:
		return keys.AppendBucketSettings(nil, keys.BucketID(c.IntN(3)))
	case 14: // a data key with anything in it
		return append(keys.AppendStem(nil, keys.BucketID(c.IntN(3)), nil)[:9], c.Take(c.IntN(20))...)
	default:
		return c.Take(c.IntN(40))
	}
}

// storedValue makes the value of a row: bytes of any kind, or what would be right elsewhere.
func (x *damaged) storedValue(c *storemodel.Bytes) []byte {
	switch c.IntN(8) {
	case 0:
		return c.Take(c.IntN(60))
	case 1, 2, 3:
		data := c.Take(c.IntN(20))
		rec := &versioning.Record{Data: data, Timestamp: x.timestamp(c), Checksum: versioning.Checksum(data), Tombstone: c.IntN(4) == 3}
		if c.IntN(4) == 3 {
			rec.ExpiresWallNanos = x.timestamp(c).WallNanos
		}
		stored := versioning.AppendRecord(nil, rec)
		if c.IntN(8) == 7 {
			stored[c.IntN(len(stored))] ^= byte(c.IntN(256))
		}
		return stored
	case 4:
		settings := &storagev1.BucketSettings{
			Format: uint32(c.IntN(3)), MaxVersions: uint32(c.IntN(300)), Rollover: storagev1.Rollover(c.IntN(5)),
		}
		return x.marshal(settings.MarshalVT())
	default:
		created, revision := x.timestamp(c), x.timestamp(c)
		count := c.IntN(10)
		d := &storagev1.KeyValuePairDescriptor{
			Format: 1, VersionCount: uint32(count), Oldest: uint32(c.IntN(count + 2)), Base: uint32([]int{0, 0, 1, 5, 253, 254}[c.IntN(6)]),
			CreatedWallNanos: created.WallNanos, CreatedLogical: created.Logical,
			RevisionWallNanos: revision.WallNanos, RevisionLogical: revision.Logical,
			Deleted: c.IntN(4) == 3, Vacuumable: c.IntN(2) == 1, LatestBytes: uint64(c.IntN(20)), WrittenBytes: uint64(c.IntN(300)),
		}
		switch c.IntN(8) {
		case 5:
			d.ExpiresWallNanos = uint64(x.timestamp(c).WallNanos)
		case 6:
			d.VersionCount, d.Oldest = 255-d.VersionCount, uint32(1+c.IntN(255))
		case 7:
			d.LatestBytes, d.WrittenBytes = 1<<63-1-d.LatestBytes, 1<<63-1
		}
		return x.marshal(d.MarshalVT())
	}
}

func (x *damaged) marshal(stored []byte, err error) []byte {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
	return stored
}

// timestamp chooses one of few near the present, so that rows fit together now and then, or an extreme one.
func (x *damaged) timestamp(c *storemodel.Bytes) hlc.Timestamp {
	ts := hlc.Timestamp{WallNanos: x.r.wall.Now().UnixNano() - int64(c.IntN(16)), Logical: uint32(c.IntN(2))}
	switch c.IntN(32) {
	case 29:
		return hlc.Timestamp{}
	case 30:
		return hlc.Timestamp{WallNanos: 1<<63 - 1, Logical: 1<<32 - 1}
	case 31:
		ts.WallNanos += int64(time.Hour)
	}
	return ts
}

// check notes whether the shard is healthy.
func (x *damaged) check() {
	x.t.Helper()
	report, err := versioning.Check(context.Background(), x.r.store.Shard(), &versioning.CheckOptions{MaxFindings: 3})
	if err != nil {
		x.t.Fatal(err)
	}
	x.clean = report.Found == 0
	if len(report.Findings) > 3 || (report.Found == 0) != (len(report.Findings) == 0) {
		x.t.Fatalf("%d findings, found %d", len(report.Findings), report.Found)
	}
	for _, f := range report.Findings {
		if !damage(f.Err) {
			x.t.Fatalf("finding %v is neither corruption nor of a newer version", f)
		}
		_ = f.String()
	}
}

// judge looks at the error of one call.
func (x *damaged) judge(what string, err error) {
	x.t.Helper()
	switch {
	case err == nil:
	case !typed(err):
		x.t.Fatalf("%s: untyped error %v", what, err)
	case x.clean && damage(err):
		x.t.Fatalf("%s: %v, though check finds nothing", what, err)
	}
}

// readAll reads a bucket in every way.
func (x *damaged) readAll(id keys.BucketID) {
	x.t.Helper()
	ctx, b := context.Background(), x.r.bucket(id)
	_, err := b.Settings(ctx)
	x.judge("settings", err)
	now := hlc.FromTime(x.r.wall.Now())
	for _, name := range x.names {
		what := fmt.Sprintf("of %q in bucket %d", name, id)
		v, err := b.Get(ctx, name)
		x.judge("get "+what, err)
		err = b.View(ctx, name, func(seen versioning.Value) error {
			if string(seen.Data) != string(v.Data) || seen.Timestamp != v.Timestamp {
				x.t.Fatalf("get %s %+v, view %+v", what, v, seen)
			}
			return nil
		})
		x.judge("view "+what, err)
		_, err = b.Describe(ctx, name)
		x.judge("describe "+what, err)
		for _, n := range []int{1, 2, 3, 9, 254, versioning.Latest} {
			_, err := b.GetVersion(ctx, name, n)
			x.judge(fmt.Sprintf("version %d %s", n, what), err)
		}
		for _, ts := range []hlc.Timestamp{{}, {WallNanos: 1}, {WallNanos: now.WallNanos - 8}, now} {
			_, err := b.GetAt(ctx, name, ts)
			x.judge(fmt.Sprintf("at %s %s", ts, what), err)
		}
		for _, o := range []versioning.HistoryOptions{{}, {Values: true}, {OldestFirst: true, Values: true}, {From: 2, To: 4}} {
			n := 0
			for _, err := range b.History(ctx, name, &o) {
				x.judge("history "+what, err)
				if n++; n > versioning.MaxVersions {
					x.t.Fatalf("history %s has more than %d entries", what, versioning.MaxVersions)
				}
			}
		}
	}
	for _, o := range []versioning.ScanOptions{
		{},
		{Values: true},
		{Deleted: true},
		{Deleted: true, Values: true, Descriptors: true, Reverse: true},
		{Reverse: true},
		{At: now},
		{At: hlc.Timestamp{WallNanos: now.WallNanos - 8}, Values: true, Reverse: true},
		{Prefix: []byte("a"), Values: true, Borrow: true},
		{Start: []byte{0}, End: []byte("b")},
	} {
		x.scan(b, o)
	}
}

// scan scans page by page.
func (x *damaged) scan(b *versioning.Bucket, o versioning.ScanOptions) {
	x.t.Helper()
	o.Limit = 2
	for page := 0; ; page++ {
		var token versioning.Token
		for e, err := range b.Scan(context.Background(), &o) {
			if x.judge("scan", err); err == nil || errors.Is(err, versioning.ErrHistoryTruncated) {
				token = e.Token()
			}
		}
		if token == nil {
			return
		}
		if page > maxRows+8 {
			x.t.Fatalf("a scan of more than %d pages", page)
		}
		o.Resume = token
	}
}

// vacuum runs one by a policy that looks at everything.
func (x *damaged) vacuum(o *vacuum.Options) {
	x.t.Helper()
	p := vacuum.Policy{AllKeys: true, KeepNewest: 2, Deleted: true, Expired: true}
	_, err := vacuum.Run(context.Background(), x.r.bucket(1), p, o)
	x.judge("vacuum", err)
}

// change writes to what lies there.
func (x *damaged) change(c *storemodel.Bytes) {
	x.t.Helper()
	ctx, b := context.Background(), x.r.bucket(1)
	if c.IntN(2) == 1 {
		x.judge("settings", b.SetSettings(ctx, versioning.Settings{MaxVersions: 1 + c.IntN(4), Rollover: versioning.Cascade}))
	}
	o := &versioning.WriteOptions{NoSync: true}
	for _, name := range x.names {
		for _, kind := range []int{c.IntN(6), c.IntN(6)} {
			var err error
			switch kind {
			case 0, 1:
				_, err = b.Put(ctx, name, []byte("new"), &versioning.PutOptions{NoSync: true})
			case 2:
				_, err = b.Delete(ctx, name, o)
			case 3:
				_, err = b.SetVacuumable(ctx, name, true, o)
			case 4:
				_, err = b.DropVersions(ctx, name, 1+c.IntN(10), o)
			default:
				_, err = b.Purge(ctx, name, o)
			}
			x.judge(fmt.Sprintf("write %d of %q", kind, name), err)
		}
	}
}
