package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/linxGnu/grocksdb"

	"github.com/shieldmaidens/pleiades/bench"
)

// directStore is RocksDB without the engine: goroutines that call it through its usual Go binding, with
// exactly the engine's options and library.
type directStore struct {
	db      *grocksdb.DB
	base    *grocksdb.Options
	family  *grocksdb.LatestOptions
	handles grocksdb.ColumnFamilyHandles
	env     *grocksdb.Env
	cache   *grocksdb.Cache
	ro      *grocksdb.ReadOptions
	synced  *grocksdb.WriteOptions
	plain   *grocksdb.WriteOptions
}

// openDirect opens RocksDB with the options in the OPTIONS file at optionsPath.
func openDirect(optionsPath string) bench.Opener {
	return func(dir string) (bench.Store, error) {
		s := &directStore{
			env: grocksdb.NewDefaultEnv(), cache: grocksdb.NewLRUCache(cacheBytes),
			ro: grocksdb.NewDefaultReadOptions(), synced: grocksdb.NewDefaultWriteOptions(), plain: grocksdb.NewDefaultWriteOptions(),
		}
		s.synced.SetSync(true)
		err := s.openWith(dir, optionsPath)
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		return s, nil
	}
}

// openWith takes the family's options as RocksDB reads them back, and those of the database from the
// text of their section: the binding does not hand them out.
func (s *directStore) openWith(dir, optionsPath string) error {
	var err error
	if s.family, err = grocksdb.LoadLatestOptions(filepath.Dir(optionsPath), s.env, false, s.cache); err != nil {
		return err
	}
	text, err := databaseOptions(optionsPath)
	if err != nil {
		return err
	}
	defaults := grocksdb.NewDefaultOptions()
	defer defaults.Destroy()
	if s.base, err = grocksdb.GetOptionsFromString(defaults, text); err != nil {
		return err
	}
	family := s.family.ColumnFamilyOpts()[0]
	db, handles, err := grocksdb.OpenDbColumnFamilies(s.base, dir, []string{"default"}, []*grocksdb.Options{&family})
	if err != nil {
		return err
	}
	s.db, s.handles = db, handles
	return nil
}

// databaseOptions returns the section DBOptions of an OPTIONS file as one string.
func databaseOptions(path string) (string, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	_, rest, ok := strings.Cut(string(raw), "[DBOptions]")
	section, _, ok2 := strings.Cut(rest, "\n[")
	if !ok || !ok2 {
		return "", fmt.Errorf("%s has no section DBOptions", path)
	}
	var b strings.Builder
	for line := range strings.Lines(section) {
		if line = strings.TrimSpace(line); strings.Contains(line, "=") {
			b.WriteString(line + ";")
		}
	}
	return b.String(), nil
}

func (s *directStore) Session() (bench.Session, error) {
	return &directSession{directStore: s, batch: grocksdb.NewWriteBatch()}, nil
}

func (s *directStore) Settle(context.Context) error {
	fo := grocksdb.NewDefaultFlushOptions()
	defer fo.Destroy()
	if err := s.db.Flush(fo); err != nil {
		return err
	}
	how := grocksdb.NewCompactRangeOptions() // see cpp_settle
	defer how.Destroy()
	how.SetBottommostLevelCompaction(grocksdb.KForceOptimized)
	s.db.CompactRangeOpt(grocksdb.Range{}, how)
	return nil
}

func (s *directStore) Close() error {
	if s.db != nil {
		for _, h := range s.handles {
			h.Destroy()
		}
		s.db.Close()
	}
	if s.base != nil {
		s.base.Destroy()
	}
	s.ro.Destroy()
	s.synced.Destroy()
	s.plain.Destroy()
	s.cache.Destroy()
	s.env.Destroy()
	return nil
}

type directSession struct {
	*directStore
	batch *grocksdb.WriteBatch
}

func (s *directSession) mode(sync bool) *grocksdb.WriteOptions {
	if sync {
		return s.synced
	}
	return s.plain
}

func (s *directSession) Put(key, value []byte, sync bool) error {
	return s.db.Put(s.mode(sync), key, value)
}

func (s *directSession) PutBatch(pairs []bench.Pair, sync bool) error {
	s.batch.Clear()
	for _, p := range pairs {
		s.batch.Put(p.Key, p.Value)
	}
	return s.db.Write(s.mode(sync), s.batch)
}

func (s *directSession) Get(dst, key []byte) ([]byte, bool, error) {
	value, err := s.db.GetPinned(s.ro, key)
	if err != nil {
		return dst, false, err
	}
	defer value.Destroy()
	if !value.Exists() {
		return dst, false, nil
	}
	return append(dst, value.Data()...), true, nil
}

func (s *directSession) Scan(start []byte, rows int) (read int, bytes int64, err error) {
	it := s.db.NewIterator(s.ro)
	defer it.Close()
	for it.Seek(start); it.Valid() && read < rows; it.Next() {
		key, value := it.Key(), it.Value()
		bytes += int64(key.Size() + value.Size())
		key.Free()
		value.Free()
		read++
	}
	return read, bytes, it.Err()
}

func (s *directSession) Close() error {
	s.batch.Destroy()
	return nil
}
