package bench

import (
	"context"
	"errors"

	"github.com/shieldmaidens/pleiades/engine"
)

// OpenEngine opens an engine with its default options as a Store; the pairs lie in one shard as they
// are, without versions.
func OpenEngine(dir string) (Store, error) {
	s, err := openEngine(dir, nil)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// engineStore is one shard of an engine.
type engineStore struct {
	eng   *engine.Engine
	shard *engine.Shard
}

var (
	_ Store       = (*engineStore)(nil)
	_ SyncCounter = (*engineStore)(nil)
)

func openEngine(dir string, opts *engine.Options) (*engineStore, error) {
	eng, err := engine.Open(dir, opts)
	if err != nil {
		return nil, err
	}
	shard, err := eng.CreateShard(context.Background(), engine.FirstUserShard)
	if err != nil {
		return nil, errors.Join(err, eng.Close())
	}
	return &engineStore{eng: eng, shard: shard}, nil
}

func (s *engineStore) Session() (Session, error) {
	return &engineSession{store: s, batch: s.eng.NewBatch()}, nil
}

func (s *engineStore) Settle(ctx context.Context) error {
	if err := s.shard.Flush(ctx); err != nil {
		return err
	}
	return s.shard.Compact(ctx, nil, nil)
}

func (s *engineStore) Close() error { return s.eng.Close() }

func (s *engineStore) Syncs() uint64 {
	m, err := s.eng.Metrics()
	if err != nil {
		return 0
	}
	return m.Commits.Syncs
}

// engineSession reuses one batch.
type engineSession struct {
	store *engineStore
	batch *engine.Batch
}

func mode(sync bool) engine.CommitMode {
	if sync {
		return engine.Sync
	}
	return engine.NoSync
}

func (s *engineSession) Put(key, value []byte, sync bool) error {
	s.batch.Reset()
	if err := s.batch.Put(s.store.shard, key, value); err != nil {
		return err
	}
	return s.store.eng.Commit(context.Background(), s.batch, mode(sync))
}

func (s *engineSession) PutBatch(pairs []Pair, sync bool) error {
	s.batch.Reset()
	for _, p := range pairs {
		if err := s.batch.Put(s.store.shard, p.Key, p.Value); err != nil {
			return err
		}
	}
	return s.store.eng.Commit(context.Background(), s.batch, mode(sync))
}

func (s *engineSession) Get(dst, key []byte) ([]byte, bool, error) {
	value, err := s.store.shard.Get(dst, key, nil)
	if errors.Is(err, engine.ErrNotFound) {
		return dst, false, nil
	}
	return value, err == nil, err
}

func (s *engineSession) Scan(start []byte, rows int) (read int, bytes int64, err error) {
	it, err := s.store.shard.NewIterator(&engine.IterOptions{Lower: start})
	if err != nil {
		return 0, 0, err
	}
	for ok := it.First(); ok; ok = it.Next() {
		bytes += int64(len(it.Key()) + len(it.Value()))
		if read++; read == rows {
			break
		}
	}
	return read, bytes, it.Close()
}

func (s *engineSession) Close() error {
	s.batch.Close()
	return nil
}
