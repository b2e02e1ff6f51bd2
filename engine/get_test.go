package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/shieldmaidens/pleiades/base"
)

// valueSizes surround every border that a value's size decides: empty, RocksDB's inline strings, the
// small-value limit, scratch sizes, several blocks.
var valueSizes = []int{0, 1, 15, 16, smallValue - 1, smallValue, smallValue + 1, 64<<10 + 1, 3 << 20}

func sizedRows() map[string]string {
	rows := map[string]string{}
	for _, n := range valueSizes {
		rows[fmt.Sprintf("size-%d", n)] = strings.Repeat("x", n)
	}
	return rows
}

func TestGetReturnsEverySize(t *testing.T) {
	e, s := newReadingShard(t)
	rows := sizedRows()
	put(t, e, s, rows)
	check := func() {
		t.Helper()
		for k, want := range rows {
			for _, spare := range []int{0, 1, len(want), len(want) + 1, smallValue, 2 * smallValue} {
				dst := append(make([]byte, 0, 3+spare), "abc"...)
				got, err := s.Get(dst, []byte(k), nil)
				if err != nil || string(got) != "abc"+want {
					t.Fatalf("get %s with room for %d: %d bytes, error %v", k, spare, len(got), err)
				}
			}
			if got, err := s.Get(nil, []byte(k), nil); err != nil || string(got) != want {
				t.Fatalf("get %s: %d bytes, error %v", k, len(got), err)
			}
			called := 0
			err := s.View([]byte(k), nil, func(v []byte) error {
				called++
				if string(v) != want || cap(v) != len(v) {
					t.Errorf("view %s: %d bytes, capacity %d", k, len(v), cap(v))
				}
				return nil
			})
			if err != nil || called != 1 {
				t.Fatalf("view %s: %d calls, error %v", k, called, err)
			}
			if ok, err := s.Has([]byte(k), nil); err != nil || !ok {
				t.Fatalf("has %s: %v, %v", k, ok, err)
			}
		}
	}
	check()
	flush(t, s)
	check()
}

func TestGetOfNothing(t *testing.T) {
	e, s := newReadingShard(t)
	put(t, e, s, map[string]string{"a": "1", "": "empty key"})
	dst := []byte("kept")
	got, err := s.Get(dst, []byte("b"), nil)
	if !errors.Is(err, ErrNotFound) || !errors.Is(err, base.ErrNotFound) || string(got) != "kept" {
		t.Fatalf("get of a missing key: %q, %v", got, err)
	}
	if err := s.View([]byte("b"), nil, func([]byte) error { t.Error("called"); return nil }); !errors.Is(err, ErrNotFound) {
		t.Fatal(err)
	}
	if ok, err := s.Has([]byte("b"), nil); ok || err != nil {
		t.Fatal(ok, err)
	}
	for _, empty := range [][]byte{nil, {}} {
		if got, err := s.Get(nil, empty, nil); err != nil || string(got) != "empty key" {
			t.Fatalf("get of the empty key: %q, %v", got, err)
		}
	}
}

func TestViewReleasesWhateverHappens(t *testing.T) {
	e, s := newReadingShard(t)
	put(t, e, s, map[string]string{"small": "s", "large": strings.Repeat("l", 1<<20)})
	flush(t, s)
	wrong := errors.New("wrong")
	for _, key := range []string{"small", "large"} {
		if err := s.View([]byte(key), nil, func([]byte) error { return wrong }); !errors.Is(err, wrong) {
			t.Errorf("view of %s gave %v", key, err)
		}
		func() {
			defer func() {
				if recover() != "oops" {
					t.Error("the panic got lost")
				}
			}()
			_ = s.View([]byte(key), nil, func([]byte) error { panic("oops") })
		}()
		if left := e.handles.open(); left != "" {
			t.Errorf("view of %s left %s", key, left)
		}
		if n := s.users.users(); n != 0 {
			t.Errorf("view of %s left %d users", key, n)
		}
	}
	// Views nest: each has memory of its own.
	err := s.View([]byte("small"), nil, func(outer []byte) error {
		return s.View([]byte("large"), nil, func([]byte) error {
			if string(outer) != "s" {
				return fmt.Errorf("outer value is %q", outer)
			}
			return nil
		})
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestKeysInStructsWithPointers(t *testing.T) {
	// cgo refuses Go memory that holds Go pointers; a key's backing array may lie beside some.
	e, s := newReadingShard(t)
	put(t, e, s, map[string]string{"key": "value"})
	scratch := &struct {
		array [16]byte
		other *int
	}{other: new(int)}
	key := append(scratch.array[:0], "key"...)
	if got, err := s.Get(nil, key, nil); err != nil || string(got) != "value" {
		t.Fatal(string(got), err)
	}
	if r, err := s.MultiGet([][]byte{key}, nil); err != nil || r.Len() != 1 {
		t.Fatal(err)
	}
	it, err := s.NewIterator(&IterOptions{Lower: key, Suffix: key})
	if err != nil {
		t.Fatal(err)
	}
	if !it.SeekGE(key) {
		t.Error("no row", it.Err())
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestGetOfClosedAndDropped(t *testing.T) {
	e, s := newReadingShard(t)
	put(t, e, s, map[string]string{"a": "1"})
	if err := e.DropShard(context.Background(), s.ID()); err != nil {
		t.Fatal(err)
	}
	each := map[string]func() error{
		"Get":      func() error { _, err := s.Get(nil, []byte("a"), nil); return err },
		"Has":      func() error { _, err := s.Has([]byte("a"), nil); return err },
		"View":     func() error { return s.View([]byte("a"), nil, func([]byte) error { return nil }) },
		"MultiGet": func() error { _, err := s.MultiGet([][]byte{[]byte("a")}, nil); return err },
		"Iterator": func() error { _, err := s.NewIterator(nil); return err },
	}
	for name, f := range each {
		if err := f(); !errors.Is(err, ErrShardDropped) {
			t.Errorf("%s of a dropped shard: %v", name, err)
		}
	}
	closeReading(t, e)
	for name, f := range each {
		if err := f(); !errors.Is(err, ErrClosed) {
			t.Errorf("%s of a closed engine: %v", name, err)
		}
	}
	if _, err := e.NewSnapshot(); !errors.Is(err, ErrClosed) {
		t.Errorf("snapshot of a closed engine: %v", err)
	}
}

func TestGetAllocatesOnlyTheValue(t *testing.T) {
	e, s := newReadingShard(t)
	put(t, e, s, map[string]string{"key": strings.Repeat("v", 100)})
	key, buf := []byte("key"), make([]byte, 0, smallValue)
	if n := testing.AllocsPerRun(200, func() {
		if _, err := s.Get(buf, key, nil); err != nil {
			t.Error(err)
		}
	}); n > 0 && !raceEnabled {
		t.Errorf("Get into a buffer with room makes %v allocations", n)
	}
	if n := testing.AllocsPerRun(200, func() {
		if err := s.View(key, nil, func([]byte) error { return nil }); err != nil {
			t.Error(err)
		}
	}); n > 0 && !raceEnabled {
		t.Errorf("View makes %v allocations", n)
	}
}

func TestMultiGetAgainstGet(t *testing.T) {
	e, s := newReadingShard(t)
	rng := rand.New(rand.NewPCG(3, 4))
	rows := sizedRows()
	for range 500 {
		rows[string(randomBytes(rng, 2))] = string(randomBytes(rng, 200))
	}
	put(t, e, s, rows)
	snap, err := e.NewSnapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	put(t, e, s, map[string]string{"size-1": "changed"})
	reused := new(MultiResult)
	for round := range 300 {
		if round == 150 {
			flush(t, s)
		}
		ro := []*ReadOptions{nil, {}, {Snapshot: snap}}[rng.IntN(3)]
		keys := make([][]byte, rng.IntN(60))
		for i := range keys {
			keys[i] = randomBytes(rng, 2)
			if rng.IntN(10) == 0 {
				keys[i] = fmt.Appendf(nil, "size-%d", valueSizes[rng.IntN(len(valueSizes))])
			}
		}
		r := reused
		if rng.IntN(2) == 0 {
			if r, err = s.MultiGet(keys, ro); err != nil {
				t.Fatal(err)
			}
		} else if err := s.MultiGetInto(r, keys, ro); err != nil {
			t.Fatal(err)
		}
		if r.Len() != len(keys) {
			t.Fatalf("%d answers to %d keys", r.Len(), len(keys))
		}
		for i, k := range keys {
			want, err := s.Get(nil, k, ro)
			got, ok := r.Value(i)
			if ok != (err == nil) || !bytes.Equal(got, want) {
				t.Fatalf("key %q: MultiGet %v %d bytes, Get %v %d bytes", k, ok, len(got), err, len(want))
			}
		}
	}
	if _, err := s.MultiGet(make([][]byte, MaxMultiGetKeys+1), nil); !errors.Is(err, ErrInvalid) {
		t.Fatalf("too many keys: %v", err)
	}
}
