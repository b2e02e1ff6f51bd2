package crashtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/shieldmaidens/pleiades/engine"
)

// setupWriter is the writer that the preparations are acknowledged as.
const setupWriter = 999

// engineChild runs the engine workload: every writer does ops operations, beside one another.
func engineChild(dir string, seed uint64, ops int) error { return runEngine(dir, seed, ops, false) }

// unsyncedChild is the same with writers that seldom sync.
func unsyncedChild(dir string, seed uint64, ops int) error { return runEngine(dir, seed, ops, true) }

func runEngine(dir string, seed uint64, ops int, lazy bool) (err error) {
	witness, err := OpenWitness(dir)
	if err != nil {
		return err
	}
	e, err := engine.Open(filepath.Join(dir, "store"), smallOptions())
	if err != nil {
		return err
	}
	defer func() {
		if err != nil { // after success the program waits to be killed, with the store open
			err = errors.Join(err, e.Close())
		}
	}()
	ctx := context.Background()
	for _, id := range sharedShards {
		if _, err := e.EnsureShard(ctx, id); err != nil {
			return err
		}
	}
	if err := witness.Ack(setupWriter, 0); err != nil {
		return err
	}
	var writers errgroup.Group
	for w := range engineWriters {
		writers.Go(func() error {
			m := newEngineModel(seed, w, lazy)
			for range ops {
				o := m.next()
				if err := doEngineOp(ctx, e, dir, m, o); err != nil {
					return fmt.Errorf("writer %d, operation %d, %v: %w", w, m.n, o, err)
				}
				if err := witness.Ack(w, m.n); err != nil {
					return err
				}
				m.apply(o)
			}
			return nil
		})
	}
	return writers.Wait()
}

// doEngineOp does one operation of a writer.
func doEngineOp(ctx context.Context, e *engine.Engine, dir string, m *engineModel, o engineOp) error {
	switch o.kind {
	case opCreate:
		_, err := e.CreateShard(ctx, o.shard)
		return err
	case opDrop:
		return e.DropShard(ctx, o.shard)
	case opReplace:
		_, err := e.ReplaceShard(ctx, o.shard)
		return err
	case opCopy:
		return doCopy(ctx, e, dir, m)
	case opBatch:
		return commitRows(ctx, e, o, nil)
	}
	src, err := e.Shard(o.shard)
	if err != nil {
		return err
	}
	switch o.kind {
	case opClone:
		_, err := e.CloneShard(ctx, src, o.dst)
		return err
	case opFlush:
		return src.Flush(ctx)
	case opCompact:
		return src.Compact(ctx, nil, nil)
	case opSplit:
		staged, err := e.StageClone(ctx, src, o.dst)
		if err != nil {
			return err
		}
		return commitRows(ctx, e, o, staged)
	case opImport:
		out := filepath.Join(dir, fmt.Sprintf("export-%d", m.writer))
		x, err := src.Export(ctx, out, nil)
		if err != nil {
			return err
		}
		staged, err := e.StageImport(ctx, o.dst, x)
		if err != nil {
			return err
		}
		return errors.Join(commitRows(ctx, e, o, staged), os.RemoveAll(out))
	}
	return fmt.Errorf("no such operation: %s", o.kind)
}

// commitRows commits an operation's rows, and makes staged live with them.
func commitRows(ctx context.Context, e *engine.Engine, o engineOp, staged *engine.Shard) error {
	b := e.NewBatch()
	defer b.Close()
	for _, r := range o.rows {
		sh, err := e.Local(), error(nil)
		switch {
		case staged != nil && r.shard == o.dst:
			sh = staged
		case r.shard != 0:
			sh, err = e.Shard(r.shard)
		}
		if err == nil {
			switch {
			case r.to != "":
				err = b.DeleteRange(sh, []byte(r.key), []byte(r.to))
			case r.value == 0:
				err = b.Delete(sh, []byte(r.key))
			default:
				err = b.Put(sh, []byte(r.key), r.value.bytes())
			}
		}
		if err != nil {
			return err
		}
	}
	if staged != nil {
		if err := b.Activate(staged); err != nil {
			return err
		}
	}
	mode := engine.NoSync
	if o.sync {
		mode = engine.Sync
	}
	return e.Commit(ctx, b, mode)
}

// copyName is the directory of the checkpoint that operation op of a writer makes.
func copyName(writer, op int) string { return fmt.Sprintf("copy-%d-%d", writer, op) }

// doCopy makes a checkpoint in the place of the writer's last one.
func doCopy(ctx context.Context, e *engine.Engine, dir string, m *engineModel) error {
	if m.copied >= 0 {
		if err := os.RemoveAll(filepath.Join(dir, copyName(m.writer, m.copied))); err != nil {
			return err
		}
	}
	return e.Checkpoint(ctx, filepath.Join(dir, copyName(m.writer, m.n)))
}
