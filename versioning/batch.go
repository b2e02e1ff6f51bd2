package versioning

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/shieldmaidens/pleiades/engine"
)

// Batch collects writes to any keys, in any buckets of any stores of one engine, and commits all of
// them at once or none. Later operations see what earlier ones of the batch wrote; all have the same
// timestamp, except that a key written more than once gets the next ones.
//
// Keys and values are copied at the call. A Batch is not safe for concurrent use; it is used up by
// its first Commit, whatever came of it. It holds nothing that has to be closed.
type Batch struct {
	store *Store
	ops   []batchOp
	bytes int
	arena []byte
	used  bool
}

type batchOp struct {
	store *Store
	op    Op
	index int
}

// BatchOptions qualifies a commit. nil means none of it.
type BatchOptions struct {
	// NoSync is as in PutOptions, for the whole batch.
	NoSync bool
}

// NewBatch returns an empty batch. Its operations may be on buckets of other stores too, as long as
// they are of the same engine.
func (s *Store) NewBatch() *Batch { return &Batch{store: s} }

// Len returns the number of operations.
func (b *Batch) Len() int { return len(b.ops) }

// Bytes returns about how many bytes of keys and values were collected.
func (b *Batch) Bytes() int { return b.bytes }

// Put adds what Bucket.Put does. Errors, here and in the other methods that add: those of impossible
// input, engine.ErrBatchTooLarge (commit what there is and start another), ErrClosed when the batch
// was used up. Then nothing was added. opts.NoSync is ignored.
func (b *Batch) Put(bucket *Bucket, key, value []byte, opts *PutOptions) error {
	op, err := putOp(bucket, key, value, opts)
	if err != nil {
		return err
	}
	return b.Add(bucket.store, &op)
}

// Delete adds what Bucket.Delete does.
func (b *Batch) Delete(bucket *Bucket, key []byte, opts *WriteOptions) error {
	ifRevision, _ := opts.split()
	return b.Add(bucket.store, &Op{Kind: OpDelete, Bucket: bucket.id, Key: key, IfRevision: ifRevision})
}

// Purge adds what Bucket.Purge does.
func (b *Batch) Purge(bucket *Bucket, key []byte, opts *WriteOptions) error {
	ifRevision, _ := opts.split()
	return b.Add(bucket.store, &Op{Kind: OpPurge, Bucket: bucket.id, Key: key, IfRevision: ifRevision})
}

// SetVacuumable adds what Bucket.SetVacuumable does.
func (b *Batch) SetVacuumable(bucket *Bucket, key []byte, vacuumable bool, opts *WriteOptions) error {
	ifRevision, _ := opts.split()
	return b.Add(bucket.store, &Op{Kind: OpSetVacuumable, Bucket: bucket.id, Key: key, Vacuumable: &vacuumable, IfRevision: ifRevision})
}

// DropVersions adds what Bucket.DropVersions does.
func (b *Batch) DropVersions(bucket *Bucket, key []byte, oldest int, opts *WriteOptions) error {
	ifRevision, _ := opts.split()
	return b.Add(bucket.store, &Op{Kind: OpDropVersions, Bucket: bucket.id, Key: key, Oldest: oldest, IfRevision: ifRevision})
}

// SetSettings adds what Bucket.SetSettings does; later operations of the batch go by the new settings.
func (b *Batch) SetSettings(bucket *Bucket, settings Settings) error {
	return b.Add(bucket.store, &Op{Kind: OpSetSettings, Bucket: bucket.id, Settings: settings})
}

// Add adds any operation on a store of the batch's engine. What op points to is copied.
func (b *Batch) Add(store *Store, op *Op) error {
	switch {
	case b.used:
		return fmt.Errorf("%w: the batch was committed; start another", ErrClosed)
	case store.eng != b.store.eng:
		return fmt.Errorf("%w: a batch over the stores of two engines", ErrInvalidOptions)
	}
	if err := op.check(store.opts.MaxValueBytes); err != nil {
		return err
	}
	n := len(op.Key) + len(op.Value)
	if b.bytes+n > b.store.opts.MaxBatchBytes && len(b.ops) > 0 {
		return fmt.Errorf("%w: %d bytes and %d more pass the limit of %d; commit and start another",
			engine.ErrBatchTooLarge, b.bytes, n, b.store.opts.MaxBatchBytes)
	}
	c := *op
	c.Key, c.Value = b.copy(op.Key), b.copy(op.Value)
	c.IfRevision, c.Checksum, c.Vacuumable = clonePtr(op.IfRevision), clonePtr(op.Checksum), clonePtr(op.Vacuumable)
	b.ops = append(b.ops, batchOp{store: store, op: c, index: len(b.ops)})
	b.bytes += n + 64
	return nil
}

func clonePtr[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// copy returns a copy of p in the batch's memory.
func (b *Batch) copy(p []byte) []byte {
	const minChunk, maxChunk = 512, 64 << 10
	if len(p) == 0 {
		return nil
	}
	if len(p) > maxChunk/4 {
		return append([]byte(nil), p...)
	}
	if cap(b.arena)-len(b.arena) < len(p) {
		b.arena = make([]byte, 0, max(len(p), min(max(2*cap(b.arena), minChunk), maxChunk)))
	}
	start := len(b.arena)
	b.arena = append(b.arena, p...)
	return b.arena[start:len(b.arena):len(b.arena)]
}

// Commit writes the batch, durably unless NoSync is set, and returns a result for each operation in
// the order in which they were added. When an operation is refused, nothing is written and the error
// is an *OpError that names it. Other errors as for Bucket.Put. An empty batch does nothing.
//
// The batch waits for the locks of all its keys. It cannot deadlock with other batches.
func (b *Batch) Commit(ctx context.Context, opts *BatchOptions) ([]WriteResult, error) {
	if b.used {
		return nil, fmt.Errorf("%w: the batch was committed before", ErrClosed)
	}
	b.used = true
	if err := ctx.Err(); err != nil || len(b.ops) == 0 {
		return nil, err
	}
	groups := b.byStore()
	for _, g := range groups {
		if err := g.store.checkOpen(); err != nil {
			return nil, err
		}
	}
	defer func() {
		for _, g := range groups {
			g.store.locks.unlockAll(g.locked)
		}
	}()
	for _, g := range groups {
		if err := g.lock(ctx, b.ops); err != nil {
			return nil, fmt.Errorf("lock the keys of a batch: %w", err)
		}
	}
	batch := b.store.eng.NewBatch()
	defer batch.Close()
	results, err := b.apply(batch, groups)
	// A synced batch that found everything as it should be syncs what made it so.
	if mode := b.mode(opts); err == nil && (batch.Count() > 0 || mode&engine.Sync != 0) {
		err = b.store.eng.Commit(ctx, batch, mode)
	}
	for _, g := range groups {
		switch {
		case g.applier == nil:
		case err == nil:
			g.applier.Committed()
		default:
			g.applier.Discard()
		}
	}
	if err != nil {
		return nil, err
	}
	return results, nil
}

// storeGroup is what a batch does on one store.
type storeGroup struct {
	store   *Store
	locked  []uint64
	applier *Applier
}

// byStore returns the stores of the batch in the order in which they are locked.
func (b *Batch) byStore() []*storeGroup {
	var groups []*storeGroup
	for _, o := range b.ops {
		if !slices.ContainsFunc(groups, func(g *storeGroup) bool { return g.store == o.store }) {
			groups = append(groups, &storeGroup{store: o.store})
		}
	}
	slices.SortFunc(groups, func(a, c *storeGroup) int {
		return cmp.Or(cmp.Compare(a.store.shard.ID(), c.store.shard.ID()), cmp.Compare(a.store.shard.Incarnation(), c.store.shard.Incarnation()))
	})
	return groups
}

func (g *storeGroup) lock(ctx context.Context, ops []batchOp) (err error) {
	if err := g.store.checkOpen(); err != nil {
		return err
	}
	var hashes []uint64
	for i := range ops {
		if ops[i].store == g.store {
			hashes = append(hashes, g.store.opHash(&ops[i].op))
		}
	}
	g.locked, err = g.store.locks.lockAll(ctx, hashes)
	return err
}

// apply fills the engine's batch. The keys are locked.
func (b *Batch) apply(batch *engine.Batch, groups []*storeGroup) ([]WriteResult, error) {
	ts, err := b.store.clock.Now()
	if err != nil {
		return nil, err
	}
	byStore := make(map[*Store]*Applier, len(groups))
	for _, g := range groups {
		g.applier = g.store.NewApplier(batch)
		byStore[g.store] = g.applier
		if err := g.applier.prefetch(b.ops); err != nil {
			return nil, err
		}
	}
	results := make([]WriteResult, len(b.ops))
	for i := range b.ops {
		o := &b.ops[i]
		if results[i], err = byStore[o.store].Apply(&o.op, ts); err != nil {
			return nil, &OpError{Index: o.index, Err: err}
		}
	}
	for _, g := range groups {
		if g.applier.bumped || g.store.clock != b.store.clock {
			if _, err := g.store.clock.Update(g.applier.highest); err != nil {
				return nil, err
			}
		}
	}
	return results, nil
}

func (b *Batch) mode(opts *BatchOptions) engine.CommitMode {
	mode := engine.Sync | engine.Reclaim
	if opts != nil && opts.NoSync {
		mode &^= engine.Sync
	}
	for i := range b.ops {
		if !b.ops[i].op.reclaims() {
			mode &^= engine.Reclaim
		}
	}
	return mode
}
