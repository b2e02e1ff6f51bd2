package engine

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// memtableKeys are shapes of keys that meet every case of the tree under a memtable (native_tree.h):
// what all keys have in common shrinks, nodes split at both ends and in the middle, heads tie, one key
// fills whole leaves with its versions.
var memtableKeys = map[string]func(rng *rand.Rand, i int) []byte{
	"short":      func(rng *rand.Rand, _ int) []byte { return randomBytes(rng, 20) },
	"decimal":    func(rng *rand.Rand, _ int) []byte { return fmt.Appendf(nil, "%016d", rng.IntN(300_000)) },
	"ascending":  func(_ *rand.Rand, i int) []byte { return fmt.Appendf(nil, "%016d", i) },
	"descending": func(_ *rand.Rand, i int) []byte { return fmt.Appendf(nil, "%016d", 1<<30-i) },
	"binary":     func(rng *rand.Rand, _ int) []byte { return binary.BigEndian.AppendUint64(nil, rng.Uint64()) },
	"hot":        func(rng *rand.Rand, _ int) []byte { return fmt.Appendf(nil, "hot%d", rng.IntN(3)) },
	"tie": func(rng *rand.Rand, _ int) []byte {
		return fmt.Appendf(nil, "%s%d", strings.Repeat("x", rng.IntN(40)), rng.IntN(100))
	},
	"records": func(rng *rand.Rand, _ int) []byte {
		return fmt.Appendf(nil, "d\x00\x00\x00\x00\x00\x00\x00\x01%06d\x00%s", rng.IntN(10_000), []string{".d", "@l", ":\x01"}[rng.IntN(3)])
	},
}

// bigMemtable keeps all that a test writes in one memtable.
func bigMemtable() *Options {
	o := smallOptions()
	o.ShardMemtableBytes, o.MemtableBytes, o.MaxWALBytes = 64<<20, 128<<20, 256<<20
	return o
}

func TestMemtableAgainstModel(t *testing.T) {
	for name, key := range memtableKeys {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := openAt(t, t.TempDir(), bigMemtable())
			s := mustShard(t, e, FirstUserShard)
			rng := rand.New(rand.NewPCG(1, 2))
			anyKey := func() string { return string(key(rng, rng.IntN(30_000))) }
			model, before := map[string]string{}, map[string]string{}
			var snap *Snapshot
			b := e.NewBatch()
			defer b.Close()
			for i := range 30_000 {
				k, v := key(rng, i), fmt.Sprint(i)
				var err error
				if rng.IntN(10) == 0 {
					delete(model, string(k))
					err = b.Delete(s, k)
				} else {
					model[string(k)] = v
					err = b.Put(s, k, []byte(v))
				}
				if err != nil {
					t.Fatal(err)
				}
				if b.Count() > rng.IntN(60) || i == 15_000 || i == 29_999 {
					if err := e.Commit(t.Context(), b, NoSync); err != nil {
						t.Fatal(err)
					}
					b.Reset()
				}
				if i == 15_000 {
					if snap, err = e.NewSnapshot(); err != nil {
						t.Fatal(err)
					}
					defer snap.Close()
					for k, v := range model {
						before[k] = v
					}
				}
			}
			if m, err := s.Metrics(); err != nil || m.TableFiles > 0 {
				t.Fatalf("the rows have left the memtable: %d tables, %v", m.TableFiles, err)
			}
			for _, at := range []struct {
				snap *Snapshot
				rows map[string]string
			}{{nil, model}, {snap, before}} {
				o := &IterOptions{Snapshot: at.snap}
				it, err := s.NewIterator(o)
				if err != nil {
					t.Fatal(err)
				}
				newIterModel(at.rows, o).run(t, rng, it, o, 4000, anyKey)
				it.Close()
				for range 4000 {
					k := anyKey()
					got, err := s.Get(nil, []byte(k), &ReadOptions{Snapshot: at.snap})
					if want, ok := at.rows[k]; ok != (err == nil) || string(got) != want {
						t.Fatalf("get %q: %q, %v; want %q, %v", k, got, err, want, ok)
					}
				}
			}
			if err := s.Flush(t.Context()); err != nil { // RocksDB checks the order and the number of rows
				t.Fatal(err)
			}
			o := &IterOptions{}
			it, err := s.NewIterator(o)
			if err != nil {
				t.Fatal(err)
			}
			defer it.Close()
			newIterModel(model, o).run(t, rng, it, o, 1000, anyKey)
		})
	}
}

// TestMemtableReadersBesideWriter reads while one writer splits the leaves under the readers: every key
// that was committed before a read began is found by it, and iterators see exactly their snapshot.
func TestMemtableReadersBesideWriter(t *testing.T) {
	const rows = 40_000
	for _, name := range []string{"decimal", "descending", "binary", "tie", "records"} {
		t.Run(name, func(t *testing.T) {
			e := openAt(t, t.TempDir(), bigMemtable())
			s := mustShard(t, e, FirstUserShard)
			rng := rand.New(rand.NewPCG(3, 4))
			keys := make([][]byte, rows)
			for i := range keys {
				keys[i] = memtableKeys[name](rng, i)
			}
			var done atomic.Int64 // keys[:done] are committed
			var reads atomic.Int64
			var stop atomic.Bool
			var readers sync.WaitGroup
			defer readers.Wait()
			defer stop.Store(true)
			fault := make(chan error, 4)
			for id := range 4 {
				readers.Go(func() {
					rng := rand.New(rand.NewPCG(5, uint64(id)))
					for !stop.Load() {
						n := done.Load()
						if n == 0 {
							continue
						}
						if err := readBeside(e, s, keys[:n], rng); err != nil {
							fault <- err
							return
						}
						reads.Add(1)
					}
				})
			}
			b := e.NewBatch()
			defer b.Close()
			// Once all are written they are written again, until enough was read beside it.
			for i := 0; i < rows || reads.Load() < 50 && len(fault) == 0; {
				b.Reset()
				for range 1 + rng.IntN(20) {
					if err := b.Put(s, keys[i%rows], keys[i%rows]); err != nil {
						t.Fatal(err)
					}
					i++
				}
				if err := e.Commit(t.Context(), b, NoSync); err != nil {
					t.Fatal(err)
				}
				done.Store(int64(min(i, rows)))
			}
			stop.Store(true)
			readers.Wait()
			close(fault)
			for err := range fault {
				t.Error(err)
			}
		})
	}
}

// readBeside reads some keys that were committed, alone and by an iterator.
func readBeside(e *Engine, s *Shard, keys [][]byte, rng *rand.Rand) error {
	for range 20 {
		k := keys[rng.IntN(len(keys))]
		if got, err := s.Get(nil, k, nil); err != nil || string(got) != string(k) {
			return fmt.Errorf("get %q, which was committed: %q, %w", k, got, err)
		}
	}
	snap, err := e.NewSnapshot()
	if err != nil {
		return err
	}
	defer snap.Close()
	from := keys[rng.IntN(len(keys))]
	var seen [2][]string
	for i := range seen {
		it, err := s.NewIterator(&IterOptions{Snapshot: snap})
		if err != nil {
			return err
		}
		for ok := it.SeekGE(from); ok && len(seen[i]) < 300; ok = it.Next() {
			seen[i] = append(seen[i], string(it.Key()))
		}
		for j := len(seen[i]) - 2; j >= 0 && it.Valid(); j-- { // and back again
			if !it.Prev() {
				return fmt.Errorf("nothing before row %d of %d: %w", j+1, len(seen[i]), it.Err())
			}
		}
		if err := it.Close(); err != nil {
			return err
		}
	}
	a, b := strings.Join(seen[0], "|"), strings.Join(seen[1], "|")
	if a != b || len(seen[0]) == 0 || seen[0][0] != string(from) {
		return fmt.Errorf("two walks from %q at one snapshot: %d and %d rows, the first %q", from, len(seen[0]), len(seen[1]), seen[0][:1])
	}
	for i := 1; i < len(seen[0]); i++ {
		if seen[0][i-1] >= seen[0][i] {
			return fmt.Errorf("row %q before row %q", seen[0][i-1], seen[0][i])
		}
	}
	return nil
}
