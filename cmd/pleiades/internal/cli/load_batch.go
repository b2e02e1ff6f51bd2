package cli

import (
	"bytes"
	"context"
	"errors"

	"github.com/shieldmaidens/pleiades/base"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/exit"
	"github.com/shieldmaidens/pleiades/cmd/pleiades/internal/record"
	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/internal/dump"
	"github.com/shieldmaidens/pleiades/versioning"
)

// batchBytes bounds a batch's keys and values: what the engine writes in one go.
const batchBytes = 4 << 20

// loadBatch collects records until they are committed together.
type loadBatch struct {
	items []loadItem
	data  []byte // the memory of the items' keys and values
}

// loadItem is a record with memory of its own.
type loadItem struct {
	line       int64
	key, value []byte
	version    *dump.Version
	// bad is set for a record that could not be read; the rest is not.
	bad *record.Bad
	// noted: it was reported as bad. Records of a batch that had to be split come by again.
	noted bool
}

func (b *loadBatch) add(r record.Record) {
	// data may move when it grows; the slices of earlier items keep the memory that they were cut from.
	start := len(b.data)
	b.data = append(append(b.data, r.Key...), r.Value...)
	mid, end := start+len(r.Key), len(b.data)
	it := loadItem{line: r.Line, key: b.data[start:mid:mid], value: b.data[mid:end:end]}
	if r.Version != nil {
		v := *r.Version
		it.version = &v
	}
	b.items = append(b.items, it)
}

func (b *loadBatch) addBad(bad *record.Bad) {
	b.items = append(b.items, loadItem{line: bad.Line, bad: bad})
}

func (b *loadBatch) full(records int) bool {
	return len(b.items) >= records || len(b.data) >= batchBytes
}

func (b *loadBatch) reset() {
	clear(b.items)
	b.items, b.data = b.items[:0], b.data[:0]
}

// flush commits the collected records together with the progress; final forgets the progress instead. An
// interruption does not stop a commit.
func (l *loader) flush(ctx context.Context, final bool) error {
	ctx = context.WithoutCancel(ctx)
	items := l.batch.items
	defer l.batch.reset()
	for len(items) > 0 || final && l.remember {
		n, err := l.commit(ctx, items, final)
		if err != nil {
			return err
		}
		if items = items[n:]; len(items) == 0 {
			break
		}
	}
	return nil
}

// tally is what became of the records of one commit.
type tally struct {
	loaded, unchanged, older int64
	digest                   digester
	// latest is the last item of each key that was put.
	latest map[string]*loadItem
}

// commit applies and commits as many of the items as fit into one batch of the engine and returns how
// many that were. Items that the store refuses are bad records.
func (l *loader) commit(ctx context.Context, items []loadItem, final bool) (done int, err error) {
	batch := l.s.eng.NewBatch()
	defer batch.Close()
	applier := l.s.store.NewApplier(batch)
	t := &tally{digest: l.digest, latest: map[string]*loadItem{}}
	var stop error
	for done < len(items) && stop == nil {
		it := &items[done]
		if it.bad != nil {
			done++
			stop = l.badItem(it, it.bad)
			continue
		}
		err := l.consume(ctx, applier, it, t)
		// Too large is what the batch has become, not the record, unless the record is alone in it. It can
		// be met before or behind the first of the record's writes; only then is Err set.
		if applier.Err() != nil || errors.Is(err, engine.ErrBatchTooLarge) {
			applier.Discard()
			return l.split(ctx, items[:done+1], err)
		}
		if err != nil && !refusal(err) {
			applier.Discard()
			return 0, err
		}
		if err != nil {
			if stop = l.badItem(it, &record.Bad{Line: it.line, Err: err}); stop != nil {
				break
			}
		}
		t.digest.add(it.key, it.value, it.version)
		done++
	}
	if err := l.write(ctx, batch, applier, t, final && done == len(items)); err != nil {
		applier.Discard()
		return 0, err
	}
	applier.Committed()
	l.digest = t.digest
	l.loaded += t.loaded
	l.unchanged += t.unchanged
	l.older += t.older
	return done, stop
}

// badItem is badRecord, once for each item.
func (l *loader) badItem(it *loadItem, bad *record.Bad) error {
	if it.noted {
		return nil
	}
	it.noted = true
	return l.badRecord(bad)
}

// write commits a batch together with the progress of the load.
func (l *loader) write(ctx context.Context, batch *engine.Batch, applier *versioning.Applier, t *tally, final bool) error {
	local := l.s.eng.Local()
	switch {
	case final && l.remember:
		if err := batch.Delete(local, l.key); err != nil {
			return err
		}
	case !final && t.digest.n > 0:
		if !l.remember {
			if err := forgetOldest(l.s.eng, batch); err != nil {
				return err
			}
			l.remember = true
		}
		if err := batch.Put(local, l.key, t.digest.progress(l.a.now()).append(nil)); err != nil {
			return err
		}
	}
	if ts := applier.Highest(); !ts.IsZero() {
		if _, err := l.s.clock.Update(ts); err != nil {
			return exit.New(exit.Failure, "the input's timestamps are ahead of this machine's clock: set the clock, or load with --new-timestamps", "%w", err)
		}
	}
	if batch.Count() == 0 {
		return nil
	}
	return l.s.eng.Commit(ctx, batch, engine.Sync)
}

// split handles a batch that the engine would not take because of its last item: those in front of it go by
// themselves; one that breaks a batch alone is a bad record if it is merely too large.
func (l *loader) split(ctx context.Context, items []loadItem, cause error) (int, error) {
	if !errors.Is(cause, engine.ErrBatchTooLarge) {
		return 0, cause
	}
	if n := len(items) - 1; n > 0 {
		return l.commit(ctx, items[:n], false)
	}
	stop := l.badItem(&items[0], &record.Bad{Line: items[0].line, Err: cause})
	if stop == nil {
		l.digest.add(items[0].key, items[0].value, items[0].version)
	}
	return 1, stop
}

// consume applies one item.
func (l *loader) consume(ctx context.Context, applier *versioning.Applier, it *loadItem, t *tally) error {
	if it.version != nil {
		return l.restore(ctx, applier, it, t)
	}
	if l.f.skipUnchanged {
		same, err := l.isLatest(ctx, it, t)
		if err != nil {
			return err
		}
		if same {
			t.unchanged++
			return nil
		}
	}
	ts, err := l.s.clock.Now()
	if err != nil {
		return err
	}
	if _, err := applier.Apply(&versioning.Op{Kind: versioning.OpPut, Bucket: l.s.bucket.ID(), Key: it.key, Value: it.value}, ts); err != nil {
		return err
	}
	t.loaded++
	t.latest[string(it.key)] = it
	return nil
}

// isLatest reports whether an item's value is what its key has already, in the batch or in the store.
func (l *loader) isLatest(ctx context.Context, it *loadItem, t *tally) (same bool, err error) {
	if last := t.latest[string(it.key)]; last != nil {
		return bytes.Equal(last.value, it.value), nil
	}
	err = l.s.versions.View(ctx, it.key, func(v versioning.Value) error {
		same = bytes.Equal(v.Data, it.value)
		return nil
	})
	if errors.Is(err, versioning.ErrNotFound) {
		return false, nil
	}
	return same, err
}

// refusal reports whether the store said no to one record, as against being unable to work.
func refusal(err error) bool {
	return errors.Is(err, base.ErrInvalid) || errors.Is(err, base.ErrConflict)
}
