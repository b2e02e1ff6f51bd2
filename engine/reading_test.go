package engine

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// What the tests of reads and files share.

// openReading opens the store in dir and closes it at the test's end, when no handle may be left.
func openReading(t testing.TB, dir string) *Engine {
	t.Helper()
	e, err := Open(dir, smallOptions())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if e.closing.Load() {
			return
		}
		closeReading(t, e)
	})
	return e
}

func closeReading(t testing.TB, e *Engine) {
	t.Helper()
	if left := e.handles.open(); left != "" {
		t.Errorf("leaked: %s", left)
	}
	if err := e.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
}

// newReadingShard opens a store in a new directory with one shard.
func newReadingShard(t testing.TB) (*Engine, *Shard) {
	t.Helper()
	e := openReading(t, t.TempDir())
	s, err := e.CreateShard(context.Background(), FirstUserShard)
	if err != nil {
		t.Fatal(err)
	}
	return e, s
}

// write commits what fill puts into a batch, unsynced.
func write(t testing.TB, e *Engine, fill func(b *Batch)) {
	t.Helper()
	b := e.NewBatch()
	defer b.Close()
	fill(b)
	if err := e.Commit(context.Background(), b, NoSync); err != nil {
		t.Fatal(err)
	}
}

func put(t testing.TB, e *Engine, s *Shard, rows map[string]string) {
	t.Helper()
	write(t, e, func(b *Batch) {
		for k, v := range rows {
			if err := b.Put(s, []byte(k), []byte(v)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func flush(t testing.TB, s *Shard) {
	t.Helper()
	if err := s.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// contents reads all rows of a shard.
func contents(t testing.TB, s *Shard, opts *IterOptions) map[string]string {
	t.Helper()
	it, err := s.NewIterator(opts)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for ok := it.First(); ok; ok = it.Next() {
		rows[string(it.Key())] = string(it.Value())
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	return rows
}

func wantContents(t testing.TB, s *Shard, want map[string]string) {
	t.Helper()
	if got := contents(t, s, nil); !maps.Equal(got, want) {
		t.Fatalf("%s holds %d rows %v, want %d rows %v", s.describe(), len(got), clip(got), len(want), clip(want))
	}
}

func clip(rows map[string]string) []string {
	keys := slices.Sorted(maps.Keys(rows))
	return keys[:min(len(keys), 20)]
}

// randomBytes returns up to most bytes, biased to the ends of the byte range.
func randomBytes(rng *rand.Rand, most int) []byte {
	b := make([]byte, rng.IntN(most+1))
	for i := range b {
		switch rng.IntN(4) {
		case 0:
			b[i] = 0x00
		case 1:
			b[i] = 0xff
		default:
			b[i] = byte(rng.IntN(256))
		}
	}
	return b
}

// damageTables overwrites bytes in the middle of every table file that match says, and returns their
// names.
func damageTables(t testing.TB, dir string, match func(name string) bool) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		t.Fatal(err)
	}
	var hit []string
	for _, f := range files {
		if !match(filepath.Base(f)) {
			continue
		}
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		at := len(data) / 4
		copy(data[at:], bytes.Repeat([]byte{0xa5}, 64))
		if err := os.WriteFile(f, data, 0o644); err != nil {
			t.Fatal(err)
		}
		hit = append(hit, filepath.Base(f))
	}
	return hit
}

func keyOf(i int) []byte { return fmt.Appendf(nil, "key-%06d", i) }
