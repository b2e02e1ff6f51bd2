package versioning

import (
	"errors"
	"fmt"

	storagev1 "github.com/shieldmaidens/pleiades/api/storage/v1"
	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/keys"
)

// Applier turns operations on one store into the writes of one engine batch. Later operations see
// what earlier ones will have written. It takes timestamps from outside and depends on nothing but
// them, the operations and the records, so replicas that apply the same operations stay identical.
//
// The caller serialises: nobody else may write to the store's keys that the applier touches, from
// its first operation until Committed or Discard. Store.Put and its kin hold key locks for that; a
// replicated state machine is alone by nature. The batch may hold writes of others too.
//
//	a := store.NewApplier(batch)
//	for … { result, err := a.Apply(&op, timestamp) }
//	err := eng.Commit(ctx, batch, mode)
//	if err == nil { a.Committed() } else { a.Discard() }
//
// An error of Apply leaves the batch as it was, and the applier usable, unless Err returns it too.
// An Applier is not safe for concurrent use.
type Applier struct {
	store *Store
	batch *engine.Batch
	// lone: exactly one operation will be applied, so nothing needs to be remembered for later ones.
	lone bool

	overlay  overlay
	settings map[keys.BucketID]Settings // changed by this applier
	highest  hlc.Timestamp
	err      error
	hooks
	// Scratch memory.
	plan    plan
	pb      *storagev1.KeyValuePairDescriptor
	result  engine.MultiResult
	desc    []byte
	record  []byte
	keyPair [2][]byte
	pairBuf []byte
}

// NewApplier returns an applier that writes into batch, which must belong to the store's engine.
func (s *Store) NewApplier(batch *engine.Batch) *Applier {
	return &Applier{store: s, batch: batch, pb: new(storagev1.KeyValuePairDescriptor)}
}

// Err returns the error, if any, after which the batch is incomplete: it must not be committed.
func (a *Applier) Err() error { return a.err }

// Highest returns the highest timestamp that an operation got: at least the one given to Apply, and
// above it where the key's revision demanded that.
func (a *Applier) Highest() hlc.Timestamp { return a.highest }

// Apply plans op and appends its writes to the batch. op and its slices are not kept. The operation
// gets the timestamp ts, or the one right above the key's revision if that is higher; expiry is
// judged by ts, which is above the zero timestamp.
//
// Errors that say "no": ErrNotFound, ErrExists, ErrRevisionMismatch, ErrVersionsExhausted, and those
// of impossible input (base.ErrInvalid). Errors that say "broken": base.ErrCorruption, base.ErrVersion
// and what the engine returns; after those Err may be set.
func (a *Applier) Apply(op *Op, ts hlc.Timestamp) (WriteResult, error) {
	if a.err != nil {
		return WriteResult{}, a.err
	}
	if err := op.check(a.store.opts.MaxValueBytes); err != nil {
		return WriteResult{}, err
	}
	if ts.WallNanos < 0 || ts.IsZero() {
		return WriteResult{}, fmt.Errorf("%w: a write at timestamp %s", ErrInvalidOptions, ts)
	}
	if err := a.store.claimShard(); err != nil {
		return WriteResult{}, err
	}
	if op.Kind == OpSetSettings {
		return a.applySettings(op, ts)
	}
	res, err := a.apply(op, ts)
	if err != nil {
		return WriteResult{}, a.store.opError(op, err)
	}
	return res, nil
}

func (a *Applier) apply(op *Op, ts hlc.Timestamp) (WriteResult, error) {
	settings, err := a.bucketSettings(op.Bucket)
	if err != nil {
		return WriteResult{}, err
	}
	st := a.overlay.state(a.store, op.Bucket, op.Key)
	wantLatest := op.appends() && !op.IfAbsent && settings.MaxVersions > 1
	reads, err := a.load(st, wantLatest)
	if err != nil {
		return WriteResult{}, err
	}
	now := ts.WallNanos
	if floor := later(st.desc.revision, st.floor); !floor.Less(ts) {
		if ts, a.bumped = floor.Next(), true; !floor.Less(ts) {
			return WriteResult{}, fmt.Errorf("%w: the key's revision is %s", hlc.ErrExhausted, floor)
		}
	}
	rec, err := a.planOp(op, &st.desc, settings, ts, now)
	if err != nil {
		return WriteResult{}, err
	}
	if a.plan.needsLatest() && !st.haveLatest {
		if err := a.loadLatest(st); err != nil {
			return WriteResult{}, err
		}
		reads++
	}
	a.highest = later(a.highest, ts)
	reads += a.plan.slotReads()
	if err := a.guarded(op, st, rec); err != nil {
		if len(a.plan.moves) > 0 && errors.Is(err, engine.ErrBatchTooLarge) {
			err = fmt.Errorf("%w (rollover cascade rewrites %d versions at once; set the bucket to relabel, or drop versions first)",
				err, len(a.plan.moves)+1)
		}
		return WriteResult{}, err
	}
	st.floor = later(st.floor, ts)
	res := WriteResult{
		Version: a.plan.after.count, Revision: a.plan.after.revision,
		RolledOver: a.plan.rolled, Dropped: a.plan.dropped,
		Reads: reads, Writes: a.plan.writes(), Usage: a.usage,
	}
	if op.Kind == OpPurge {
		res.Revision = ts
	}
	return res, nil
}

// planOp checks op's conditions and fills a.plan. It returns the record of a new version, if op
// writes one.
func (a *Applier) planOp(op *Op, d *descriptor, settings Settings, ts hlc.Timestamp, now int64) (Record, error) {
	if op.IfRevision != nil && *op.IfRevision != d.revision {
		return Record{}, &RevisionError{Want: *op.IfRevision, Have: d.revision}
	}
	rec := Record{Timestamp: ts}
	switch op.Kind {
	case OpPut:
		if op.IfAbsent && d.live(now) {
			return rec, ErrExists
		}
		crc, err := op.checksum()
		if err != nil {
			return rec, err
		}
		rec.Data, rec.Checksum, rec.ExpiresWallNanos = op.Value, crc, op.ExpiresWallNanos
		return rec, planVersion(&a.plan, d, settings, version{
			ts: ts, bytes: int64(len(op.Value)), expires: op.ExpiresWallNanos, vacuumable: op.Vacuumable,
		})
	case OpRestore:
		return a.planRestore(op, d, settings, ts)
	case OpDelete:
		if !d.live(now) {
			return rec, ErrNotFound
		}
		rec.Tombstone = true
		return rec, planVersion(&a.plan, d, settings, version{ts: ts, tombstone: true})
	}
	if !d.exists() {
		return rec, ErrNotFound
	}
	switch op.Kind {
	case OpPurge:
		planPurge(&a.plan, d)
	case OpSetVacuumable:
		planVacuumable(&a.plan, d, ts, *op.Vacuumable)
	case OpDropVersions:
		planDrop(&a.plan, d, op.Oldest)
	}
	return rec, nil
}

// load reads what is not known yet of a key: its descriptor, and with it the latest version if that
// is wanted. It returns how many records it asked the engine for.
func (a *Applier) load(st *keyState, wantLatest bool) (reads int, err error) {
	if st.loaded {
		reads, st.prefetched = st.prefetched, 0
		return reads, nil
	}
	if desc, latest, ok := a.store.cache.get(st.hash, st.cacheKey()); ok {
		st.loaded, st.desc = true, desc
		st.latest, st.haveLatest, st.latestOwned = latest, latest != nil, true
		return 0, nil
	}
	a.pairBuf = append(append(a.pairBuf[:0], st.stem()...), keys.SuffixDescriptor...)
	a.keyPair[0] = a.pairBuf
	n := 1
	if wantLatest {
		a.keyPair[1], n = st.recordKey(keys.DelimLatest, keys.TagLatest), 2
	}
	r := &a.result
	if !a.lone {
		r = new(engine.MultiResult) // what it returns is kept in the overlay
	}
	if err := a.store.shard.MultiGetInto(r, a.keyPair[:n], nil); err != nil {
		return n, err
	}
	stored, ok := r.Value(0)
	if ok {
		if st.desc, err = parseDescriptor(stored); err != nil {
			return n, err
		}
		if wantLatest {
			st.latest, st.haveLatest = r.Value(1)
		}
	}
	st.loaded = true
	return n, nil
}

// loadLatest reads a key's latest version, which its descriptor promises.
func (a *Applier) loadLatest(st *keyState) error {
	latest, err := a.store.shard.Get(nil, st.recordKey(keys.DelimLatest, keys.TagLatest), nil)
	if isMissing(err) {
		return fmt.Errorf("%w: the latest version", ErrMissingRecord)
	}
	if err != nil {
		return err
	}
	st.latest, st.haveLatest = latest, true
	return nil
}

// execute appends the plan's writes to the batch and then brings the overlay up to date. Once the
// first write is in, an error leaves the batch incomplete and the applier unusable.
func (a *Applier) execute(st *keyState, rec Record) (err error) {
	p := &a.plan
	if p.nothing {
		return nil
	}
	count := a.batch.Count()
	defer func() {
		if err != nil && a.batch.Count() != count {
			a.err = err
		}
	}()
	if p.archive != 0 {
		if err := a.batch.Put(a.store.shard, st.recordKey(keys.DelimVersion, p.archive), st.latest); err != nil {
			return err
		}
	}
	for _, m := range p.moves {
		if err := a.moveSlot(st, m); err != nil {
			return err
		}
	}
	for _, slot := range p.deletes {
		if err := a.batch.Delete(a.store.shard, st.recordKey(keys.DelimVersion, slot)); err != nil {
			return err
		}
	}
	var latest []byte
	switch {
	case p.latest:
		latest = a.encode(&rec)
		err = a.batch.Put(a.store.shard, st.recordKey(keys.DelimLatest, keys.TagLatest), latest)
	case p.purge:
		err = a.batch.Delete(a.store.shard, st.recordKey(keys.DelimLatest, keys.TagLatest))
	}
	if err != nil {
		return err
	}
	if err := a.writeDescriptor(st); err != nil {
		return err
	}
	if !a.lone {
		st.rememberSlots(p)
	}
	st.changed = true
	st.desc = p.after
	if p.latest {
		st.latest, st.haveLatest, st.latestOwned = latest, true, cap(latest) <= cacheLatestBytes
	} else if p.purge {
		st.latest, st.haveLatest = nil, false
	}
	return nil
}

// encode returns the stored form of a new version: in memory of its own where it outlives this
// operation, in scratch memory where not.
func (a *Applier) encode(rec *Record) []byte {
	n := len(rec.Data) + MaxTrailerBytes
	if !a.lone || n <= cacheLatestBytes {
		return AppendRecord(make([]byte, 0, n), rec)
	}
	a.record = AppendRecord(a.record[:0], rec)
	return a.record
}

func (a *Applier) writeDescriptor(st *keyState) (err error) {
	key := st.recordKey(keys.DelimTag, keys.TagDescriptor)
	if a.plan.purge {
		return a.batch.Delete(a.store.shard, key)
	}
	if a.desc, err = appendDescriptor(a.desc[:0], &a.plan.after, a.pb); err != nil {
		return err
	}
	return a.putDescriptor(key)
}

// moveSlot writes the bytes that a slot has before the operation to another slot.
func (a *Applier) moveSlot(st *keyState, m move) error {
	src := st.slot(m.from)
	if src.bytes != nil {
		return a.batch.Put(a.store.shard, st.recordKey(keys.DelimVersion, m.to), src.bytes)
	}
	from := append(append([]byte(nil), st.stem()...), keys.DelimVersion, src.stored)
	err := a.store.shard.View(from, nil, func(stored []byte) error {
		return a.batch.Put(a.store.shard, st.recordKey(keys.DelimVersion, m.to), stored)
	})
	if isMissing(err) {
		return fmt.Errorf("%w: slot %d", ErrMissingRecord, m.from)
	}
	return err
}

// Committed says that the batch was committed: the store's caches take over what was written.
func (a *Applier) Committed() {
	a.marksCommitted()
	for _, st := range a.overlay.states {
		switch {
		case !st.loaded:
		case st.desc.exists():
			a.store.cache.put(st.hash, st.cacheKey(), &st.desc, st.latestForCache())
		case st.changed:
			a.store.cache.drop(st.hash, st.cacheKey())
		}
	}
	for bucket, settings := range a.settings {
		a.store.settings.changed(bucket, settings)
	}
}

// Discard says that the batch was not committed, or that nobody knows: the store's caches forget
// what the batch would have changed, so that the engine is asked.
func (a *Applier) Discard() {
	for _, st := range a.overlay.states {
		if st.changed {
			a.store.cache.drop(st.hash, st.cacheKey())
		}
	}
	for bucket := range a.settings {
		a.store.settings.forget(bucket)
	}
}

// applySettings writes a bucket's settings; operations behind it in the same batch see them.
func (a *Applier) applySettings(op *Op, ts hlc.Timestamp) (WriteResult, error) {
	before, err := a.bucketSettings(op.Bucket)
	if err != nil {
		return WriteResult{}, a.store.opError(op, err)
	}
	_, unknown, err := a.store.readSettings(op.Bucket)
	if err != nil {
		return WriteResult{}, a.store.opError(op, err)
	}
	settings := op.Settings
	if settings.Updated = ts; !before.Updated.Less(ts) {
		settings.Updated, a.bumped = before.Updated.Next(), true
	}
	stored, err := appendSettings(nil, settings, unknown)
	if err != nil {
		return WriteResult{}, err
	}
	key := keys.AppendBucketSettings(nil, op.Bucket)
	if err := a.batch.Put(a.store.shard, key, stored); err != nil {
		return WriteResult{}, err
	}
	if a.settings == nil {
		a.settings = map[keys.BucketID]Settings{}
	}
	a.settings[op.Bucket] = settings
	a.highest = later(a.highest, settings.Updated)
	return WriteResult{Revision: settings.Updated, Reads: 1, Writes: 1}, nil
}

func (a *Applier) bucketSettings(b keys.BucketID) (Settings, error) {
	if s, ok := a.settings[b]; ok {
		return s, nil
	}
	return a.store.bucketSettings(b)
}

// opError says which operation on which key met err.
func (s *Store) opError(op *Op, err error) error {
	return fmt.Errorf("%w: %v %s in bucket %d of shard %d", err, op.Kind, base.Quote(op.Key), op.Bucket, s.shard.ID())
}
