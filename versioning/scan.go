package versioning

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
)

// ScanOptions says what a scan returns. nil means all live keys, forward, without values.
type ScanOptions struct {
	// Start and End bound the keys to [Start, End), in both directions. An empty Start is the
	// beginning of the bucket, a nil End its end. Prefix bounds them further.
	Start, End, Prefix []byte
	// Reverse walks from the highest key down.
	Reverse bool
	// Limit ends the scan after that many keys; 0 means no limit.
	Limit int
	// Values reads the values. Without them the scan reads descriptors only, which Entry.Descriptor
	// then holds; with them, Descriptor stays zero unless Descriptors is set, which costs a point
	// read a key.
	Values      bool
	Descriptors bool
	// Deleted returns keys too whose latest version is a tombstone or expired, with Value.Tombstone
	// and Value.ExpireAt saying so.
	Deleted bool
	// At returns what the keys held at that time, as GetAt does. The zero timestamp is the present.
	At hlc.Timestamp
	// Resume goes on behind the entry whose Token it is. Bucket, Reverse and At must be those of the
	// scan that the token came from; the bounds apply too.
	Resume Token
	// Borrow leaves Key and Value.Data in the scan's own memory, valid until the loop's next step.
	// Otherwise they are the caller's.
	Borrow bool
}

// Entry is one key of a scan.
type Entry struct {
	Key []byte
	// Value is the latest version, or the one of ScanOptions.At. Without values, Data is nil,
	// Checksum 0, and in a scan of the present Timestamp is zero as well: the descriptor has the
	// revision. Version is set when the descriptor was read.
	Value Value
	// Descriptor describes the key as it is now; zero when it was not read.
	Descriptor Descriptor

	scan *scan
}

// Token returns where a scan goes on behind e. Call it inside the loop, before the next step.
func (e Entry) Token() Token {
	return appendToken(nil, token{reverse: e.scan.o.Reverse, bucket: e.scan.b.id, at: e.scan.o.At, key: e.Key})
}

// Scan walks over the keys of a bucket in the order of their bytes. All of one scan is of one
// instant, that of the first step; a resumed scan is of a later one unless At is set. A scan holds an
// engine snapshot and a bounded buffer while the loop runs, however much it walks over.
//
// An error comes with the last step and ends the scan, with one exception: a key whose history does
// not reach back to At gives an entry that has only the key, together with ErrHistoryTruncated, and
// the scan goes on if the loop does. Errors: ErrBadToken, ErrTokenVersion; else as for Get.
func (b *Bucket) Scan(ctx context.Context, opts *ScanOptions) iter.Seq2[Entry, error] {
	s := &scan{b: b}
	if opts != nil {
		s.o = *opts
	}
	return func(yield func(Entry, error) bool) {
		run := &scan{b: s.b, o: s.o}
		if err := run.run(ctx, yield); err != nil {
			yield(Entry{scan: run}, err)
		}
	}
}

// scan is one scan under way.
type scan struct {
	b    *Bucket
	o    ScanOptions
	snap *engine.Snapshot
	// now is the wall time by which values expire: of At, or read once when the first value that
	// can expire comes by.
	now     int64
	haveNow bool
	key     []byte
	reader  versionReader
}

// errSkip says that a key is not part of the scan.
var errSkip = errors.New("skip")

// scanCheckRows is how many rows go by between two looks at the context.
const scanCheckRows = 256

func (s *scan) run(ctx context.Context, yield func(Entry, error) bool) (err error) {
	if err := s.b.ready(ctx); err != nil {
		return err
	}
	bounds, err := s.bounds()
	if err != nil || bounds.Empty() {
		return err
	}
	if !s.o.At.IsZero() {
		s.now, s.haveNow = s.o.At.WallNanos, true
	}
	if s.snap, err = s.b.store.eng.NewSnapshot(); err != nil {
		return err
	}
	defer s.snap.Close()
	s.reader.store = s.b.store
	it, err := s.b.store.shard.NewIterator(&engine.IterOptions{
		Lower: bounds.Lower, Upper: bounds.Upper, Snapshot: s.snap, Suffix: []byte(s.suffix()),
		// Reads ahead, and past the block cache: for a whole bucket, not for a prefix that is asked for often.
		LongScan: s.o.Limit == 0 && len(s.o.Prefix) == 0 && len(s.o.Start) == 0 && s.o.End == nil,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()

	step := it.Next
	ok := false
	if s.o.Reverse {
		step, ok = it.Prev, it.Last()
	} else {
		ok = it.First()
	}
	found := 0
	for rows := 1; ok; ok, rows = step(), rows+1 {
		if rows%scanCheckRows == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		e, err := s.entry(it.Key(), it.Value())
		if errors.Is(err, errSkip) {
			continue
		}
		if err != nil && !errors.Is(err, ErrHistoryTruncated) {
			return err
		}
		if !yield(e, err) {
			return nil
		}
		if found++; found == s.o.Limit {
			return nil
		}
	}
	return nil // the iterator's own error comes with Close
}

// latestRows reports whether the scan walks over `@l` records; otherwise over descriptors.
func (s *scan) latestRows() bool { return s.o.Values && s.o.At.IsZero() }

func (s *scan) suffix() string {
	if s.latestRows() {
		return keys.SuffixLatest
	}
	return keys.SuffixDescriptor
}

// bounds checks the options and intersects everything that bounds the scan.
func (s *scan) bounds() (keys.Bounds, error) {
	if s.o.Limit < 0 {
		return keys.Bounds{}, fmt.Errorf("%w: limit %d", ErrInvalidOptions, s.o.Limit)
	}
	bounds := keys.RangeBounds(s.b.id, s.o.Start, s.o.End)
	if len(s.o.Prefix) > 0 {
		bounds = intersect(bounds, keys.PrefixBounds(s.b.id, s.o.Prefix))
	}
	if s.o.Resume == nil {
		return bounds, nil
	}
	t, err := parseToken(s.o.Resume)
	if err != nil {
		return keys.Bounds{}, err
	}
	if t.bucket != s.b.id || t.reverse != s.o.Reverse || t.at != s.o.At {
		return keys.Bounds{}, fmt.Errorf("%w: it is of a scan of bucket %d, reverse %t, at %s", ErrBadToken, t.bucket, t.reverse, t.at)
	}
	if s.o.Reverse {
		return intersect(bounds, keys.RangeBounds(s.b.id, nil, t.key)), nil
	}
	return intersect(bounds, keys.RangeBounds(s.b.id, keys.Successor(nil, t.key), nil)), nil
}

func intersect(a, b keys.Bounds) keys.Bounds {
	if bytes.Compare(a.Lower, b.Lower) < 0 {
		a.Lower = b.Lower
	}
	if bytes.Compare(a.Upper, b.Upper) > 0 {
		a.Upper = b.Upper
	}
	return a
}

// entry decodes one row; errSkip if the key is not part of the scan.
func (s *scan) entry(stored, value []byte) (Entry, error) {
	if !s.o.Borrow {
		s.key = make([]byte, 0, len(stored))
	}
	rec, err := keys.Parse(s.key[:0], stored)
	if err != nil {
		return Entry{}, err
	}
	s.key = rec.Key
	e := Entry{Key: rec.Key, scan: s}
	if s.latestRows() {
		err = s.latestEntry(&e, stored, value)
	} else {
		err = s.descriptorEntry(&e, stored, value)
	}
	if err != nil && !errors.Is(err, errSkip) {
		err = s.b.keyErr(err, e.Key)
	}
	return e, err
}

// latestEntry decodes a row `@l`.
func (s *scan) latestEntry(e *Entry, stored, value []byte) error {
	rec, err := ParseRecord(value)
	if err != nil {
		return err
	}
	if err := s.skipDead(rec.Tombstone, rec.ExpiresWallNanos); err != nil {
		return err
	}
	e.Value = valueOf(&rec)
	if !s.o.Borrow {
		e.Value.own()
	}
	if s.o.Descriptors {
		d, err := s.b.descriptor(e.Key, s.snap)
		if err != nil {
			return err
		}
		e.Descriptor, e.Value.Version, e.Value.Revision = d.public(), d.count, d.revision
	}
	return nil
}

// descriptorEntry decodes a row `.d` and reads the version that belongs to it if it is needed.
func (s *scan) descriptorEntry(e *Entry, stored, value []byte) error {
	d, err := parseDescriptor(value)
	if err != nil {
		return err
	}
	if !s.o.At.IsZero() {
		return s.entryAt(e, stored, &d)
	}
	if err := s.skipDead(d.deleted, d.expires); err != nil {
		return err
	}
	e.Descriptor = d.public()
	e.Value = Value{Size: int(d.latestBytes), Version: d.count, Revision: d.revision, ExpireAt: timeOf(d.expires), Tombstone: d.deleted}
	return nil
}

// entryAt reads what a key held at the scan's time.
func (s *scan) entryAt(e *Entry, stored []byte, d *descriptor) error {
	if s.o.At.Less(d.created) {
		return errSkip
	}
	stem, _, err := keys.SplitStem(stored)
	if err != nil {
		return err
	}
	version, err := s.versionAt(stem, d)
	if err != nil {
		return err
	}
	v, err := s.b.store.versionAt(stem, d, version, s.o.Values, s.snap)
	if err != nil {
		return err
	}
	var expires int64
	if !v.ExpireAt.IsZero() {
		expires = v.ExpireAt.UnixNano()
	}
	if err := s.skipDead(v.Tombstone, expires); err != nil {
		return err
	}
	e.Value, e.Descriptor = v, d.public()
	return nil
}

// versionAt returns the number of the version that was the latest at the scan's time.
func (s *scan) versionAt(stem []byte, d *descriptor) (int, error) {
	if !s.o.At.Less(d.revision) {
		return d.count, nil
	}
	latest, err := s.b.store.versionAt(stem, d, d.count, false, s.snap)
	if err != nil {
		return 0, err
	}
	if !s.o.At.Less(latest.Timestamp) {
		return d.count, nil
	}
	s.reader.stem = stem
	version, err := s.reader.search(d, s.o.At, s.snap)
	if err == nil && version == 0 {
		err = fmt.Errorf("%w: the oldest version is %d", ErrHistoryTruncated, d.oldest)
	}
	return version, err
}

// skipDead returns errSkip for a version that the scan leaves out.
func (s *scan) skipDead(tombstone bool, expires int64) error {
	if s.o.Deleted {
		return nil
	}
	if tombstone {
		return errSkip
	}
	if expires == 0 {
		return nil
	}
	if !s.haveNow {
		now, err := s.b.store.opts.ReadTime()
		if err != nil {
			return err
		}
		s.now, s.haveNow = now.WallNanos, true
	}
	if s.now >= expires {
		return errSkip
	}
	return nil
}
