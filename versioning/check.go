package versioning

import (
	"context"
	"errors"
	"fmt"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
)

const (
	defaultMaxFindings = 1000
	// checkProgressRows is how many records lie between two calls of CheckOptions.Progress and two
	// looks at the context.
	checkProgressRows = 4096
)

// CheckOptions qualifies a check. nil means none of it.
type CheckOptions struct {
	// MaxFindings bounds CheckReport.Findings; more are counted only. 0 means 1,000.
	MaxFindings int
	// Progress, when not nil, is told the counts so far, every few thousand records. It runs on the
	// checking goroutine.
	Progress func(CheckReport)
}

// CheckReport says what a check saw.
type CheckReport struct {
	// Keys, Records and Bytes are how much was looked at; Bytes without the table files' overhead.
	Keys, Records, Bytes int64
	// Versions counts latest and old versions, Tombstones those that are deletions, Reserved the
	// records with tags of newer programs, which are not judged, and Buckets those with settings.
	Versions, Tombstones, Reserved, Buckets int64
	// Findings are what is wrong, in the order of the keys; Found counts those too that did not fit.
	Findings []Finding
	Found    int64
}

// Finding is one thing that is wrong.
type Finding struct {
	// Stored is the record's stored key, or a key's stem when the key as a whole is meant.
	Stored []byte
	Bucket keys.BucketID
	// Key is the application's key; nil when Stored cannot be decoded.
	Key []byte
	// Err says what is wrong. It matches base.ErrCorruption or base.ErrVersion.
	Err error
}

func (f Finding) String() string {
	if f.Key == nil {
		return fmt.Sprintf("record %s: %v", base.Quote(f.Stored), f.Err)
	}
	return fmt.Sprintf("key %s in bucket %d: %v", base.Quote(f.Key), f.Bucket, f.Err)
}

// errInconsistent marks findings about records that are fine each by itself.
var errInconsistent = base.New(base.ErrCorruption, "versioning: inconsistent")

// Check walks over a shard's data and bucket settings, at one instant, and verifies every invariant:
// keys decode; each key's descriptor and its records agree exactly on which versions exist, on
// sizes, deletion and expiry; checksums are right; timestamps grow with the version number and lie
// between creation and revision. It changes nothing, may run beside anything, and holds one key's
// timestamps in memory. The error is about the walk itself, not about what was found.
func Check(ctx context.Context, shard *engine.Shard, opts *CheckOptions) (CheckReport, error) {
	c := checker{}
	if opts != nil {
		c.opts = *opts
	}
	if c.opts.MaxFindings == 0 {
		c.opts.MaxFindings = defaultMaxFindings
	}
	if c.opts.MaxFindings < 0 {
		return c.report, fmt.Errorf("%w: at most %d findings", ErrInvalidOptions, c.opts.MaxFindings)
	}
	snap, err := shard.Engine().NewSnapshot()
	if err != nil {
		return c.report, err
	}
	defer snap.Close()
	if err := c.walk(ctx, shard, snap, keys.NamespaceBounds(keys.NamespaceData), c.dataRecord); err != nil {
		return c.report, err
	}
	c.endKey()
	lower := keys.AppendBucketSettings(nil, 0)
	upper := keys.AppendBucketSettings(nil, keys.MaxBucket)
	settings := keys.Bounds{Lower: lower[:len(lower)-8], Upper: append(upper, 0)}
	if err := c.walk(ctx, shard, snap, settings, c.settingsRecord); err != nil {
		return c.report, err
	}
	if c.opts.Progress != nil {
		c.opts.Progress(c.report)
	}
	return c.report, nil
}

// checker is one check under way.
type checker struct {
	opts   CheckOptions
	report CheckReport

	// The key whose records are being read.
	stem    []byte
	bucket  keys.BucketID
	key     []byte
	broken  bool // a record of the key cannot be decoded: what follows from it is not reported too
	desc    descriptor
	hasDesc bool
	latest  seenVersion
	slots   [slotCount + 1]seenVersion
}

// seenVersion is what a record of a version said.
type seenVersion struct {
	seen      bool
	ts        hlc.Timestamp
	bytes     int64
	expires   int64
	tombstone bool
}

func (c *checker) walk(ctx context.Context, shard *engine.Shard, snap *engine.Snapshot, bounds keys.Bounds, record func(key, value []byte)) (err error) {
	it, err := shard.NewIterator(&engine.IterOptions{Lower: bounds.Lower, Upper: bounds.Upper, Snapshot: snap, LongScan: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		record(it.Key(), it.Value())
		c.report.Records++
		c.report.Bytes += int64(len(it.Key()) + it.ValueLen())
		if c.report.Records%checkProgressRows == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			if c.opts.Progress != nil {
				c.opts.Progress(c.report)
			}
		}
	}
	return nil
}

func (c *checker) find(stored []byte, err error) {
	c.report.Found++
	if len(c.report.Findings) >= c.opts.MaxFindings {
		return
	}
	f := Finding{Stored: append([]byte(nil), stored...), Bucket: c.bucket, Err: err}
	if c.key != nil {
		f.Key = append([]byte(nil), c.key...)
	}
	c.report.Findings = append(c.report.Findings, f)
}

// dataRecord takes in one record of the data namespace.
func (c *checker) dataRecord(stored, value []byte) {
	rec, err := keys.Parse(nil, stored)
	if err != nil {
		c.endKey()
		c.find(stored, err)
		return
	}
	stem := stored[:len(stored)-keys.SuffixBytes]
	if string(stem) != string(c.stem) {
		c.endKey()
		c.stem = append(c.stem[:0], stem...)
		c.bucket, c.key = rec.Bucket, rec.Key
		c.report.Keys++
	}
	switch rec.Kind {
	case keys.KindDescriptor:
		c.hasDesc = true
		if c.desc, err = parseDescriptor(value); err != nil {
			c.broken = true
			c.find(stored, err)
		}
	case keys.KindLatest:
		c.latest = c.version(stored, value)
	case keys.KindVersion:
		c.slots[rec.Slot] = c.version(stored, value)
	case keys.KindReserved:
		c.report.Reserved++
	}
}

// version verifies the record of a version.
func (c *checker) version(stored, value []byte) seenVersion {
	c.report.Versions++
	rec, err := ParseRecord(value)
	if err != nil {
		c.broken = true
		c.find(stored, fmt.Errorf("record %s: %w", base.Quote(stored[len(stored)-keys.SuffixBytes:]), err))
	}
	if rec.Tombstone {
		c.report.Tombstones++
	}
	return seenVersion{
		seen: true, ts: rec.Timestamp, bytes: int64(len(rec.Data)),
		expires: rec.ExpiresWallNanos, tombstone: rec.Tombstone,
	}
}

// endKey judges the key whose records have all been read.
func (c *checker) endKey() {
	if len(c.stem) > 0 && !c.broken {
		c.judge()
	}
	c.stem, c.key, c.bucket = c.stem[:0], nil, 0
	c.broken, c.hasDesc = false, false
	c.latest = seenVersion{}
	clear(c.slots[:])
}

func (c *checker) judge() {
	wrong := func(format string, args ...any) {
		c.find(c.stem, fmt.Errorf("%w: "+format, append([]any{errInconsistent}, args...)...))
	}
	d := &c.desc
	if !c.hasDesc {
		records := 0
		for _, v := range c.slots {
			if v.seen {
				records++
			}
		}
		if c.latest.seen || records > 0 {
			wrong("no descriptor, but latest %t and %d old versions", c.latest.seen, records)
		}
		return
	}
	if !c.latest.seen {
		wrong("no latest version, the descriptor has %d..%d", d.oldest, d.count)
		return
	}
	c.judgeLatest(wrong)
	c.judgeSlots(wrong)
}

func (c *checker) judgeLatest(wrong func(string, ...any)) {
	d, v := &c.desc, c.latest
	if v.bytes != d.latestBytes {
		wrong("the latest version has %d bytes, the descriptor says %d", v.bytes, d.latestBytes)
	}
	if v.tombstone != d.deleted {
		wrong("the latest version is a tombstone: %t; the descriptor says deleted: %t", v.tombstone, d.deleted)
	}
	if v.expires != d.expires {
		wrong("the latest version expires at %d, the descriptor says %d", v.expires, d.expires)
	}
	if d.revision.Less(v.ts) {
		wrong("the latest version is of %s, after the revision %s", v.ts, d.revision)
	}
}

func (c *checker) judgeSlots(wrong func(string, ...any)) {
	d := &c.desc
	var before hlc.Timestamp
	total := c.latest.bytes
	complete := true
	for v := d.oldest; v <= d.count; v++ {
		at := c.latest
		if v < d.count {
			slot := slotOf(v, d.base)
			at = c.slots[slot]
			c.slots[slot].seen = false
			if !at.seen {
				wrong("version %d of %d..%d is missing (slot %d, base %d)", v, d.oldest, d.count, slot, d.base)
				complete = false
				continue
			}
			total += at.bytes
		}
		if v == d.oldest && at.ts.Less(d.created) {
			wrong("version %d is of %s, before the key's creation at %s", v, at.ts, d.created)
		}
		if !before.Less(at.ts) {
			wrong("version %d is of %s, not after the version before it, of %s", v, at.ts, before)
		}
		before = at.ts
	}
	for slot, v := range c.slots {
		if v.seen {
			wrong("slot %d holds a version that the descriptor does not have (%d..%d, base %d)", slot, d.oldest, d.count, d.base)
		}
	}
	if complete {
		c.judgeSizes(total, wrong)
	}
}

// judgeSizes compares what was ever written with what there is: no less, and exactly that as long as
// nothing was dropped, which the oldest version's timestamp tells.
func (c *checker) judgeSizes(total int64, wrong func(string, ...any)) {
	d := &c.desc
	if d.writtenBytes < total {
		wrong("%d bytes in all versions, the descriptor says that only %d were written", total, d.writtenBytes)
	}
	oldest := c.latest
	if d.oldest < d.count {
		oldest = c.slots[slotOf(d.oldest, d.base)]
	}
	if oldest.ts == d.created && d.writtenBytes != total {
		wrong("%d bytes in all versions and none dropped, the descriptor says that %d were written", total, d.writtenBytes)
	}
}

// settingsRecord takes in one record of bucket settings.
func (c *checker) settingsRecord(stored, value []byte) {
	c.report.Buckets++
	if len(stored) != len(keys.AppendBucketSettings(nil, 0)) {
		c.find(stored, fmt.Errorf("%w: a settings key of %d bytes", errInconsistent, len(stored)))
		return
	}
	if _, _, err := parseSettings(value); err != nil {
		c.find(stored, err)
	}
}
