package versioning

import (
	"context"
	"fmt"
	"time"

	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
)

// Value is one version of a key.
type Value struct {
	// Data is the value; empty in a tombstone. Unless a method says otherwise it is the caller's.
	Data []byte
	// Size is the length of the value in bytes, also where Data was not asked for.
	Size int
	// Version is the version's number now, 1..255; later writes can lower it. 0 where it was not
	// asked for: Get, View and a Scan with values, which save reading the descriptor.
	Version int
	// Revision is the key's revision at the instant of the read: what PutOptions.IfRevision compares
	// with. It is set wherever Version is, and zero elsewhere.
	Revision hlc.Timestamp
	// Timestamp says when the version was written. It never changes.
	Timestamp hlc.Timestamp
	// ExpireAt is when the version expires; the zero time: never.
	ExpireAt time.Time
	// Tombstone marks a deletion.
	Tombstone bool
	// Checksum is the CRC-32C of the value, as verified by this read or as the client sent it; 0
	// where the data was not read.
	Checksum uint32
}

func valueOf(r *Record) Value {
	return Value{
		Data: r.Data, Size: len(r.Data), Timestamp: r.Timestamp, ExpireAt: timeOf(r.ExpiresWallNanos),
		Tombstone: r.Tombstone, Checksum: r.Checksum,
	}
}

// own gives v data of its own.
func (v *Value) own() { v.Data = append(make([]byte, 0, len(v.Data)), v.Data...) }

// liveAt reports whether r counts as a value at wall time now.
func (r *Record) liveAt(now int64) bool {
	return !r.Tombstone && (r.ExpiresWallNanos == 0 || now < r.ExpiresWallNanos)
}

// Get returns the key's value: its latest version, unless that is a tombstone or has expired. It is
// one point read; Value.Version stays 0 (GetVersion with Latest fills it in). Errors: ErrNotFound,
// base.ErrCorruption for damaged records, those of impossible keys, and the engine's.
func (b *Bucket) Get(ctx context.Context, key []byte) (Value, error) {
	var v Value
	err := b.View(ctx, key, func(got Value) error {
		got.own()
		v = got
		return nil
	})
	return v, err
}

// View is Get without a copy: it calls fn with the value, whose Data is valid only until fn returns
// and must not be changed. It returns fn's error. While fn runs the shard cannot be dropped or
// replaced, so fn must not wait for that; anything else is allowed.
func (b *Bucket) View(ctx context.Context, key []byte, fn func(Value) error) error {
	if err := b.readable(ctx, key); err != nil {
		return err
	}
	var room [256]byte
	stored := keys.AppendLatest(room[:0], b.id, key)
	var fnErr error
	err := b.store.shard.View(stored, nil, func(stored []byte) error {
		rec, err := ParseRecord(stored)
		if err != nil {
			return err
		}
		live, err := b.store.live(&rec)
		if err != nil {
			return err
		}
		if !live {
			return ErrNotFound
		}
		fnErr = fn(valueOf(&rec))
		return nil
	})
	if isMissing(err) {
		err = ErrNotFound
	}
	if err != nil {
		return b.keyErr(err, key)
	}
	return fnErr
}

// live reports whether a latest version counts as a value now.
func (s *Store) live(rec *Record) (bool, error) {
	if rec.Tombstone || rec.ExpiresWallNanos == 0 {
		return !rec.Tombstone, nil
	}
	now, err := s.opts.ReadTime()
	if err != nil {
		return false, err
	}
	return rec.liveAt(now.WallNanos), nil
}

// Describe returns the key's descriptor. A deleted or expired key has one. Errors: ErrNotFound when
// the key never existed or was purged; else as for Get.
func (b *Bucket) Describe(ctx context.Context, key []byte) (Descriptor, error) {
	if err := b.readable(ctx, key); err != nil {
		return Descriptor{}, err
	}
	d, err := b.descriptor(key, nil)
	if err != nil {
		return Descriptor{}, b.keyErr(err, key)
	}
	return d.public(), nil
}

// descriptor reads a key's descriptor; ErrNotFound if there is none.
func (b *Bucket) descriptor(key []byte, snap *engine.Snapshot) (d descriptor, err error) {
	var room [256]byte
	err = b.store.shard.View(keys.AppendDescriptor(room[:0], b.id, key), readAt(snap), func(stored []byte) (err error) {
		d, err = parseDescriptor(stored)
		return err
	})
	if isMissing(err) {
		err = ErrNotFound
	}
	return d, err
}

func readAt(snap *engine.Snapshot) *engine.ReadOptions {
	if snap == nil {
		return nil
	}
	return &engine.ReadOptions{Snapshot: snap}
}

// maxHintedReads is how often GetVersion follows a descriptor that changes under it before it
// pins a snapshot.
const maxHintedReads = 4

// GetVersion returns the version with that number, 1..255, as it is stored: tombstones and expired
// versions too, marked as such. Latest (255) is the latest version whatever its number; Value.Version
// says which it is. Errors: ErrNotFound when the key or the number never was; ErrHistoryTruncated
// when rollover or vacuum took it; ErrInvalidVersion; else as for Get.
//
// The number and the bytes belong together even while other goroutines roll the key over.
func (b *Bucket) GetVersion(ctx context.Context, key []byte, version int) (Value, error) {
	if err := b.readable(ctx, key); err != nil {
		return Value{}, err
	}
	if version < 1 || version > MaxVersions {
		return Value{}, b.keyErr(fmt.Errorf("%w: %d", ErrInvalidVersion, version), key)
	}
	v, err := b.getVersion(key, version)
	if err != nil {
		return Value{}, b.keyErr(err, key)
	}
	return v, nil
}

// getVersion guesses where the version lies and reads that record together with the descriptor, at
// one instant. A wrong guess is put right by the descriptor that came with it.
func (b *Bucket) getVersion(key []byte, version int) (Value, error) {
	s := b.store
	cacheKey := s.appendCacheKey(make([]byte, 0, 64+len(key)), b.id, key)
	d, _, known := s.cache.get(s.cache.hash(cacheKey), cacheKey)
	if !known {
		d = descriptor{count: MaxVersions, oldest: 1} // the spec's plain layout
	}
	r := versionReader{store: s, stem: cacheKey[cacheIDBytes:]}
	for range maxHintedReads {
		place := d.place(version)
		now, stored, err := r.read(place, nil)
		if err != nil {
			return Value{}, err
		}
		if err := now.has(version); err != nil {
			return Value{}, err
		}
		if now.place(version) == place {
			return r.value(&now, version, stored)
		}
		s.counts.retries.Add(1)
		d = now
	}
	return b.getVersionAt(&r, version)
}

// getVersionAt is getVersion where the key is written faster than it can be followed.
func (b *Bucket) getVersionAt(r *versionReader, version int) (Value, error) {
	snap, err := b.store.eng.NewSnapshot()
	if err != nil {
		return Value{}, err
	}
	defer snap.Close()
	d, _, err := r.read(0, snap)
	if err != nil {
		return Value{}, err
	}
	if err := d.has(version); err != nil {
		return Value{}, err
	}
	d, stored, err := r.read(d.place(version), snap)
	if err != nil {
		return Value{}, err
	}
	return r.value(&d, version, stored)
}

// place returns where a version lies: the slot, or 0 for `@l`.
func (d *descriptor) place(version int) uint8 {
	if version == Latest || version >= d.count {
		return 0
	}
	return slotOf(version, d.base)
}

// has returns nil if a version of that number exists, and else why not.
func (d *descriptor) has(version int) error {
	switch {
	case version == Latest:
		return nil
	case version > d.count:
		return fmt.Errorf("%w: version %d, the latest is %d", ErrNotFound, version, d.count)
	case version < d.oldest:
		return fmt.Errorf("%w: version %d, the oldest is %d", ErrHistoryTruncated, version, d.oldest)
	}
	return nil
}

// versionReader reads one key's descriptor together with one of its versions.
type versionReader struct {
	store  *Store
	stem   []byte
	result engine.MultiResult
}

// read returns the descriptor, or ErrNotFound, and the record at a place, nil if it is not there;
// both of one instant. Place 0 is `@l`.
func (r *versionReader) read(place uint8, snap *engine.Snapshot) (d descriptor, stored []byte, err error) {
	n := len(r.stem)
	buf := make([]byte, 0, 2*(n+keys.SuffixBytes))
	buf = append(append(buf, r.stem...), keys.SuffixDescriptor...)
	if buf = append(buf, r.stem...); place == 0 {
		buf = append(buf, keys.SuffixLatest...)
	} else {
		buf = append(buf, keys.DelimVersion, place)
	}
	pair := [2][]byte{buf[:n+keys.SuffixBytes], buf[n+keys.SuffixBytes:]}
	if err := r.store.shard.MultiGetInto(&r.result, pair[:], readAt(snap)); err != nil {
		return d, nil, err
	}
	desc, ok := r.result.Value(0)
	if !ok {
		return d, nil, ErrNotFound
	}
	if d, err = parseDescriptor(desc); err != nil {
		return d, nil, err
	}
	stored, _ = r.result.Value(1)
	return d, stored, nil
}

// value decodes the record of an existing version. Its data is the caller's.
func (r *versionReader) value(d *descriptor, version int, stored []byte) (Value, error) {
	if stored == nil {
		return Value{}, fmt.Errorf("%w: version %d", ErrMissingRecord, version)
	}
	rec, err := ParseRecord(stored)
	if err != nil {
		return Value{}, fmt.Errorf("version %d: %w", version, err)
	}
	v := valueOf(&rec) // aliases r.result, which nobody uses again
	if v.Version = version; version == Latest {
		v.Version = d.count
	}
	v.Revision = d.revision
	return v, nil
}

// readable checks what every read checks first.
func (b *Bucket) readable(ctx context.Context, key []byte) error {
	if err := b.ready(ctx); err != nil {
		return err
	}
	return keys.Validate(key)
}
