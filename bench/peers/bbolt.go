package main

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"

	"go.etcd.io/bbolt"

	"github.com/shieldmaidens/pleiades/bench"
)

// bboltStore is bbolt with its faster free list. A single writer uses Update; many use Batch, bbolt's
// own group commit, sized so that it never waits for more callers than there are.
type bboltStore struct {
	db       *bbolt.DB
	once     sync.Once
	sessions atomic.Int64
}

var bboltBucket = []byte("b")

func openBbolt(dir string) (bench.Store, error) {
	db, err := bbolt.Open(filepath.Join(dir, "bolt.db"), 0o644, &bbolt.Options{
		NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
	})
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket(bboltBucket)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &bboltStore{db: db}, nil
}

func (s *bboltStore) Session() (bench.Session, error) {
	s.db.MaxBatchSize = int(s.sessions.Add(1))
	return &bboltSession{s}, nil
}

// Settle has nothing to do but to sync: bbolt has no memtable and does not compact.
func (s *bboltStore) Settle(context.Context) error { return s.db.Sync() }

func (s *bboltStore) Close() error { return s.db.Close() }

// mode sets whether commits are synced: a setting of the whole database. Every workload uses one.
func (s *bboltStore) mode(sync bool) {
	s.once.Do(func() { s.db.NoSync = !sync })
}

type bboltSession struct{ s *bboltStore }

func (b *bboltSession) Put(key, value []byte, sync bool) error {
	b.s.mode(sync)
	put := func(tx *bbolt.Tx) error { return tx.Bucket(bboltBucket).Put(key, value) }
	if b.s.sessions.Load() == 1 {
		return b.s.db.Update(put)
	}
	return b.s.db.Batch(put)
}

func (b *bboltSession) PutBatch(pairs []bench.Pair, sync bool) error {
	b.s.mode(sync)
	return b.s.db.Update(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(bboltBucket)
		for _, p := range pairs {
			if err := bucket.Put(p.Key, p.Value); err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *bboltSession) Get(dst, key []byte) (value []byte, found bool, err error) {
	err = b.s.db.View(func(tx *bbolt.Tx) error {
		if v := tx.Bucket(bboltBucket).Get(key); v != nil {
			dst, found = append(dst, v...), true
		}
		return nil
	})
	return dst, found, err
}

func (b *bboltSession) Scan(start []byte, rows int) (read int, bytes int64, err error) {
	err = b.s.db.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(bboltBucket).Cursor()
		for k, v := c.Seek(start); k != nil && read < rows; k, v = c.Next() {
			read++
			bytes += int64(len(k) + len(v))
		}
		return nil
	})
	return read, bytes, err
}

func (b *bboltSession) Close() error {
	b.s.sessions.Add(-1)
	return nil
}
