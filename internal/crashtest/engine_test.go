package crashtest

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/shieldmaidens/pleiades/engine"
)

// engineCheck verifies states of the engine workload.
type engineCheck struct {
	seed uint64
	lazy bool
}

func (c engineCheck) model(writer int) *engineModel { return newEngineModel(c.seed, writer, c.lazy) }

// check opens what a crash left and compares it with what was acknowledged.
func (c engineCheck) check(dir string, s *State) (err error) {
	ctx := context.Background()
	store := filepath.Join(dir, "store")
	e, err := engine.Open(store, smallOptions())
	if err != nil && zeroedManifest(s, err) {
		return ErrRefused
	}
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	for w := range engineWriters {
		got, err := readContents(e, c.model(w), s.Acks[setupWriter] > 0)
		if err != nil {
			return err
		}
		if err := c.compare(w, s, got); err != nil {
			return err
		}
	}
	if s.Number%4 == 0 {
		if err := e.VerifyChecksums(ctx, nil); err != nil {
			return fmt.Errorf("checksums: %w", err)
		}
	}
	if err := e.Err(); err != nil {
		return fmt.Errorf("the engine stopped: %w", err)
	}
	if s.Number%4 == 1 {
		if err := c.goOn(ctx, e, s); err != nil {
			return fmt.Errorf("writing after recovery: %w", err)
		}
	}
	if s.Number%4 == 2 {
		return c.checkCopies(dir, s)
	}
	return nil
}

// zeroedManifest recognises the one loss that RocksDB answers by refusing to open: an unsynced write at
// the end of its manifest of which a file system that shows sizes before contents has left zeros. It
// can't tell that from damage, and says ErrCorruption instead of guessing.
func zeroedManifest(s *State, err error) bool {
	return s.Image.Loss().Zeros() && errors.Is(err, engine.ErrCorruption) && !errors.Is(err, engine.ErrDataLoss) &&
		strings.Contains(err.Error(), "MANIFEST-")
}

// compare accepts the state after some number of the writer's operations: not fewer than were durable,
// not more than could have begun.
func (c engineCheck) compare(w int, s *State, got contents) error {
	m := c.model(w)
	acked, durable := s.Acks[w], 0
	var tried []string
	for m.n < acked {
		o := m.next()
		m.apply(o)
		if o.sync || s.Killed() {
			durable = m.n
		}
	}
	for m = c.model(w).at(durable); m.n <= acked+1; m.apply(m.next()) {
		d := diff(m.shards, got)
		if d == "" {
			return nil
		}
		tried = append(tried, fmt.Sprintf("after %d operations: %s", m.n, d))
	}
	return fmt.Errorf("writer %d: %d operations acknowledged, %d of them durable; the store is in no state that may be:\n%q", w, acked, durable, tried)
}

// readContents reads what a store holds of one writer. Before the preparations are acknowledged, shared
// shards may be missing; they then count as empty.
func readContents(e *engine.Engine, m *engineModel, prepared bool) (contents, error) {
	got := contents{0: nil}
	for _, id := range sharedShards {
		if !prepared {
			got[id] = map[string][]byte{}
		}
	}
	for _, info := range e.Shards() {
		if info.ID >= m.ownID(0) && info.ID < m.ownID(100) || info.ID < 2000 {
			got[info.ID] = nil
		}
	}
	for id := range got {
		sh, err := e.Local(), error(nil)
		if id != 0 {
			sh, err = e.Shard(id)
		}
		if errors.Is(err, engine.ErrShardNotFound) && !prepared {
			continue
		}
		if err != nil {
			return nil, err
		}
		if got[id], err = readRows(sh, m.prefix()); err != nil {
			return nil, err
		}
	}
	return got, nil
}

// readRows reads the rows of a shard that begin with a prefix.
func readRows(sh *engine.Shard, prefix string) (rows map[string][]byte, err error) {
	rows = map[string][]byte{}
	it, err := sh.NewIterator(&engine.IterOptions{Lower: []byte(prefix), Upper: []byte(prefix + "\xff")})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		rows[string(it.Key())] = append([]byte(nil), it.Value()...)
	}
	return rows, it.Err()
}

// goOn writes to the recovered store as a program would that goes on.
func (c engineCheck) goOn(ctx context.Context, e *engine.Engine, s *State) error {
	sh, err := e.EnsureShard(ctx, 5000)
	if err != nil {
		return err
	}
	b := e.NewBatch()
	defer b.Close()
	if err := errors.Join(b.Put(sh, []byte("after"), []byte("crash")), b.Put(e.Local(), []byte("after"), []byte("crash"))); err != nil {
		return err
	}
	if err := e.Commit(ctx, b, engine.Sync); err != nil {
		return err
	}
	b.Close()
	return errors.Join(sh.Flush(ctx), e.DropShard(ctx, 5000))
}

// checkCopies opens the checkpoints whose making was acknowledged and whose removal can't have begun.
func (c engineCheck) checkCopies(dir string, s *State) error {
	for w := range engineWriters {
		m := c.model(w).at(s.Acks[w])
		if m.copied < 0 || m.next().kind == opCopy {
			continue
		}
		if err := c.checkCopy(filepath.Join(dir, copyName(w, m.copied)), m); err != nil {
			return fmt.Errorf("checkpoint of writer %d, operation %d: %w", w, m.copied, err)
		}
	}
	return nil
}

func (c engineCheck) checkCopy(dir string, m *engineModel) (err error) {
	o := smallOptions()
	o.ErrorIfMissing = true
	e, err := engine.Open(dir, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	got, err := readContents(e, m, true)
	if err != nil {
		return err
	}
	if d := diff(m.copiedRows, got); d != "" {
		return errors.New(d)
	}
	return nil
}

// synced counts the synced operations among those acknowledged.
func (c engineCheck) synced(acks Acks) (n int) {
	for w := range engineWriters {
		for m := c.model(w); m.n < acks[w]; {
			o := m.next()
			m.apply(o)
			if o.sync {
				n++
			}
		}
	}
	return n
}
