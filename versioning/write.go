package versioning

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
)

// PutOptions qualifies a put. nil means none of it.
type PutOptions struct {
	// IfRevision makes the put fail with a *RevisionError (ErrRevisionMismatch) unless the key's
	// revision is this one. The zero timestamp asks for a key that does not exist, not even deleted.
	// To change what was read: GetVersion(key, Latest), then Put with the Value's Revision. A write
	// between the two fails the put. A Value's Timestamp is no revision: SetVacuumable, for one, raises
	// the revision alone.
	IfRevision *hlc.Timestamp
	// IfAbsent makes the put fail with ErrExists if the key has a value: deleted and expired keys
	// have none.
	IfAbsent bool
	// ExpireAt is when the value ceases to exist for Get and Scan. The zero time: never.
	ExpireAt time.Time
	// Vacuumable sets the key's flag that permits vacuum; nil leaves it as it is.
	Vacuumable *bool
	// Checksum is the CRC-32C of the value, if the caller has it: a value that was damaged on its way
	// is refused with ErrChecksumMismatch. The checksum is stored and comes back with every read.
	Checksum *uint32
	// NoSync returns before the write is durable: it survives the end of the process and may be lost
	// with the machine. Later synced writes make it durable.
	NoSync bool
}

// WriteOptions qualifies the writes that are not puts. nil means none of it.
type WriteOptions struct {
	// IfRevision is as in PutOptions.
	IfRevision *hlc.Timestamp
	// NoSync is as in PutOptions.
	NoSync bool
}

func (o *WriteOptions) split() (ifRevision *hlc.Timestamp, noSync bool) {
	if o == nil {
		return nil, false
	}
	return o.IfRevision, o.NoSync
}

// putOp builds the op of a put; value and options are not copied.
func putOp(b *Bucket, key, value []byte, opts *PutOptions) (Op, error) {
	op := Op{Kind: OpPut, Bucket: b.id, Key: key, Value: value}
	if opts == nil {
		return op, nil
	}
	expires, ok := nanosOf(opts.ExpireAt)
	if !ok {
		return op, fmt.Errorf("%w: expiry %v is not between 1970 and 2262", ErrInvalidOptions, opts.ExpireAt)
	}
	op.IfRevision, op.IfAbsent, op.ExpiresWallNanos = opts.IfRevision, opts.IfAbsent, expires
	op.Vacuumable, op.Checksum = opts.Vacuumable, opts.Checksum
	return op, nil
}

// Put writes a new version of key, durably unless NoSync is set. key and value stay the caller's and
// must not change until Put returns. Writers of one key go one after the other, writers of different
// keys in parallel; both share the engine's syncs.
//
// ctx counts while Put waits for other writers of the key and for the committer; once the write has
// been taken Put waits for its outcome.
//
// Errors: keys.ErrEmptyKey, keys.ErrKeyTooLong, ErrValueTooLarge, ErrRevisionMismatch, ErrExists,
// ErrVersionsExhausted, ErrBusy; of the engine: ErrNotWritten, ErrDiskFull, ErrUnknownOutcome (read
// back after reopening), ErrShardDropped. All but ErrUnknownOutcome: nothing was written.
func (b *Bucket) Put(ctx context.Context, key, value []byte, opts *PutOptions) (WriteResult, error) {
	op, err := putOp(b, key, value, opts)
	if err != nil {
		return WriteResult{}, err
	}
	return b.write(ctx, op, opts != nil && opts.NoSync)
}

// Delete writes a tombstone as the key's new latest version: Get and Scan do not find the key any
// more, its history stays until vacuum. It rolls over like a put, also under Refuse. Errors:
// ErrNotFound when the key has no value; else as for Put.
func (b *Bucket) Delete(ctx context.Context, key []byte, opts *WriteOptions) (WriteResult, error) {
	ifRevision, noSync := opts.split()
	return b.write(ctx, Op{Kind: OpDelete, Bucket: b.id, Key: key, IfRevision: ifRevision}, noSync)
}

// Purge removes a key with its whole history; as far as reads can tell it never existed. It is let
// through on a full disk. Errors: ErrNotFound when there is no such key, not even a deleted one;
// else as for Put.
func (b *Bucket) Purge(ctx context.Context, key []byte, opts *WriteOptions) (WriteResult, error) {
	ifRevision, noSync := opts.split()
	return b.write(ctx, Op{Kind: OpPurge, Bucket: b.id, Key: key, IfRevision: ifRevision}, noSync)
}

// SetVacuumable permits or forbids vacuum to take old versions of a key, without writing a version.
// It moves the key's revision, unless the flag is already as asked for. Errors: ErrNotFound when there
// is no such key, not even a deleted one; else as for Put.
func (b *Bucket) SetVacuumable(ctx context.Context, key []byte, vacuumable bool, opts *WriteOptions) (WriteResult, error) {
	ifRevision, noSync := opts.split()
	return b.write(ctx, Op{Kind: OpSetVacuumable, Bucket: b.id, Key: key, Vacuumable: &vacuumable, IfRevision: ifRevision}, noSync)
}

// DropVersions removes the versions below number oldest, 1..255, and never the latest. Numbers stay
// as they are, and so does the revision: pass the one that the decision was made on as IfRevision,
// because any write in between may have moved the numbers. It is what vacuum is made of, and is let
// through on a full disk. Dropping what is gone already writes nothing. Errors: ErrNotFound,
// ErrInvalidVersion; else as for Put.
func (b *Bucket) DropVersions(ctx context.Context, key []byte, oldest int, opts *WriteOptions) (WriteResult, error) {
	ifRevision, noSync := opts.split()
	return b.write(ctx, Op{Kind: OpDropVersions, Bucket: b.id, Key: key, Oldest: oldest, IfRevision: ifRevision}, noSync)
}

// keyWrite is one operation on its way, and then its outcome.
type keyWrite struct {
	op     Op
	noSync bool
	res    WriteResult
	err    error
}

// bytes is about what the write adds to a batch.
func (w *keyWrite) bytes() int { return len(w.op.Key) + len(w.op.Value) + 128 }

// write does one operation by itself or, if others wait for the same key, together with theirs.
func (b *Bucket) write(ctx context.Context, op Op, noSync bool) (WriteResult, error) {
	s := b.store
	if err := b.ready(ctx); err != nil {
		return WriteResult{}, err
	}
	if err := op.check(s.opts.MaxValueBytes); err != nil {
		return WriteResult{}, err
	}
	w := &keyWrite{op: op, noSync: noSync}
	hash := s.opHash(&w.op)
	done, err := s.locks.lock(ctx, hash, w)
	if err != nil {
		return WriteResult{}, s.opError(&w.op, err)
	}
	if !done {
		s.lead(ctx, hash, w)
	}
	return w.res, w.err
}

// lead does w and the writes that wait behind it for the same lock, which the caller holds, in one
// commit, and releases the lock.
func (s *Store) lead(ctx context.Context, hash uint64, w *keyWrite) {
	followers := s.locks.takeWrites(nil, hash, w.bytes())
	defer s.locks.unlock(hash)
	if len(followers) == 0 {
		one := [1]*keyWrite{w}
		s.commit(ctx, one[:])
		return
	}
	group := make([]*keyWrite, 1, 1+len(followers))
	group[0] = w
	for _, f := range followers {
		group = append(group, f.write)
	}
	s.counts.combined.Add(uint64(len(followers)))
	// The others' writes must not fail because the caller of this one gives up.
	ctx = context.WithoutCancel(ctx)
	if !s.commit(ctx, group) {
		// One of them broke the batch, or keeps others from a full disk: each for itself.
		for i := range group {
			s.commit(ctx, group[i:i+1])
		}
	}
	for _, f := range followers {
		f.answer()
	}
}

// commit applies a group of writes in their order and commits them together. The caller holds their
// lock. It fills in the outcome of each, unless it returns false: then nothing was done.
func (s *Store) commit(ctx context.Context, group []*keyWrite) bool {
	batch := s.eng.NewBatch()
	defer batch.Close()
	a := s.applier(batch, len(group) == 1)
	defer s.putApplier(a)

	mode := engine.NoSync | engine.Reclaim
	reclaims := false // some of them do
	firstWritten := len(group)
	for i, w := range group {
		ts, err := s.clock.Now()
		if err == nil {
			w.res, err = a.Apply(&w.op, ts)
		}
		w.err = err
		// The batch can be full at the first of an operation's writes, which leaves it whole.
		if len(group) > 1 && (a.err != nil || errors.Is(err, engine.ErrBatchTooLarge)) {
			a.Discard()
			return false
		}
		if batch.Count() > 0 {
			firstWritten = min(firstWritten, i)
		}
		if err == nil && !w.noSync {
			mode |= engine.Sync
		}
		if err == nil && w.op.reclaims() {
			reclaims = true
		} else if err == nil {
			mode &^= engine.Reclaim
		}
	}
	err := a.err
	if err == nil && a.bumped {
		_, err = s.clock.Update(a.highest)
	}
	// What a synced write found as it should be may have been written unsynced: that must last too.
	if err == nil && (batch.Count() > 0 || mode&engine.Sync != 0) {
		err = s.eng.Commit(ctx, batch, mode)
	}
	if err == nil {
		a.Committed()
		return true
	}
	a.Discard()
	if reclaims && len(group) > 1 && errors.Is(err, engine.ErrDiskFull) {
		return false // what frees space is let through by itself
	}
	for _, w := range group[min(firstWritten, len(group)-1):] {
		// Also those that were refused: what refused them may not have been written.
		w.res, w.err = WriteResult{}, s.opError(&w.op, err)
	}
	return true
}

func (s *Store) applier(batch *engine.Batch, lone bool) *Applier {
	a := s.appliers.Get().(*Applier)
	a.batch, a.lone = batch, lone
	return a
}

// putApplier keeps an applier's scratch memory for the next one.
func (s *Store) putApplier(a *Applier) {
	const keep = 64 << 10
	fresh := Applier{store: s, pb: a.pb, pairBuf: a.pairBuf, desc: a.desc, plan: a.plan}
	if cap(a.record) <= keep {
		fresh.record = a.record
	}
	clear(a.overlay.states)
	fresh.overlay.key, fresh.overlay.first.key = a.overlay.key, a.overlay.first.key
	fresh.overlay.states = a.overlay.states[:0]
	*a = fresh
	s.appliers.Put(a)
}

func (b *Bucket) ready(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.store.checkOpen()
}
