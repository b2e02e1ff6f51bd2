package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// row is one row of the model.
type row struct{ key, value string }

// iterModel is the iterator's specification: a sorted slice and a position in it.
type iterModel struct {
	rows []row
	at   int // -1: not at a row
}

func newIterModel(all map[string]string, o *IterOptions) *iterModel {
	m := &iterModel{at: -1}
	for k, v := range all {
		if k < string(o.Lower) || len(o.Upper) > 0 && k >= string(o.Upper) || !strings.HasSuffix(k, string(o.Suffix)) {
			continue
		}
		m.rows = append(m.rows, row{k, v})
	}
	slices.SortFunc(m.rows, func(a, b row) int { return strings.Compare(a.key, b.key) })
	return m
}

func (m *iterModel) set(i int) bool {
	m.at = -1
	if i >= 0 && i < len(m.rows) {
		m.at = i
	}
	return m.at >= 0
}

// ge returns the index of the first row at or behind key.
func (m *iterModel) ge(key string) int {
	i, _ := slices.BinarySearchFunc(m.rows, key, func(r row, k string) int { return strings.Compare(r.key, k) })
	return i
}

// step applies operation op to the iterator and the model and returns both answers.
func (m *iterModel) step(it *Iterator, op int, key string) (got, want bool, name string) {
	switch op {
	case 0:
		return it.First(), m.set(0), "First"
	case 1:
		return it.Last(), m.set(len(m.rows) - 1), "Last"
	case 2:
		return it.SeekGE([]byte(key)), m.set(m.ge(key)), fmt.Sprintf("SeekGE(%q)", key)
	case 3:
		return it.SeekLT([]byte(key)), m.set(m.ge(key) - 1), fmt.Sprintf("SeekLT(%q)", key)
	case 4:
		return it.Next(), m.at >= 0 && m.set(m.at+1), "Next"
	default:
		return it.Prev(), m.at >= 0 && m.set(m.at-1), "Prev"
	}
}

// run compares the iterator with the model over n random operations.
func (m *iterModel) run(t *testing.T, rng *rand.Rand, it *Iterator, o *IterOptions, n int, anyKey func() string) {
	t.Helper()
	for range n {
		op := rng.IntN(6)
		// Walk for a while in one direction, most of the time: buffers must run empty.
		steps := 1
		if op >= 4 && rng.IntN(3) > 0 {
			steps = rng.IntN(60)
		}
		key := anyKey()
		for range steps {
			got, want, name := m.step(it, op, key)
			if got != want || it.Valid() != want || it.Err() != nil {
				t.Fatalf("%s of %+v: %v, valid %v, error %v, want %v at %d of %d", name, *o, got, it.Valid(), it.Err(), want, m.at, len(m.rows))
			}
			if !want {
				if it.Key() != nil || it.Value() != nil || it.ValueLen() != 0 {
					t.Fatalf("%s: no row but key %q", name, it.Key())
				}
				break
			}
			r := m.rows[m.at]
			if string(it.Key()) != r.key || it.ValueLen() != len(r.value) {
				t.Fatalf("%s of %+v: key %q (%d bytes), want %q (%d bytes)", name, *o, it.Key(), it.ValueLen(), r.key, len(r.value))
			}
			if o.KeysOnly != (it.Value() == nil) || !o.KeysOnly && string(it.Value()) != r.value {
				t.Fatalf("%s: value %q of %q, want %q", name, it.Value(), r.key, r.value)
			}
		}
	}
}

// stemKeys makes rows in the shape of package keys: prefix-free stems, each with descriptor, slots and
// latest, some with far more than the skip's threshold.
func stemKeys(rng *rand.Rand, stems int) map[string]string {
	rows := map[string]string{}
	for range stems {
		body := bytes.ReplaceAll(randomBytes(rng, 3), []byte{0}, []byte{0, 0xff})
		stem := "d" + string(body) + "\x00"
		if rng.IntN(4) > 0 {
			rows[stem+".d"] = "descriptor"
		}
		if rng.IntN(4) > 0 {
			rows[stem+"@l"] = strings.Repeat("v", rng.IntN(40))
		}
		n := []int{0, 1, 7, 8, 9, 10, 100, 254}[rng.IntN(8)]
		for slot := 1; slot <= n; slot++ {
			rows[stem+":"+string([]byte{byte(slot)})] = fmt.Sprint(slot)
		}
	}
	return rows
}

func TestIteratorAgainstModel(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			dir := t.TempDir()
			e := openReading(t, dir)
			s, err := e.CreateShard(context.Background(), FirstUserShard)
			if err != nil {
				t.Fatal(err)
			}
			model := map[string]string{}
			suffixed := seed%2 == 0
			anyKey := func() string { return string(randomBytes(rng, 3)) }
			if suffixed {
				anyKey = func() string { return "d" + string(randomBytes(rng, 6)) }
			}
			for range 3 {
				if suffixed {
					rows := stemKeys(rng, 8)
					for k, v := range rows {
						model[k] = v
					}
					put(t, e, s, rows)
				} else {
					rows := map[string]string{}
					for range rng.IntN(200) {
						rows[anyKey()] = string(randomBytes(rng, 300))
					}
					for k, v := range rows {
						model[k] = v
					}
					put(t, e, s, rows)
				}
				if rng.IntN(2) == 0 {
					deleteSome(t, rng, e, s, model, anyKey)
				}
				if rng.IntN(2) == 0 {
					flush(t, s)
				}
			}
			if rng.IntN(3) == 0 {
				closeReading(t, e)
				e = openReading(t, dir)
				if s, err = e.Shard(FirstUserShard); err != nil {
					t.Fatal(err)
				}
			}
			for range 12 {
				o := randomIterOptions(rng, suffixed, anyKey)
				it, err := s.NewIterator(o)
				if err != nil {
					t.Fatal(err)
				}
				newIterModel(model, o).run(t, rng, it, o, 60, anyKey)
				if err := it.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// deleteSome deletes single rows and one range from the shard and the model.
func deleteSome(t *testing.T, rng *rand.Rand, e *Engine, s *Shard, model map[string]string, anyKey func() string) {
	t.Helper()
	write(t, e, func(b *Batch) {
		for k := range model {
			if rng.IntN(10) == 0 {
				delete(model, k)
				if err := b.Delete(s, []byte(k)); err != nil {
					t.Fatal(err)
				}
			}
		}
		lo, hi := anyKey(), anyKey()
		if lo >= hi {
			return
		}
		for k := range model {
			if k >= lo && k < hi {
				delete(model, k)
			}
		}
		if err := b.DeleteRange(s, []byte(lo), []byte(hi)); err != nil {
			t.Fatal(err)
		}
	})
}

func randomIterOptions(rng *rand.Rand, suffixed bool, anyKey func() string) *IterOptions {
	o := &IterOptions{
		KeysOnly:    rng.IntN(3) == 0,
		LongScan:    rng.IntN(3) == 0,
		BufferRows:  []int{0, 1, 2, 3, 16, 17, 100}[rng.IntN(7)],
		BufferBytes: []int{0, 1, 40, 100, 1000, 20_000}[rng.IntN(6)],
	}
	if rng.IntN(2) == 0 {
		o.Lower = []byte(anyKey())
	}
	if rng.IntN(2) == 0 {
		o.Upper = []byte(anyKey())
	}
	if suffixed && rng.IntN(4) > 0 {
		o.Suffix = []byte([]string{".d", "@l", ":\x01", ":\x80", ":\xfe", "zz", "\x00\x00"}[rng.IntN(7)])
	}
	return o
}

func TestIteratorSkipsAStemBySeeking(t *testing.T) {
	e, s := newReadingShard(t)
	const stems = 50
	rows := map[string]string{}
	for i := range stems {
		stem := fmt.Sprintf("d%04d\x00", i)
		rows[stem+".d"], rows[stem+"@l"] = "", "latest"
		for slot := 1; slot <= 254; slot++ {
			rows[stem+":"+string([]byte{byte(slot)})] = "old"
		}
	}
	put(t, e, s, rows)
	for _, suffix := range []string{"@l", ".d", ":\x80"} {
		for _, reverse := range []bool{false, true} {
			it, err := s.NewIterator(&IterOptions{Suffix: []byte(suffix)})
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			if reverse {
				for ok := it.Last(); ok; ok = it.Prev() {
					n++
				}
			} else {
				for ok := it.First(); ok; ok = it.Next() {
					n++
				}
			}
			if err := it.Close(); err != nil || n != stems {
				t.Fatalf("suffix %q reverse %v: %d rows, error %v", suffix, reverse, n, err)
			}
			// One seek a stem, two where the wanted row lies in the middle of the stem.
			most := uint64(stems)
			if suffix == ":\x80" {
				most = 2 * stems
			}
			if it.Seeks() == 0 || it.Seeks() > most {
				t.Errorf("suffix %q reverse %v: %d seeks for %d stems of 256 rows", suffix, reverse, it.Seeks(), stems)
			}
		}
	}
}

func TestIteratorSeesOneState(t *testing.T) {
	e, s := newReadingShard(t)
	put(t, e, s, map[string]string{"a": "1", "c": "1"})
	it, err := s.NewIterator(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	put(t, e, s, map[string]string{"b": "2", "c": "2"})
	var got []string
	for ok := it.First(); ok; ok = it.Next() {
		got = append(got, string(it.Key())+string(it.Value()))
	}
	if want := []string{"a1", "c1"}; !slices.Equal(got, want) {
		t.Fatalf("iterator made before the write sees %v, want %v", got, want)
	}
}

func TestIteratorLargeRows(t *testing.T) {
	e, s := newReadingShard(t)
	want := map[string]string{"small": "s"}
	for i := range 4 {
		want[fmt.Sprintf("large-%d", i)] = strings.Repeat(string(rune('a'+i)), 3<<20)
	}
	put(t, e, s, want)
	wantContents(t, s, want)
	flush(t, s)
	wantContents(t, s, want)
}

func TestIteratorAfterClose(t *testing.T) {
	e, s := newReadingShard(t)
	put(t, e, s, map[string]string{"a": "1"})
	it, err := s.NewIterator(nil)
	if err != nil {
		t.Fatal(err)
	}
	if !it.First() {
		t.Fatal("no row")
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	if it.Valid() || it.Key() != nil || it.Value() != nil || it.Err() != nil {
		t.Fatal("a closed iterator stands at a row")
	}
	for name, use := range map[string]func() bool{
		"First": it.First, "Last": it.Last, "Next": it.Next, "Prev": it.Prev,
		"SeekGE": func() bool { return it.SeekGE([]byte("a")) }, "SeekLT": func() bool { return it.SeekLT([]byte("b")) },
	} {
		if use() || !errors.Is(it.Err(), ErrClosed) {
			t.Errorf("%s after Close: error %v", name, it.Err())
		}
	}
	if err := it.Close(); !errors.Is(err, ErrClosed) {
		t.Errorf("Close after use after Close: %v", err)
	}
}

func TestIteratorRefusesBadOptions(t *testing.T) {
	_, s := newReadingShard(t)
	for _, o := range []IterOptions{{BufferBytes: -1}, {BufferRows: -1}, {BufferBytes: maxBufferBytes + 1}, {BufferRows: maxBufferRows + 1}} {
		if _, err := s.NewIterator(&o); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestIteratorHoldsItsShard(t *testing.T) {
	e, s := newReadingShard(t)
	put(t, e, s, map[string]string{"a": "1"})
	it, err := s.NewIterator(nil)
	if err != nil {
		t.Fatal(err)
	}
	dropped := make(chan error, 1)
	go func() { dropped <- e.DropShard(context.Background(), s.ID()) }()
	for !s.users.isShut() {
		runtime.Gosched()
	}
	if !it.First() || string(it.Value()) != "1" {
		t.Fatalf("iterator of a dropped shard: %v", it.Err())
	}
	if _, err := s.Get(nil, []byte("a"), nil); !errors.Is(err, ErrShardDropped) {
		t.Fatalf("get from a dropped shard: %v", err)
	}
	if _, err := s.NewIterator(nil); !errors.Is(err, ErrShardDropped) {
		t.Fatalf("iterate a dropped shard: %v", err)
	}
	select {
	case err := <-dropped:
		t.Fatalf("a shard was released under an iterator: %v", err)
	default:
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-dropped; err != nil {
		t.Fatal(err)
	}
}

func TestLeakedIteratorIsReported(t *testing.T) {
	e, s := newReadingShard(t)
	put(t, e, s, map[string]string{"a": "1"})
	it, err := s.NewIterator(nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Close(); !errors.Is(err, ErrLeaked) || !strings.Contains(err.Error(), "1 iterator") {
		t.Fatalf("close with an open iterator: %v", err)
	}
	if !it.First() {
		t.Fatal("the engine went away under its iterator")
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	<-e.destroyed
}
