package bench

import (
	"fmt"

	"github.com/shieldmaidens/pleiades/base"
)

// The steps: one operation each, on the worker's session.

// putNext writes the next key in order. One worker.
func (r *storeRun) putNext() func(w *worker) error {
	return func(w *worker) error {
		w.key = appendKey(w.key[:0], w.next)
		w.next++
		value := w.values.next()
		if err := w.session.Put(w.key, value, false); err != nil {
			return err
		}
		w.bytes += int64(len(w.key) + len(value))
		return nil
	}
}

// putRandom writes a random key of the key space.
func (r *storeRun) putRandom(sync bool) func(w *worker) error {
	space := uint64(r.spec.Keys)
	return func(w *worker) error {
		w.key = appendKey(w.key[:0], w.rng.Uint64N(space))
		value := w.values.next()
		if err := w.session.Put(w.key, value, sync); err != nil {
			return err
		}
		w.bytes += int64(len(w.key) + len(value))
		return nil
	}
}

// putBatch writes a batch of random keys.
func (r *storeRun) putBatch() func(w *worker) error {
	space, n := uint64(r.spec.Keys), r.spec.BatchKeys
	return func(w *worker) error {
		if w.pairs == nil {
			w.pairs = make([]Pair, n)
		}
		size := int64(0)
		for i := range w.pairs {
			p := &w.pairs[i]
			p.Key, p.Value = appendKey(p.Key[:0], w.rng.Uint64N(space)), w.values.next()
			size += int64(len(p.Key) + len(p.Value))
		}
		if err := w.session.PutBatch(w.pairs, false); err != nil {
			return err
		}
		w.bytes += size
		w.units += int64(n)
		return nil
	}
}

// readHit reads a random key, all of which are there.
func (r *storeRun) readHit() func(w *worker) error {
	space, size := uint64(r.spec.Keys), r.spec.ValueBytes
	return func(w *worker) error {
		w.key = appendKey(w.key[:0], w.rng.Uint64N(space))
		value, found, err := w.session.Get(w.buf[:0], w.key)
		if err != nil {
			return err
		}
		if !found || len(value) != size {
			return fmt.Errorf("%w: key %s, which was written with %d bytes: found %v, %d bytes", ErrWrongAnswer, base.Quote(w.key), size, found, len(value))
		}
		w.buf = value
		w.bytes += int64(len(w.key) + len(value))
		return nil
	}
}

// readMiss reads a random key that was never written.
func (r *storeRun) readMiss() func(w *worker) error {
	space := uint64(r.spec.Keys)
	return func(w *worker) error {
		w.key = appendMissingKey(w.key[:0], w.rng.Uint64N(space))
		_, found, err := w.session.Get(w.buf[:0], w.key)
		if err == nil && found {
			err = fmt.Errorf("%w: key %s was never written and is there", ErrWrongAnswer, base.Quote(w.key))
		}
		return err
	}
}

// scan reads rows from a random key on that has enough behind it.
func (r *storeRun) scan() func(w *worker) error {
	rows := r.spec.ScanRows
	space := uint64(r.spec.Keys - rows + 1)
	return func(w *worker) error {
		w.key = appendKey(w.key[:0], w.rng.Uint64N(space))
		read, size, err := w.session.Scan(w.key, rows)
		if err != nil {
			return err
		}
		if want := int64(rows * (KeyBytes + r.spec.ValueBytes)); read != rows || size != want {
			return fmt.Errorf("%w: a scan of %d rows from %s gave %d rows and %d bytes, not %d", ErrWrongAnswer, rows, base.Quote(w.key), read, size, want)
		}
		w.bytes += size
		w.units += int64(read)
		return nil
	}
}
