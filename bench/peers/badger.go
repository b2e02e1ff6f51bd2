package main

import (
	"context"
	"errors"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"github.com/shieldmaidens/pleiades/bench"
)

// badgerStore is Badger with its defaults, but for conflict detection and metrics, which cost and are
// not compared. Whether it syncs is a setting of the whole database: it is opened at its first write.
type badgerStore struct {
	dir  string
	mu   sync.Mutex
	db   *badger.DB
	sync bool
}

func openBadger(dir string) (bench.Store, error) { return &badgerStore{dir: dir}, nil }

// open returns the database, opened with the asked mode if it is not open.
func (s *badgerStore) open(sync bool) (*badger.DB, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db != nil {
		return s.db, nil
	}
	opts := badger.DefaultOptions(s.dir).WithLogger(nil).WithSyncWrites(sync).
		WithBlockCacheSize(cacheBytes).WithMemTableSize(memtableBytes).
		WithDetectConflicts(false).WithMetricsEnabled(false).WithNumCompactors(2)
	db, err := badger.Open(opts)
	s.db, s.sync = db, sync
	return db, err
}

func (s *badgerStore) Session() (bench.Session, error) { return &badgerSession{s: s}, nil }

// Settle closes the database, which writes its memtable out, and compacts the tables into one level.
func (s *badgerStore) Settle(context.Context) error {
	if err := s.Close(); err != nil {
		return err
	}
	db, err := s.open(s.sync)
	if err != nil {
		return err
	}
	return db.Flatten(2)
}

func (s *badgerStore) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.db == nil {
		return nil
	}
	err := s.db.Close()
	s.db = nil
	return err
}

type badgerSession struct {
	s  *badgerStore
	db *badger.DB
}

func (b *badgerSession) open(sync bool) (*badger.DB, error) {
	if b.db == nil {
		db, err := b.s.open(sync)
		if err != nil {
			return nil, err
		}
		b.db = db
	}
	return b.db, nil
}

func (b *badgerSession) Put(key, value []byte, sync bool) error {
	db, err := b.open(sync)
	if err != nil {
		return err
	}
	txn := db.NewTransaction(true)
	defer txn.Discard()
	if err := txn.Set(key, value); err != nil {
		return err
	}
	return txn.Commit()
}

func (b *badgerSession) PutBatch(pairs []bench.Pair, sync bool) error {
	db, err := b.open(sync)
	if err != nil {
		return err
	}
	txn := db.NewTransaction(true)
	defer txn.Discard()
	for _, p := range pairs {
		if err := txn.Set(p.Key, p.Value); err != nil {
			return err
		}
	}
	return txn.Commit()
}

func (b *badgerSession) Get(dst, key []byte) (value []byte, found bool, err error) {
	db, err := b.open(false)
	if err != nil {
		return dst, false, err
	}
	txn := db.NewTransaction(false)
	defer txn.Discard()
	item, err := txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return dst, false, nil
	}
	if err != nil {
		return dst, false, err
	}
	value, err = item.ValueCopy(dst)
	return value, err == nil, err
}

func (b *badgerSession) Scan(start []byte, rows int) (read int, bytes int64, err error) {
	db, err := b.open(false)
	if err != nil {
		return 0, 0, err
	}
	txn := db.NewTransaction(false)
	defer txn.Discard()
	opts := badger.DefaultIteratorOptions
	opts.PrefetchValues = false // the values are small and lie beside the keys: prefetching costs goroutines
	it := txn.NewIterator(opts)
	defer it.Close()
	for it.Seek(start); it.Valid() && read < rows; it.Next() {
		item := it.Item()
		read++
		bytes += int64(len(item.Key()))
		if err := item.Value(func(v []byte) error { bytes += int64(len(v)); return nil }); err != nil {
			return read, bytes, err
		}
	}
	return read, bytes, nil
}

func (b *badgerSession) Close() error { return nil }
