package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestDamagedTableIsACorruption(t *testing.T) {
	dir := t.TempDir()
	e := openReading(t, dir)
	s, err := e.CreateShard(context.Background(), FirstUserShard)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	write(t, e, func(b *Batch) {
		for i := range 2000 {
			v := make([]byte, 100)
			for j := range v {
				v[j] = byte(rng.IntN(256))
			}
			if err := b.Put(s, keyOf(i), v); err != nil {
				t.Fatal(err)
			}
		}
	})
	flush(t, s)
	closeReading(t, e)
	if n := len(damageTables(t, dir, func(string) bool { return true })); n == 0 {
		t.Fatal("no table to damage")
	}
	// The shard table in node-local storage has not been flushed, so only the shard's file is hit.

	use := map[string]func(s *Shard) error{
		"iterate": func(s *Shard) error {
			it, err := s.NewIterator(nil)
			if err != nil {
				return err
			}
			for ok := it.First(); ok; ok = it.Next() {
			}
			if it.First() {
				t.Error("a failed iterator stands at a row again")
			}
			return it.Close()
		},
		"iterate back": func(s *Shard) error {
			it, err := s.NewIterator(nil)
			if err != nil {
				return err
			}
			for ok := it.Last(); ok; ok = it.Prev() {
			}
			return it.Close()
		},
		"get": func(s *Shard) error {
			for i := range 2000 {
				if _, err := s.Get(nil, keyOf(i), nil); err != nil {
					return err
				}
			}
			return nil
		},
		"view": func(s *Shard) error {
			for i := range 2000 {
				if err := s.View(keyOf(i), nil, func([]byte) error { return nil }); err != nil {
					return err
				}
			}
			return nil
		},
		"has": func(s *Shard) error {
			for i := range 2000 {
				if _, err := s.Has(keyOf(i), nil); err != nil {
					return err
				}
			}
			return nil
		},
		"multiget": func(s *Shard) error {
			var keys [][]byte
			for i := range 2000 {
				keys = append(keys, keyOf(i))
			}
			_, err := s.MultiGet(keys, nil)
			return err
		},
	}
	for name, f := range use {
		e := openReading(t, dir)
		s, err := e.Shard(FirstUserShard)
		if err != nil {
			t.Fatal(err)
		}
		err = f(s)
		if !errors.Is(err, ErrCorruption) || !strings.Contains(err.Error(), ".sst") || !strings.Contains(err.Error(), "shard 1001") {
			t.Errorf("%s over a damaged table: %v", name, err)
		}
		if e.Err() == nil {
			t.Errorf("%s: the engine goes on writing after it met damage", name)
		}
		if left := e.handles.open(); left != "" {
			t.Errorf("%s leaked %s", name, left)
		}
		_ = e.Close() // may report the failure that stopped the engine
		<-e.destroyed
	}
}
