package fuzz

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/hlc"
	"github.com/shieldmaidens/pleiades/internal/dump"
	"github.com/shieldmaidens/pleiades/keys"
	"github.com/shieldmaidens/pleiades/versioning"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// addSeeds adds n inputs of random bytes, each longer than the one before by more. The corpus has better ones; these are
// there from the beginning, and stay whatever the meaning of bytes becomes.
func addSeeds(f *testing.F, stream uint64, n, first, more int) {
	for i := range n {
		rng := rand.New(rand.NewPCG(uint64(i), stream))
		input := make([]byte, first+i*more)
		for j := range input {
			input[j] = byte(rng.Uint32())
		}
		input[0] = byte(i)
		f.Add(input)
	}
}

// boundAhead is how far ahead of the wall clock a clock may get.
const boundAhead = 30 * time.Second

// inMemory is a file system in memory on every Linux.
const inMemory = "/dev/shm"

// rig is a store in a directory, for one input after the other.
type rig struct {
	tb     testing.TB
	dir    string
	inputs int
	wall   *hlc.Manual
	eng    *engine.Engine
	clock  *hlc.Clock
	store  *versioning.Store
}

// newRig opens a store that is removed when the fuzzing ends.
func newRig(f *testing.F) *rig {
	f.Helper()
	parent := inMemory
	if _, err := os.Stat(parent); err != nil {
		parent = ""
	}
	dir, err := os.MkdirTemp(parent, "pleiades-fuzz-")
	if err != nil {
		f.Fatal(err)
	}
	r := &rig{tb: f, dir: dir, wall: hlc.NewManual(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC))}
	f.Cleanup(func() {
		r.tb = f
		r.close()
		if err := os.RemoveAll(dir); err != nil {
			f.Error(err)
		}
	})
	r.open()
	return r
}

func (r *rig) open() {
	r.tb.Helper()
	var err error
	r.eng, err = engine.Open(r.dir, &engine.Options{
		BlockCacheBytes: 8 << 20, MemtableBytes: 32 << 20, BackgroundJobs: 2, ReserveBytes: -1,
		// A full disk has tests of its own.
		DiskFullPercent: 99, DiskFullFreeBytes: 1,
	})
	if err != nil {
		r.tb.Fatal(err)
	}
	opts := r.wall.Options()
	opts.MaxOffset, opts.BoundAhead = boundAhead, boundAhead // time leaps here, and storing the bound is a synced write
	if r.clock, err = versioning.NewClock(r.eng, opts); err != nil {
		r.tb.Fatal(err)
	}
	r.openStore(nil)
}

// openStore opens the store of the first user shard anew, with empty caches.
func (r *rig) openStore(opts *versioning.Options) {
	r.tb.Helper()
	if r.store != nil {
		r.store.Close()
	}
	shard, err := r.eng.EnsureShard(context.Background(), engine.FirstUserShard)
	if err != nil {
		r.tb.Fatal(err)
	}
	if r.store, err = versioning.Open(shard, r.clock, opts); err != nil {
		r.tb.Fatal(err)
	}
}

func (r *rig) close() {
	r.tb.Helper()
	r.store.Close()
	r.store = nil
	if err := r.clock.Close(); err != nil {
		r.tb.Error(err)
	}
	if err := r.eng.Close(); err != nil {
		r.tb.Error(err)
	}
}

func (r *rig) reopen() {
	r.tb.Helper()
	r.close()
	// A clock begins above every timestamp that it may have issued before, which can be ahead of the wall clock.
	r.wall.Advance(boundAhead)
	r.open()
}

// next begins an input: an empty shard, and a store with empty caches.
func (r *rig) next(t *testing.T) {
	r.tb = t
	t.Helper()
	r.wall.Advance(time.Millisecond)
	// Deletions are cheap but slow down iterators until they are compacted, a new family is the other way round.
	if r.inputs++; r.inputs%50 == 0 {
		if _, err := r.eng.ReplaceShard(context.Background(), engine.FirstUserShard); err != nil {
			t.Fatal(err)
		}
	} else {
		r.empty(r.store.Shard())
	}
	r.openStore(&versioning.Options{Cache: smallCache(t)})
}

func smallCache(t *testing.T) *versioning.Cache {
	t.Helper()
	cache, err := versioning.NewCache(32 << 10)
	if err != nil {
		t.Fatal(err)
	}
	return cache
}

// empty deletes every row of a shard.
func (r *rig) empty(shard *engine.Shard) {
	r.tb.Helper()
	batch := r.eng.NewBatch()
	defer batch.Close()
	for _, row := range rowsOf(r.tb, shard, nil) {
		if err := batch.Delete(shard, []byte(row.key)); err != nil {
			r.tb.Fatal(err)
		}
	}
	r.commit(batch)
}

func (r *rig) commit(batch *engine.Batch) {
	r.tb.Helper()
	if batch.Count() == 0 {
		return
	}
	if err := r.eng.Commit(context.Background(), batch, engine.NoSync); err != nil {
		r.tb.Fatal(err)
	}
}

// row is a row as RocksDB has it.
type row struct{ key, value string }

func rowsOf(tb testing.TB, shard *engine.Shard, opts *engine.IterOptions) []row {
	tb.Helper()
	it, err := shard.NewIterator(opts)
	if err != nil {
		tb.Fatal(err)
	}
	var rows []row
	for ok := it.First(); ok; ok = it.Next() {
		rows = append(rows, row{string(it.Key()), string(it.Value())})
	}
	if err := it.Close(); err != nil {
		tb.Fatal(err)
	}
	return rows
}

func (r *rig) bucket(id keys.BucketID) *versioning.Bucket {
	r.tb.Helper()
	b, err := r.store.Bucket(id)
	if err != nil {
		r.tb.Fatal(err)
	}
	return b
}

// check fails when a shard breaks an invariant.
func (r *rig) check(shard *engine.Shard) {
	r.tb.Helper()
	report, err := versioning.Check(context.Background(), shard, nil)
	if err != nil {
		r.tb.Fatal(err)
	}
	for _, f := range report.Findings {
		r.tb.Errorf("check: %v", f)
	}
}

// dumpOf returns the dump of a bucket.
func dumpOf(tb testing.TB, b *versioning.Bucket) []byte {
	tb.Helper()
	var out bytes.Buffer
	if _, _, err := dump.WriteBucket(context.Background(), &out, b, nil); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// Where a dump's header holds what differs between two dumps of equal buckets: its time, its bucket's number and its checksum.
const (
	dumpTime     = len(dump.Magic) + 2 + 2 + 4
	dumpSettings = dumpTime + hlc.EncodedBytes + 8
	dumpSum      = dumpSettings + 2 + 1
	dumpRecords  = dumpSum + 4
)

// sameDump reports whether two dumps hold the same settings and versions.
func sameDump(a, b []byte) bool {
	return bytes.Equal(a[dumpSettings:dumpSum], b[dumpSettings:dumpSum]) && bytes.Equal(a[dumpRecords:], b[dumpRecords:])
}

// restore puts a dump into a bucket, as `pleiades kv load` does: in batches, with the dump's settings if the bucket is new.
// It returns how many versions were restored, and refused by the store one by one.
func (r *rig) restore(b *versioning.Bucket, file []byte) (restored, refused int, err error) {
	ctx := context.Background()
	reader, err := dump.NewReader(bytes.NewReader(file))
	if err != nil {
		return 0, 0, err
	}
	restorer := dump.NewRestorer(b, nil)
	settings, ok, err := restorer.Settings(ctx, reader.Header())
	if err != nil {
		return 0, 0, err
	}
	if ok {
		if err := b.SetSettings(ctx, settings); err != nil {
			return 0, 0, err
		}
	}
	for end := false; !end; {
		batch := r.eng.NewBatch()
		applier := b.Store().NewApplier(batch)
		n := 0
		for ; n < 5 && err == nil && !end; n++ {
			var v *dump.Version
			if v, err = reader.Next(); err != nil {
				end = true
				break
			}
			var outcome dump.Outcome
			outcome, err = restorer.Apply(ctx, applier, v)
			switch {
			case err == nil && outcome == dump.Restored:
				restored++
			case errors.Is(err, base.ErrInvalid) && applier.Err() == nil:
				refused, err = refused+1, nil
			}
		}
		if commitErr := r.commitApplied(batch, applier); err == nil || errors.Is(err, io.EOF) {
			err = errors.Join(commitErr, justEOF(err))
		}
		batch.Close()
		if err != nil {
			return restored, refused, err
		}
	}
	return restored, refused, nil
}

func justEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// commitApplied commits what an applier wrote if the clock accepts its timestamps.
func (r *rig) commitApplied(batch *engine.Batch, applier *versioning.Applier) error {
	if applier.Err() != nil || batch.Count() == 0 {
		applier.Discard()
		return nil
	}
	if _, err := r.clock.Update(applier.Highest()); err != nil {
		applier.Discard()
		return err
	}
	if err := r.eng.Commit(context.Background(), batch, engine.NoSync); err != nil {
		applier.Discard()
		return err
	}
	applier.Committed()
	return nil
}

// typed reports whether an error is of a kind that a caller can tell.
func typed(err error) bool {
	for _, marker := range []error{
		base.ErrNotFound, base.ErrExists, base.ErrConflict, base.ErrInvalid, base.ErrCorruption, base.ErrVersion, base.ErrOverloaded,
		hlc.ErrExhausted,
	} {
		if errors.Is(err, marker) {
			return true
		}
	}
	return false
}

// damage reports whether an error says that stored bytes are not what was written.
func damage(err error) bool {
	return errors.Is(err, base.ErrCorruption) || errors.Is(err, base.ErrVersion)
}
