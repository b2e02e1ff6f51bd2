package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"

	"github.com/shieldmaidens/pleiades/bench"
)

// pebbleStore is Pebble with the same cache, memtable and bloom filter as the others, and the settings
// of its largest user where its defaults are smaller.
type pebbleStore struct{ db *pebble.DB }

var _ bench.Store = (*pebbleStore)(nil)

func openPebble(dir string) (bench.Store, error) {
	db, err := openPebbleDB(dir)
	if err != nil {
		return nil, err
	}
	return &pebbleStore{db}, nil
}

func openPebbleDB(dir string) (*pebble.DB, error) {
	cache := pebble.NewCache(cacheBytes)
	defer cache.Unref() // the database holds it
	opts := &pebble.Options{
		Cache: cache, MemTableSize: memtableBytes, MemTableStopWritesThreshold: 4,
		FormatMajorVersion: pebble.FormatNewest, L0CompactionThreshold: 2, L0StopWritesThreshold: 1000,
		LBaseMaxBytes: 64 << 20, MaxOpenFiles: 4096, Logger: quietLogger{},
	}
	for i := range opts.Levels {
		opts.Levels[i].FilterPolicy = bloom.FilterPolicy(bloomBits)
	}
	return pebble.Open(dir, opts)
}

// quietLogger keeps what goes wrong and drops the rest.
type quietLogger struct{}

func (quietLogger) Infof(string, ...any) {}
func (quietLogger) Errorf(format string, args ...any) {
	warn("pebble: " + fmt.Sprintf(format, args...))
}
func (quietLogger) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }

func (s *pebbleStore) Session() (bench.Session, error) { return &pebbleSession{s.db}, nil }

func (s *pebbleStore) Settle(ctx context.Context) error {
	if err := s.db.Flush(); err != nil {
		return err
	}
	return s.db.Compact(ctx, []byte{0}, []byte{0xff}, true)
}

func (s *pebbleStore) Close() error { return s.db.Close() }

type pebbleSession struct{ db *pebble.DB }

func pebbleMode(sync bool) *pebble.WriteOptions {
	if sync {
		return pebble.Sync
	}
	return pebble.NoSync
}

func (s *pebbleSession) Put(key, value []byte, sync bool) error {
	return s.db.Set(key, value, pebbleMode(sync))
}

func (s *pebbleSession) PutBatch(pairs []bench.Pair, sync bool) error {
	b := s.db.NewBatch()
	defer b.Close()
	for _, p := range pairs {
		if err := b.Set(p.Key, p.Value, nil); err != nil {
			return err
		}
	}
	return b.Commit(pebbleMode(sync))
}

func (s *pebbleSession) Get(dst, key []byte) ([]byte, bool, error) {
	value, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return dst, false, nil
	}
	if err != nil {
		return dst, false, err
	}
	dst = append(dst, value...)
	return dst, true, closer.Close()
}

func (s *pebbleSession) Scan(start []byte, rows int) (read int, bytes int64, err error) {
	it, err := s.db.NewIter(nil)
	if err != nil {
		return 0, 0, err
	}
	for ok := it.SeekGE(start); ok; ok = it.Next() {
		value, err := it.ValueAndErr()
		if err != nil {
			return read, bytes, errors.Join(err, it.Close())
		}
		bytes += int64(len(it.Key()) + len(value))
		if read++; read == rows {
			break
		}
	}
	return read, bytes, it.Close()
}

func (s *pebbleSession) Close() error { return nil }

var _ io.Closer = (*pebbleSession)(nil)
