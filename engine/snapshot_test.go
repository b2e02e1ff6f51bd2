package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
)

func TestSnapshotSpansShards(t *testing.T) {
	e, a := newReadingShard(t)
	b, err := e.CreateShard(context.Background(), FirstUserShard+1)
	if err != nil {
		t.Fatal(err)
	}
	both := func(v string) {
		write(t, e, func(batch *Batch) {
			for _, s := range []*Shard{a, b} {
				if err := batch.Put(s, []byte("k"), []byte(v)); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	both("old")
	snap, err := e.NewSnapshot()
	if err != nil {
		t.Fatal(err)
	}
	seq := snap.Sequence()
	both("new")
	flush(t, a)
	for _, s := range []*Shard{a, b} {
		for want, ro := range map[string]*ReadOptions{"old": {Snapshot: snap}, "new": nil} {
			if got, err := s.Get(nil, []byte("k"), ro); err != nil || string(got) != want {
				t.Fatalf("%s: %q, %v, want %q", s.describe(), got, err, want)
			}
		}
	}
	later, err := e.NewSnapshot()
	if err != nil {
		t.Fatal(err)
	}
	if later.Sequence() != seq+2 {
		t.Errorf("sequence %d behind two records after %d", later.Sequence(), seq)
	}
	later.Close()
	snap.Close()
	snap.Close()
}

func TestSnapshotAfterClose(t *testing.T) {
	e, s := newReadingShard(t)
	put(t, e, s, map[string]string{"k": "old"})
	snap, err := e.NewSnapshot()
	if err != nil {
		t.Fatal(err)
	}
	it, err := s.NewIterator(&IterOptions{Snapshot: snap})
	if err != nil {
		t.Fatal(err)
	}
	snap.Close()
	ro := &ReadOptions{Snapshot: snap}
	for name, f := range map[string]func() error{
		"Get":      func() error { _, err := s.Get(nil, []byte("k"), ro); return err },
		"Has":      func() error { _, err := s.Has([]byte("k"), ro); return err },
		"View":     func() error { return s.View([]byte("k"), ro, func([]byte) error { return nil }) },
		"MultiGet": func() error { _, err := s.MultiGet([][]byte{[]byte("k")}, ro); return err },
		"Iterator": func() error { _, err := s.NewIterator(&IterOptions{Snapshot: snap}); return err },
	} {
		if err := f(); !errors.Is(err, ErrClosed) {
			t.Errorf("%s at a closed snapshot: %v", name, err)
		}
	}
	// An iterator that was open keeps the state until it is closed, over a flush and a compaction.
	put(t, e, s, map[string]string{"k": "new"})
	flush(t, s)
	if !it.First() || string(it.Value()) != "old" {
		t.Fatalf("the open iterator sees %q, %v", it.Value(), it.Err())
	}
	if got := e.handles.kinds[handleSnapshot].Load(); got != 1 {
		t.Errorf("%d snapshots are counted while an iterator reads the closed one", got)
	}
	if err := it.Close(); err != nil {
		t.Fatal(err)
	}
	if got := e.handles.kinds[handleSnapshot].Load(); got != 0 {
		t.Errorf("%d snapshots are counted after the last reader", got)
	}
}

func TestSnapshotOfAnotherEngine(t *testing.T) {
	e, s := newReadingShard(t)
	other, _ := newReadingShard(t)
	put(t, e, s, map[string]string{"k": "v"})
	snap, err := other.NewSnapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	if _, err := s.Get(nil, []byte("k"), &ReadOptions{Snapshot: snap}); !errors.Is(err, ErrInvalid) {
		t.Fatalf("read at a foreign snapshot: %v", err)
	}
}

// TestReadsUnderLoad lets readers of every kind run against writers, flushes, snapshots that are closed
// under them and a shard that is dropped: every answer is right or a typed error. For -race.
func TestReadsUnderLoad(t *testing.T) {
	e, s := newReadingShard(t)
	doomed, err := e.CreateShard(context.Background(), FirstUserShard+1)
	if err != nil {
		t.Fatal(err)
	}
	const keys = 200
	fill := func(s *Shard, gen int) {
		write(t, e, func(b *Batch) {
			for i := range keys {
				if err := b.Put(s, keyOf(i), fmt.Appendf(nil, "gen-%08d", gen)); err != nil {
					return // dropped meanwhile
				}
			}
		})
	}
	fill(s, 0)
	fill(doomed, 0)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	loop := func(f func(round int) error) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for round := 0; ; round++ {
				select {
				case <-stop:
					if round < 3 {
						t.Errorf("only %d rounds", round)
					}
					return
				default:
				}
				if err := f(round); err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	// oneGeneration checks that a state holds one generation only: batches are atomic.
	oneGeneration := func(s *Shard, snap *Snapshot) error {
		it, err := s.NewIterator(&IterOptions{Snapshot: snap, BufferRows: 7})
		if err != nil {
			return err
		}
		defer it.Close()
		gen, n := "", 0
		for ok := it.First(); ok; ok = it.Next() {
			if gen == "" {
				gen = string(it.Value())
			} else if gen != string(it.Value()) {
				return fmt.Errorf("generations %s and %s in one state", gen, it.Value())
			}
			n++
		}
		if n != keys && it.Err() == nil {
			return fmt.Errorf("%d of %d keys", n, keys)
		}
		return it.Err()
	}
	loop(func(int) error { return oneGeneration(s, nil) })
	loop(func(round int) error {
		got, err := s.Get(nil, keyOf(round%keys), nil)
		if err == nil && len(got) != len("gen-00000000") {
			return fmt.Errorf("value %q", got)
		}
		return err
	})
	loop(func(int) error {
		r, err := s.MultiGet([][]byte{keyOf(0), keyOf(keys - 1)}, nil)
		if err != nil {
			return err
		}
		first, _ := r.Value(0)
		last, _ := r.Value(1)
		if string(first) != string(last) {
			return fmt.Errorf("one MultiGet sees %q and %q", first, last)
		}
		return nil
	})
	loop(func(int) error {
		snap, err := e.NewSnapshot()
		if err != nil {
			return err
		}
		var inner sync.WaitGroup
		for range 3 {
			inner.Add(1)
			go func() {
				defer inner.Done()
				if err := oneGeneration(s, snap); err != nil && !errors.Is(err, ErrClosed) {
					t.Error(err)
				}
				r, err := s.MultiGet([][]byte{keyOf(0), keyOf(keys - 1), []byte("no")}, &ReadOptions{Snapshot: snap})
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				first, _ := r.Value(0)
				last, _ := r.Value(1)
				if _, ok := r.Value(2); ok || string(first) != string(last) {
					t.Errorf("one MultiGet sees %q and %q", first, last)
				}
			}()
		}
		snap.Close() // under its readers
		inner.Wait()
		return nil
	})
	loop(func(int) error {
		if err := oneGeneration(doomed, nil); err != nil && !errors.Is(err, ErrShardDropped) {
			return err
		}
		return nil
	})
	for gen := 1; gen <= 60; gen++ {
		fill(s, gen)
		if gen%20 == 0 {
			flush(t, s)
		}
		if gen == 30 {
			if err := e.DropShard(context.Background(), doomed.ID()); err != nil {
				t.Error(err)
			}
		}
	}
	close(stop)
	wg.Wait()
}
