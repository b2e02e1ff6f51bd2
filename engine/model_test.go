package engine

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
)

// model is what the engine should hold: the contents of each live shard.
type model map[ShardID]map[string]string

// modelSeed is printed with a failure; PLEIADES_ENGINE_SEED repeats it.
func modelSeed(t *testing.T) uint64 {
	if text := os.Getenv("PLEIADES_ENGINE_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return seed
	}
	return rand.Uint64()
}

// TestModel drives puts, range deletes, creations, drops, replacements, clones, exports, flushes,
// compactions and reopenings at random, and compares the engine with plain maps.
func TestModel(t *testing.T) {
	steps := 1500
	if testing.Short() {
		steps = 300
	}
	seed := modelSeed(t)
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	o := smallOptions()
	o.ShardMemtableBytes = 64 << 10
	e := openAt(t, dir, o)
	want := model{}
	ids := []ShardID{1001, 1002, 1003, 1004, 7}
	pick := func() ShardID { return ids[r.IntN(len(ids))] }
	key := func() string { return fmt.Sprintf("k%03d", r.IntN(200)) }
	counts := map[string]int{}
	ctx := t.Context()
	for step := range steps {
		id := pick()
		live, here := want[id]
		op := r.IntN(100)
		fail := func(what string, err error) {
			t.Helper()
			t.Fatalf("step %d: %s of shard %d: %v", step, what, id, err)
		}
		switch {
		case op < 55: // a batch over several shards
			counts["batch"]++
			b := e.NewBatch()
			for range r.IntN(8) {
				id := pick()
				shard := want[id]
				if shard == nil {
					continue
				}
				s, err := e.Shard(id)
				if err != nil {
					fail("lookup", err)
				}
				k, v := key(), fmt.Sprintf("%d-%0*d", step, r.IntN(600), 0)
				switch r.IntN(10) {
				case 0:
					hi := k + "~"
					err = b.DeleteRange(s, []byte(k[:3]), []byte(hi))
					maps.DeleteFunc(shard, func(have, _ string) bool { return have >= k[:3] && have < hi })
				case 1, 2:
					err = b.Delete(s, []byte(k))
					delete(shard, k)
				default:
					err = b.Put(s, []byte(k), []byte(v))
					shard[k] = v
				}
				if err != nil {
					fail("batch", err)
				}
			}
			if err := e.Commit(ctx, b, CommitMode(r.IntN(2))); err != nil {
				fail("commit", err)
			}
			b.Close()
		case op < 65:
			counts["create"]++
			_, err := e.CreateShard(ctx, id)
			if here != errors.Is(err, ErrShardExists) || (!here && err != nil) {
				fail("create", err)
			}
			if !here {
				want[id] = map[string]string{}
			}
		case op < 68:
			counts["drop"]++
			err := e.DropShard(ctx, id)
			if here != (err == nil) || (!here && !errors.Is(err, ErrShardNotFound)) {
				fail("drop", err)
			}
			delete(want, id)
		case op < 71:
			counts["replace"]++
			_, err := e.ReplaceShard(ctx, id)
			if here != (err == nil) {
				fail("replace", err)
			}
			if here {
				want[id] = map[string]string{}
			}
		case op < 80:
			dst := pick()
			if !here || want[dst] != nil {
				continue
			}
			counts["clone"]++
			s, err := e.Shard(id)
			if err != nil {
				fail("lookup", err)
			}
			if _, err := e.CloneShard(ctx, s, dst); err != nil {
				fail("clone", err)
			}
			want[dst] = maps.Clone(live)
		case op < 84: // what a split does: clone, trim both sides, make it live, in one batch
			dst := pick()
			if !here || dst == id {
				continue
			}
			counts["split"]++
			s, err := e.Shard(id)
			if err != nil {
				fail("lookup", err)
			}
			staged, err := e.StageClone(ctx, s, dst)
			if err != nil {
				fail("stage", err)
			}
			b := e.NewBatch()
			for _, err := range []error{
				b.DeleteRange(s, []byte("k100"), []byte("l")), b.DeleteRange(staged, []byte("k"), []byte("k100")),
				b.Put(s, []byte("k000"), []byte("split")), b.Activate(staged),
			} {
				if err != nil {
					fail("split batch", err)
				}
			}
			if err := e.Commit(ctx, b, Sync); err != nil {
				fail("split", err)
			}
			b.Close()
			right := maps.Clone(live)
			maps.DeleteFunc(right, func(k, _ string) bool { return k < "k100" })
			want[dst] = right
			maps.DeleteFunc(live, func(k, _ string) bool { return k >= "k100" })
			live["k000"] = "split"
		case op < 90 && here:
			counts["flush or compact"]++
			s, err := e.Shard(id)
			if err != nil {
				fail("lookup", err)
			}
			if r.IntN(3) == 0 {
				err = s.Compact(ctx, nil, nil)
			} else {
				err = s.Flush(ctx)
			}
			if err != nil {
				fail("flush or compact", err)
			}
		case op < 92:
			counts["reopen"]++
			closeClean(t, e)
			e = openAt(t, dir, o)
		case op < 97:
			compareModel(t, e, want, step)
		}
	}
	compareModel(t, e, want, steps)
	closeClean(t, e)
	e = openAt(t, dir, o)
	compareModel(t, e, want, steps)
	for _, op := range []string{"batch", "create", "drop", "replace", "clone", "split", "flush or compact", "reopen"} {
		if counts[op] == 0 && !testing.Short() {
			t.Errorf("no %s happened", op)
		}
	}
	t.Logf("%v", counts)
}

func compareModel(t *testing.T, e *Engine, want model, step int) {
	t.Helper()
	var live []ShardID
	for _, s := range e.Shards() {
		live = append(live, s.ID)
	}
	if ids := slices.Sorted(maps.Keys(want)); !slices.Equal(live, ids) {
		t.Fatalf("step %d: shards %v, want %v", step, live, ids)
	}
	for id, content := range want {
		s, err := e.Shard(id)
		if err != nil {
			t.Fatal(err)
		}
		it, err := s.NewIterator(nil)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for ok := it.First(); ok; ok = it.Next() {
			got[string(it.Key())] = string(it.Value())
		}
		if err := errors.Join(it.Err(), it.Close()); err != nil {
			t.Fatalf("step %d: scan of shard %d: %v", step, id, err)
		}
		if !maps.Equal(got, content) {
			t.Fatalf("step %d: shard %d holds %d keys, want %d, or other values", step, id, len(got), len(content))
		}
	}
}
