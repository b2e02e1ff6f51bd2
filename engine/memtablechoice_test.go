package engine

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// withMemtable is bigMemtable with one or the other memtable.
func withMemtable(m Memtable) *Options {
	o := bigMemtable()
	o.Memtable = m
	return o
}

// memtableInForce returns the name of the memtable that RocksDB was opened with last, from its OPTIONS file.
func memtableInForce(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "OPTIONS-*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no OPTIONS file: %v", err)
	}
	text, err := os.ReadFile(files[len(files)-1])
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "memtable_factory=")
	name, _, _ := strings.Cut(rest, "\n")
	return strings.Trim(name, "{}; ")
}

// writeRandom puts and deletes n random keys, the same for the same seed, here and in model.
func writeRandom(t *testing.T, e *Engine, s *Shard, seed uint64, n int, model map[string]string) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 0))
	b := e.NewBatch()
	defer b.Close()
	for i := range n {
		k, v := string(memtableKeys["records"](rng, i)), fmt.Sprint(seed, i)
		var err error
		if rng.IntN(8) == 0 {
			delete(model, k)
			err = b.Delete(s, []byte(k))
		} else {
			model[k] = v
			err = b.Put(s, []byte(k), []byte(v))
		}
		if err != nil {
			t.Fatal(err)
		}
		if b.Count() == 10 || i == n-1 {
			if err := e.Commit(t.Context(), b, NoSync); err != nil {
				t.Fatal(err)
			}
			b.Reset()
		}
	}
}

// allRows reads all rows of s.
func allRows(t *testing.T, s *Shard) map[string]string {
	t.Helper()
	it, err := s.NewIterator(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	rows := map[string]string{}
	for ok := it.First(); ok; ok = it.Next() {
		rows[string(it.Key())] = string(it.Value())
	}
	return rows
}

// TestMemtableChoice: both memtables lead to the same log, byte for byte, and to the same rows, and each
// recovers from the log what the other has written.
func TestMemtableChoice(t *testing.T) {
	names := map[Memtable]string{MemtableTree: "PleiadesTree", MemtableSkipList: "SkipListFactory"}
	other := map[Memtable]Memtable{MemtableTree: MemtableSkipList, MemtableSkipList: MemtableTree}
	logs := map[Memtable][]byte{}
	for _, first := range []Memtable{MemtableTree, MemtableSkipList} {
		dir, model := t.TempDir(), map[string]string{}
		choice := first
		for round := range uint64(4) {
			e, err := Open(dir, withMemtable(choice))
			if err != nil {
				t.Fatalf("round %d with %s: %v", round, choice, err)
			}
			if got := memtableInForce(t, dir); got != names[choice] {
				t.Fatalf("asked for %s, RocksDB has %s", choice, got)
			}
			s := mustShard(t, e, FirstUserShard)
			if got := allRows(t, s); !maps.Equal(got, model) {
				t.Fatalf("round %d with %s: %d rows, want %d", round, choice, len(got), len(model))
			}
			writeRandom(t, e, s, round, 5000, model)
			if got := allRows(t, s); !maps.Equal(got, model) {
				t.Fatalf("round %d with %s, after its writes: %d rows, want %d", round, choice, len(got), len(model))
			}
			if round == 2 {
				if err := s.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			closeClean(t, e)
			if round == 0 {
				logs[first] = walBytes(t, dir)
			}
			choice = other[choice]
		}
	}
	if len(logs[MemtableTree]) < 100_000 || !bytes.Equal(logs[MemtableTree], logs[MemtableSkipList]) {
		t.Errorf("the same writes gave logs of %d and %d bytes that differ", len(logs[MemtableTree]), len(logs[MemtableSkipList]))
	}
	_, err := Open(t.TempDir(), &Options{Memtable: "btree"})
	wantErr(t, err, ErrInvalid)
}

// walBytes returns all logs of a closed store, one behind the other.
func walBytes(t *testing.T, dir string) []byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	var all []byte
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}
