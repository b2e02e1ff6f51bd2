package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// importShard verifies the export in dir and makes a live shard of it.
func importShard(ctx context.Context, e *Engine, id ShardID, dir string) (*Shard, error) {
	x, err := ReadExport(ctx, dir)
	if err != nil {
		return nil, err
	}
	staged, err := e.StageImport(ctx, id, x)
	if err != nil {
		return nil, err
	}
	return e.activate(ctx, staged)
}

// TestExportAgainstModel exports and imports shards after random puts, deletes, range deletes, flushes,
// compactions, under old snapshots, and compares every row, also after reopening.
func TestExportAgainstModel(t *testing.T) {
	for seed := range uint64(25) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 7))
			ctx, dir, elsewhere := context.Background(), t.TempDir(), t.TempDir()
			e := openReading(t, dir)
			other := openReading(t, elsewhere)
			src, err := e.CreateShard(ctx, FirstUserShard)
			if err != nil {
				t.Fatal(err)
			}
			model := map[string]string{}
			anyKey := func() string { return string(randomBytes(rng, 3)) }
			var snaps []*Snapshot
			for step := range 12 {
				rows := map[string]string{}
				for range rng.IntN(100) {
					rows[anyKey()] = string(randomBytes(rng, 100))
				}
				maps.Copy(model, rows)
				put(t, e, src, rows)
				if rng.IntN(2) == 0 {
					deleteSome(t, rng, e, src, model, anyKey)
				}
				switch rng.IntN(6) {
				case 0:
					flush(t, src)
				case 1:
					if err := src.Compact(ctx, nil, nil); err != nil {
						t.Fatal(err)
					}
				case 2:
					snap, err := e.NewSnapshot()
					if err != nil {
						t.Fatal(err)
					}
					snaps = append(snaps, snap)
				case 3:
					id := FirstUserShard + ShardID(1+step)
					clone, err := e.CloneShard(ctx, src, id)
					if err != nil {
						t.Fatal(err)
					}
					wantContents(t, clone, model)
					// The two are apart from now on.
					put(t, e, clone, map[string]string{"only here": "1"})
					wantContents(t, src, model)
					if rng.IntN(2) == 0 {
						src = clone
						model["only here"] = "1"
					}
				case 4:
					x, err := src.Export(ctx, filepath.Join(t.TempDir(), "x"), &ExportOptions{Checksums: rng.IntN(2) == 0})
					if err != nil {
						t.Fatal(err)
					}
					moved, err := importShard(ctx, other, FirstUserShard+ShardID(1+step), x.Dir)
					if err != nil {
						t.Fatal(err)
					}
					wantContents(t, moved, model)
					if _, err := ReadExport(ctx, x.Dir); err != nil {
						t.Fatalf("the import used the export up: %v", err)
					}
				}
			}
			for _, snap := range snaps {
				snap.Close()
			}
			wantContents(t, src, model)
			id := src.ID()
			closeReading(t, e)
			e = openReading(t, dir)
			if src, err = e.Shard(id); err != nil {
				t.Fatal(err)
			}
			wantContents(t, src, model)
		})
	}
}

// TestExportDropsRangeTombstones pins the trap that makes exports compact: rows that a range deletion
// hides, in another file, must not come back in an import.
func TestExportDropsRangeTombstones(t *testing.T) {
	for _, snapshot := range []bool{false, true} {
		t.Run(fmt.Sprintf("snapshot=%v", snapshot), func(t *testing.T) {
			e, s := newReadingShard(t)
			rows := map[string]string{}
			for i := range 1000 {
				rows[string(keyOf(i))] = "v"
			}
			put(t, e, s, rows)
			flush(t, s)
			if snapshot { // holds the rows, so that no compaction may remove the tombstone
				snap, err := e.NewSnapshot()
				if err != nil {
					t.Fatal(err)
				}
				defer snap.Close()
			}
			write(t, e, func(b *Batch) {
				if err := b.DeleteRange(s, keyOf(100), keyOf(900)); err != nil {
					t.Fatal(err)
				}
			})
			flush(t, s)
			maps.DeleteFunc(rows, func(k, _ string) bool { return k >= string(keyOf(100)) && k < string(keyOf(900)) })
			clone, err := e.CloneShard(context.Background(), s, FirstUserShard+1)
			if err != nil {
				t.Fatal(err)
			}
			wantContents(t, clone, rows)
			wantContents(t, s, rows)
		})
	}
}

func TestExportOfAnEmptyShard(t *testing.T) {
	ctx := context.Background()
	e, s := newReadingShard(t)
	check := func(id ShardID) {
		t.Helper()
		x, err := s.Export(ctx, filepath.Join(t.TempDir(), "x"), nil)
		if err != nil || len(x.Files) != 0 {
			t.Fatalf("%d files, %v", len(x.Files), err)
		}
		copied, err := importShard(ctx, e, id, x.Dir)
		if err != nil {
			t.Fatal(err)
		}
		wantContents(t, copied, map[string]string{})
		put(t, e, copied, map[string]string{"a": "1"})
		wantContents(t, copied, map[string]string{"a": "1"})
	}
	check(FirstUserShard + 1)
	// Emptied by a range deletion: the only table holds nothing but a tombstone.
	put(t, e, s, map[string]string{"a": "1", "b": "2"})
	flush(t, s)
	write(t, e, func(b *Batch) {
		if err := b.DeleteRange(s, []byte("a"), []byte("c")); err != nil {
			t.Fatal(err)
		}
	})
	check(FirstUserShard + 2)
}

func TestExportRefusesAnExistingDirectory(t *testing.T) {
	e, s := newReadingShard(t)
	put(t, e, s, map[string]string{"a": "1"})
	dir := t.TempDir()
	if _, err := s.Export(context.Background(), dir, nil); !errors.Is(err, ErrDirExists) {
		t.Errorf("export into an existing directory: %v", err)
	}
	if _, err := s.Export(context.Background(), filepath.Join(dir, "no", "parent"), nil); err == nil {
		t.Error("export below a missing directory succeeded")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Export(ctx, filepath.Join(dir, "x"), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled export: %v", err)
	}
	if _, err := e.Local().Export(context.Background(), filepath.Join(dir, "x"), nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("export of node-local storage: %v", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("failed exports left %v", left)
	}
	if e.Err() != nil {
		t.Errorf("a failed export stopped the engine: %v", e.Err())
	}
}

// TestFilesAcrossFileSystems exports to, checkpoints to, and imports and ingests from a file system on
// which nothing can be linked with the store.
func TestFilesAcrossFileSystems(t *testing.T) {
	ctx := context.Background()
	far, err := os.MkdirTemp("/dev/shm", "pleiades-test-")
	if err != nil {
		t.Skip("no second file system:", err)
	}
	t.Cleanup(func() { os.RemoveAll(far) })
	e, s := newReadingShard(t)
	var here, there unix.Stat_t
	if err := errors.Join(unix.Stat(e.Dir(), &here), unix.Stat(far, &there)); err != nil {
		t.Fatal(err)
	}
	if here.Dev == there.Dev {
		t.Skip("/dev/shm is the tests' file system")
	}
	rows := map[string]string{}
	for i := range 1000 {
		rows[string(keyOf(i))] = "v"
	}
	put(t, e, s, rows)
	x, err := s.Export(ctx, filepath.Join(far, "export"), &ExportOptions{Checksums: true})
	if err != nil {
		t.Fatal(err)
	}
	imported, err := importShard(ctx, e, FirstUserShard+1, x.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Checkpoint(ctx, filepath.Join(far, "store")); err != nil {
		t.Fatal(err)
	}
	copied := openReading(t, filepath.Join(far, "store"))
	fromCopy, err := copied.Shard(FirstUserShard)
	if err != nil {
		t.Fatal(err)
	}
	wantContents(t, fromCopy, rows)
	w, err := e.NewSSTWriter(filepath.Join(far, "table"))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Put([]byte("zz"), []byte("ingested")); err != nil {
		t.Fatal(err)
	}
	info, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if err := imported.Ingest(ctx, []string{info.Path}, nil); err != nil {
		t.Fatal(err)
	}
	rows["zz"] = "ingested"
	wantContents(t, imported, rows)
}

// TestExportToAFullDisk: what happens to a foreign disk is no fault of the store.
func TestExportToAFullDisk(t *testing.T) {
	ctx := context.Background()
	far := t.TempDir()
	mountTmpfs(t, far, "size=1m")
	e, s := newReadingShard(t)
	incompressible(t, e, s, 8000, 500)
	flush(t, s)
	check := func(how string) {
		t.Helper()
		if _, err := s.Export(ctx, filepath.Join(far, "x"), nil); !errors.Is(err, ErrDiskFull) {
			t.Errorf("%s: export to a full disk: %v", how, err)
		}
		if left, _ := os.ReadDir(far); len(left) != 0 {
			t.Errorf("%s: it left %v", how, left)
		}
		if e.Err() != nil {
			t.Fatalf("%s: it stopped the engine: %v", how, e.Err())
		}
	}
	check("copied tables")
	if err := e.Checkpoint(ctx, filepath.Join(far, "y")); !errors.Is(err, ErrDiskFull) {
		t.Errorf("checkpoint to a full disk: %v", err)
	}
	check("after a checkpoint")
	snap, err := e.NewSnapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	write(t, e, func(b *Batch) {
		if err := b.DeleteRange(s, keyOf(0), keyOf(10)); err != nil {
			t.Fatal(err)
		}
	})
	x, err := s.Export(ctx, filepath.Join(t.TempDir(), "x"), nil)
	if err != nil || x.Files[0].LargestSeq != 0 {
		t.Fatalf("the rows were to be written anew: %+v, %v", x, err)
	}
	// Not the way that Export takes here, which fails earlier.
	if _, err := e.exportRows(ctx, s, filepath.Join(far, "x")); !errors.Is(err, ErrDiskFull) {
		t.Errorf("written rows: %v", err)
	}
	check("with range tombstones")
	cut, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := e.exportRows(cut, s, filepath.Join(t.TempDir(), "x")); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestReadExportFindsDamage(t *testing.T) {
	ctx := context.Background()
	e, s := newReadingShard(t)
	rows := map[string]string{}
	for i := range 500 {
		rows[string(keyOf(i))] = strings.Repeat("v", i)
	}
	put(t, e, s, rows)
	damage := map[string]struct {
		do   func(dir, table string) error
		want error
	}{
		"no manifest":  {func(dir, _ string) error { return os.Remove(filepath.Join(dir, exportFileName)) }, ErrInvalid},
		"missing file": {func(_, table string) error { return os.Remove(table) }, ErrCorruption},
		"short file":   {func(_, table string) error { return os.Truncate(table, 100) }, ErrCorruption},
		"bit flip": {func(_, table string) error {
			// A hard link shares its bytes with the live store: damage a copy.
			b, err := os.ReadFile(table)
			if err != nil {
				return err
			}
			b[len(b)/2] ^= 1
			if err := os.Remove(table); err != nil {
				return err
			}
			return os.WriteFile(table, b, 0o644)
		}, ErrCorruption},
		"manifest flip": {func(dir, _ string) error {
			name := filepath.Join(dir, exportFileName)
			b, err := os.ReadFile(name)
			if err != nil {
				return err
			}
			b[len(b)-7] ^= 0x80
			return os.WriteFile(name, b, 0o644)
		}, ErrCorruption},
	}
	for name, d := range damage {
		x, err := s.Export(ctx, filepath.Join(t.TempDir(), "x"), &ExportOptions{Checksums: true})
		if err != nil {
			t.Fatal(err)
		}
		table := filepath.Join(x.Dir, x.Files[0].Name)
		if name == "short file" { // not the live store's bytes
			b, err := os.ReadFile(table)
			if err == nil {
				err = errors.Join(os.Remove(table), os.WriteFile(table, b, 0o644))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := d.do(x.Dir, table); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadExport(ctx, x.Dir); !errors.Is(err, d.want) || !strings.Contains(err.Error(), x.Dir) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := importShard(ctx, e, FirstUserShard+9, x.Dir); !errors.Is(err, d.want) {
			t.Errorf("import with %s: %v", name, err)
		}
	}
	if e.Err() != nil {
		t.Errorf("damage outside of the store stopped it: %v", e.Err())
	}
	if list := e.Shards(); len(list) != 1 {
		t.Errorf("failed imports left shards: %v", list)
	}
	wantContents(t, s, rows)
}

func TestImportOfADamagedTableWithoutChecksums(t *testing.T) {
	ctx := context.Background()
	e, s := newReadingShard(t)
	put(t, e, s, map[string]string{"a": "1"})
	x, err := s.Export(ctx, filepath.Join(t.TempDir(), "x"), nil)
	if err != nil {
		t.Fatal(err)
	}
	table := filepath.Join(x.Dir, x.Files[0].Name)
	if err := errors.Join(os.Remove(table), os.WriteFile(table, make([]byte, x.Files[0].Bytes), 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, err := importShard(ctx, e, FirstUserShard+1, x.Dir); !errors.Is(err, ErrCorruption) {
		t.Fatalf("import of a zeroed table: %v", err)
	}
	if e.Err() != nil {
		t.Fatalf("it stopped the engine: %v", e.Err())
	}
	put(t, e, s, map[string]string{"b": "2"})
	if left, err := os.ReadDir(filepath.Join(e.Dir(), stagingDirName)); err != nil || len(left) != 0 {
		t.Fatalf("staging holds %v, %v", left, err)
	}
}
