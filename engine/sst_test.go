package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writeTable writes rows [from, to) of keyOf with one value into a new table file.
func writeTable(t testing.TB, e *Engine, from, to int, value string) SSTInfo {
	t.Helper()
	w, err := e.NewSSTWriter(filepath.Join(t.TempDir(), fmt.Sprintf("%d-%d.table", from, to)))
	if err != nil {
		t.Fatal(err)
	}
	for i := from; i < to; i++ {
		if err := w.Put(keyOf(i), []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	info, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if info.Entries != uint64(to-from) || !bytes.Equal(info.Smallest, keyOf(from)) || !bytes.Equal(info.Largest, keyOf(to-1)) {
		t.Fatalf("table %+v", info)
	}
	if st, err := os.Stat(info.Path); err != nil || st.Size() != info.Bytes {
		t.Fatalf("%v, %v", st, err)
	}
	return info
}

func TestIngest(t *testing.T) {
	ctx := context.Background()
	e, s := newReadingShard(t)
	want := map[string]string{}
	rows := func(from, to int, v string) {
		for i := from; i < to; i++ {
			want[string(keyOf(i))] = v
		}
	}
	put(t, e, s, map[string]string{string(keyOf(500)): "was here"})
	want[string(keyOf(500))] = "was here"
	snap, err := e.NewSnapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	a, b := writeTable(t, e, 0, 500, "a"), writeTable(t, e, 501, 900, strings.Repeat("b", 1000))
	if err := s.Ingest(ctx, []string{b.Path, a.Path}, nil); err != nil {
		t.Fatal(err)
	}
	rows(0, 500, "a")
	rows(501, 900, strings.Repeat("b", 1000))
	wantContents(t, s, want)
	if old := contents(t, s, &IterOptions{Snapshot: snap}); len(old) != 1 {
		t.Errorf("a snapshot from before sees %d rows", len(old))
	}
	for _, info := range []SSTInfo{a, b} {
		if st, err := os.Stat(info.Path); err != nil || st.Size() != info.Bytes {
			t.Errorf("the ingest changed the caller's file: %v", err)
		}
	}
	if left, err := os.ReadDir(filepath.Join(e.Dir(), stagingDirName)); err != nil || len(left) != 0 {
		t.Errorf("staging holds %v, %v", left, err)
	}

	over := writeTable(t, e, 499, 502, "over")
	if err := s.Ingest(ctx, []string{over.Path}, nil); !errors.Is(err, ErrOverlap) || !strings.Contains(err.Error(), over.Path) {
		t.Fatalf("tables over rows: %v", err)
	}
	wantContents(t, s, want)
	if err := s.Ingest(ctx, []string{over.Path}, &IngestOptions{Overwrite: true}); err != nil {
		t.Fatal(err)
	}
	rows(499, 502, "over")
	wantContents(t, s, want)
	// The same file again, after its rows were overwritten and flushed: it wins again.
	put(t, e, s, map[string]string{string(keyOf(500)): "newer"})
	flush(t, s)
	if err := s.Ingest(ctx, []string{over.Path}, &IngestOptions{Overwrite: true}); err != nil {
		t.Fatal(err)
	}
	wantContents(t, s, want)
	// A clone of a shard with ingested tables is complete, too.
	clone, err := e.CloneShard(ctx, s, FirstUserShard+1)
	if err != nil {
		t.Fatal(err)
	}
	wantContents(t, clone, want)
}

func TestIngestSurvivesReopening(t *testing.T) {
	dir := t.TempDir()
	e := openReading(t, dir)
	s, err := e.CreateShard(context.Background(), FirstUserShard)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Ingest(context.Background(), []string{writeTable(t, e, 0, 10, "v").Path}, nil); err != nil {
		t.Fatal(err)
	}
	want := maps.Clone(contents(t, s, nil))
	closeReading(t, e)
	e = openReading(t, dir)
	if s, err = e.Shard(FirstUserShard); err != nil {
		t.Fatal(err)
	}
	if len(want) != 10 {
		t.Fatalf("%d rows", len(want))
	}
	wantContents(t, s, want)
}

func TestIngestDeletions(t *testing.T) {
	e, s := newReadingShard(t)
	put(t, e, s, map[string]string{"a": "1", "b": "1", "c": "1"})
	w, err := e.NewSSTWriter(filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Delete([]byte("a")), w.Put([]byte("b"), nil), w.Delete([]byte("zz"))); err != nil {
		t.Fatal(err)
	}
	info, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Ingest(context.Background(), []string{info.Path}, &IngestOptions{Overwrite: true}); err != nil {
		t.Fatal(err)
	}
	wantContents(t, s, map[string]string{"b": "", "c": "1"})
}

func TestIngestRefuses(t *testing.T) {
	ctx := context.Background()
	e, s := newReadingShard(t)
	a, b := writeTable(t, e, 0, 10, "a"), writeTable(t, e, 9, 20, "b")
	damaged := writeTable(t, e, 0, 1000, "damaged")
	data, err := os.ReadFile(damaged.Path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/4] ^= 0xff
	garbage := filepath.Join(t.TempDir(), "garbage")
	if err := errors.Join(os.WriteFile(damaged.Path, data, 0o644), os.WriteFile(garbage, []byte("not a table at all"), 0o644)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		paths []string
		want  error
	}{
		"none":     {nil, ErrInvalid},
		"overlap":  {[]string{a.Path, b.Path}, ErrOverlap},
		"twice":    {[]string{a.Path, a.Path}, ErrOverlap},
		"missing":  {[]string{garbage + "x"}, os.ErrNotExist},
		"garbage":  {[]string{garbage}, ErrCorruption},
		"damaged":  {[]string{damaged.Path}, ErrCorruption},
		"too many": {make([]string, maxIngestTables+1), ErrInvalid},
	} {
		if err := s.Ingest(ctx, c.paths, nil); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantContents(t, s, map[string]string{})
	if e.Err() != nil {
		t.Errorf("a bad table outside of the store stopped it: %v", e.Err())
	}
}

// TestIngestBesideAWriter: a write in the tables' range is before them, and refuses them, or behind them,
// and wins. It is never overwritten.
func TestIngestBesideAWriter(t *testing.T) {
	ctx := context.Background()
	e, s := newReadingShard(t)
	ingested, refused := 0, 0
	for round := range 150 {
		from := 20 * round
		table := writeTable(t, e, from, from+10, "table")
		contested := keyOf(from + 5)
		begin, done := make(chan struct{}), make(chan error, 1)
		go func() {
			<-begin
			b := e.NewBatch()
			err := b.Put(s, contested, []byte("writer"))
			for range 300 * (round % 30) { // at all moments of an ingest
				if _, gerr := s.Has(contested, nil); gerr != nil {
					err = gerr
				}
			}
			err = errors.Join(err, e.Commit(ctx, b, NoSync))
			b.Close() // before the answer, behind which the test may end
			done <- err
		}()
		close(begin)
		err := s.Ingest(ctx, []string{table.Path}, nil)
		if werr := <-done; werr != nil {
			t.Fatal(werr)
		}
		rows := 0
		for i := from; i < from+10; i++ {
			has, err := s.Has(keyOf(i), nil)
			if err != nil {
				t.Fatal(err)
			}
			if has {
				rows++
			}
		}
		switch {
		case errors.Is(err, ErrOverlap) && rows == 1:
			refused++
		case err == nil && rows == 10:
			ingested++
		default:
			t.Fatalf("round %d: %v, and %d rows", round, err, rows)
		}
		if v, err := s.Get(nil, contested, nil); err != nil || string(v) != "writer" {
			t.Fatalf("round %d: the writer's row is %q, %v", round, v, err)
		}
	}
	t.Logf("%d tables went in, %d were refused", ingested, refused)
}

func TestSSTWriterRefuses(t *testing.T) {
	e, _ := newReadingShard(t)
	path := filepath.Join(t.TempDir(), "x")
	begin := func() *SSTWriter {
		t.Helper()
		w, err := e.NewSSTWriter(path)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	w := begin()
	if _, err := w.Finish(); !errors.Is(err, ErrEmptyTable) {
		t.Errorf("a table without rows: %v", err)
	}
	w = begin()
	if err := w.Put([]byte("b"), nil); err != nil {
		t.Fatal(err)
	}
	for _, k := range []string{"b", "a", ""} {
		if err := w.Put([]byte(k), nil); !errors.Is(err, ErrKeyOrder) {
			t.Errorf("key %q behind \"b\": %v", k, err)
		}
	}
	if err := w.Put([]byte("c"), nil); err != nil {
		t.Errorf("a refused row spoils the writer: %v", err)
	}
	if err := errors.Join(w.Close(), w.Close()); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an abandoned table stays: %v", err)
	}
	if err := w.Put([]byte("d"), nil); !errors.Is(err, ErrClosed) {
		t.Errorf("put after close: %v", err)
	}
	if _, err := w.Finish(); !errors.Is(err, ErrClosed) {
		t.Errorf("finish after close: %v", err)
	}
	if _, err := e.NewSSTWriter(filepath.Join(path, "no", "where")); err == nil {
		t.Error("a table below a missing directory")
	}
}
