package fuzz

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"

	"github.com/shieldmaidens/pleiades/engine"
	"github.com/shieldmaidens/pleiades/internal/storemodel"
)

// The bounds of one input of FuzzBatch.
const (
	maxBatches = 8
	maxRecords = 60
	maxFlips   = 1
	// batchShards are the shards that are written to, beside node-local storage.
	batchShards = 3
	// reopenEvery is how many inputs share one opening of the engine.
	reopenEvery = 64
)

// localPrefix keeps the rows of this test apart from what the engine and the clock have in node-local storage.
const localPrefix = 'Z'

// contents are the rows of some shards; index 0 is node-local storage.
type contents [1 + batchShards]map[string]string

func (c *contents) clone() *contents {
	var copied contents
	for i := range c {
		copied[i] = maps.Clone(c[i])
	}
	return &copied
}

// batches is one input of FuzzBatch.
type batches struct {
	t     *testing.T
	r     *rig
	c     *storemodel.Bytes
	want  *contents
	flips int
	// pinned is a snapshot, and then what it holds; shards that were replaced since are nil there.
	pinned *engine.Snapshot
	then   *contents
}

// FuzzBatch writes batches of every kind of record, over several shards and node-local storage, one by one and several at a
// time, and has RocksDB read all rows back, in both directions, at the present and through a snapshot of before; now and then
// the engine is opened again, and RocksDB decodes the batches once more, from its log.
func FuzzBatch(f *testing.F) {
	addSeeds(f, 7, 8, 6, 30)
	r := newRig(f)
	inputs := 0
	f.Fuzz(func(t *testing.T, input []byte) {
		r.tb = t
		x := &batches{t: t, r: r, c: storemodel.NewBytes(input), want: new(contents), flips: maxFlips}
		for i := range x.want {
			x.want[i] = map[string]string{}
			x.clear(x.shard(i))
		}
		pinAt := x.c.IntN(maxBatches)
		for n := 0; n < maxBatches && x.c.Len() > 0; n++ {
			if n == pinAt {
				x.pin()
			}
			if x.c.IntN(4) == 3 {
				x.together(2 + x.c.IntN(4))
			} else {
				x.alone()
			}
			x.verify(nil, x.want)
			if x.pinned != nil {
				x.verify(x.pinned, x.then)
			}
		}
		if x.pinned != nil {
			x.pinned.Close()
		}
		if inputs++; inputs%reopenEvery == 0 {
			r.reopen()
			x.verify(nil, x.want)
		}
	})
}

// shard returns one of the shards, 0 for node-local storage.
func (x *batches) shard(i int) *engine.Shard {
	x.t.Helper()
	if i == 0 {
		return x.r.eng.Local()
	}
	s, err := x.r.eng.EnsureShard(context.Background(), engine.FirstUserShard+engine.ShardID(i))
	if err != nil {
		x.t.Fatal(err)
	}
	return s
}

// bounds are those of the rows of this test.
func bounds(s *engine.Shard) *engine.IterOptions {
	if s.ID() == 0 {
		return &engine.IterOptions{Lower: []byte{localPrefix}, Upper: []byte{localPrefix + 1}}
	}
	return &engine.IterOptions{}
}

// pin takes a snapshot.
func (x *batches) pin() {
	x.t.Helper()
	var err error
	if x.pinned, err = x.r.eng.NewSnapshot(); err != nil {
		x.t.Fatal(err)
	}
	x.then = x.want.clone()
}

// clear removes the rows of the input before, by a range now and then.
func (x *batches) clear(s *engine.Shard) {
	x.t.Helper()
	batch := x.r.eng.NewBatch()
	defer batch.Close()
	for _, row := range rowsOf(x.t, s, bounds(s)) {
		if err := batch.Delete(s, []byte(row.key)); err != nil {
			x.t.Fatal(err)
		}
	}
	x.r.commit(batch)
}

// fill adds records to a batch and to what is wanted. Keys begin with first, so that batches with different ones commute.
func (x *batches) fill(batch *engine.Batch, want *contents, first byte) {
	x.t.Helper()
	for range 1 + x.c.IntN(maxRecords) {
		if x.c.Len() == 0 {
			return
		}
		i := x.c.IntN(len(want))
		s := x.shard(i)
		key := x.key(i, first)
		var err error
		switch x.c.IntN(8) {
		case 6:
			err = batch.Delete(s, key)
			delete(want[i], string(key))
		case 7:
			end := x.key(i, first)
			err = batch.DeleteRange(s, key, end)
			if bytes.Compare(key, end) >= 0 {
				if !errors.Is(err, engine.ErrInvalid) {
					x.t.Fatalf("delete the empty range from %x to %x: %v", key, end, err)
				}
				err = nil
				continue
			}
			maps.DeleteFunc(want[i], func(k, _ string) bool { return k >= string(key) && k < string(end) })
		default:
			value := x.value()
			err = batch.Put(s, key, value)
			want[i][string(key)] = string(value)
		}
		if err != nil {
			x.t.Fatal(err)
		}
	}
}

func (x *batches) key(shard int, first byte) []byte {
	var key []byte
	if shard == 0 {
		key = append(key, localPrefix)
	}
	key = append(key, first)
	key = append(key, x.c.Take(x.c.IntN(4))...)
	if n := x.c.IntN(64); n > 60 { // around where a length takes one byte more, and as long as keys become
		key = append(key, make([]byte, []int{124, 126, 16 << 10}[n-61])...)
	}
	return key
}

func (x *batches) value() []byte {
	n := x.c.IntN(32)
	if sizes := []int{0, 127, 128, 16_383, 16_384}; n < len(sizes) {
		return bytes.Repeat([]byte{byte(n)}, sizes[n])
	}
	return x.c.Take(n)
}

// alone commits one batch, which may also replace a shard by another that was filled before.
func (x *batches) alone() {
	x.t.Helper()
	ctx := context.Background()
	batch := x.r.eng.NewBatch()
	defer batch.Close()
	what := x.c.IntN(32)
	if what < 31 || x.flips == 0 {
		x.fill(batch, x.want, 0)
		x.r.commit(batch)
		return
	}
	x.flips--
	i := 1 + x.c.IntN(batchShards)
	staged, err := x.r.eng.StageShard(ctx, engine.FirstUserShard+engine.ShardID(i))
	if err != nil {
		x.t.Fatal(err)
	}
	x.want[i] = map[string]string{"staged": "row"}
	if x.then != nil {
		x.then[i] = nil
	}
	for _, err := range []error{batch.Put(staged, []byte("staged"), []byte("row")), batch.Activate(staged)} {
		if err != nil {
			x.t.Fatal(err)
		}
	}
	other := i%batchShards + 1
	if err := batch.Put(x.shard(other), []byte("beside"), nil); err != nil {
		x.t.Fatal(err)
	}
	x.want[other]["beside"] = ""
	x.r.commit(batch)
}

// together commits some batches at once: the engine merges what waits into one write.
func (x *batches) together(n int) {
	x.t.Helper()
	after := x.want.clone()
	var group sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		batch := x.r.eng.NewBatch()
		defer batch.Close()
		x.fill(batch, after, byte(1+i))
		if batch.Count() == 0 {
			continue
		}
		mode := engine.NoSync
		if i == 0 {
			mode = engine.Sync
		}
		group.Go(func() { errs[i] = x.r.eng.Commit(context.Background(), batch, mode) })
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		x.t.Fatal(err)
	}
	x.want = after
}

// verify reads everything back at the present, or through a snapshot.
func (x *batches) verify(snap *engine.Snapshot, all *contents) {
	x.t.Helper()
	for i, want := range all {
		if want == nil {
			continue
		}
		s := x.shard(i)
		opts := bounds(s)
		opts.Snapshot = snap
		sorted := slices.Sorted(maps.Keys(want))
		var lookups [][]byte
		rows := rowsOf(x.t, s, opts)
		for n, row := range rows {
			if n >= len(sorted) || row.key != sorted[n] || row.value != want[row.key] {
				x.t.Fatalf("shard %d, row %d: %x = %x; want the keys %x", s.ID(), n, row.key, row.value, sorted)
			}
			lookups = append(lookups, []byte(row.key), append([]byte(row.key), 0))
		}
		if len(rows) != len(sorted) {
			x.t.Fatalf("shard %d has %d rows, want %x", s.ID(), len(rows), sorted)
		}
		x.verifyBackwards(s, opts, sorted)
		if len(lookups) == 0 {
			continue
		}
		found, err := s.MultiGet(lookups, &engine.ReadOptions{Snapshot: snap})
		if err != nil {
			x.t.Fatal(err)
		}
		for n, key := range lookups {
			value, ok := found.Value(n)
			if wanted, there := want[string(key)]; ok != there || string(value) != wanted {
				x.t.Fatalf("shard %d: get %x: %x, %t; want %x, %t", s.ID(), key, value, ok, wanted, there)
			}
		}
	}
}

// verifyBackwards walks from the last row to the first, and seeks to both sides of each.
func (x *batches) verifyBackwards(s *engine.Shard, opts *engine.IterOptions, sorted []string) {
	x.t.Helper()
	it, err := s.NewIterator(opts)
	if err != nil {
		x.t.Fatal(err)
	}
	at := func(what, from string, ok bool, n int) {
		x.t.Helper()
		if there := n >= 0 && n < len(sorted); ok != there || ok && string(it.Key()) != sorted[n] {
			x.t.Fatalf("shard %d: %s %x: %t, %x; want row %d of %x", s.ID(), what, from, ok, it.Key(), n, sorted)
		}
	}
	n := len(sorted)
	for ok := it.Last(); ; ok = it.Prev() {
		n--
		if at("going back", "", ok, n); !ok {
			break
		}
	}
	for n, key := range sorted {
		at("seek at or behind", key, it.SeekGE([]byte(key)), n)
		at("next", key, it.Next(), n+1)
		at("seek before", key, it.SeekLT([]byte(key)), n-1)
		at("seek before what follows", key, it.SeekLT(append([]byte(key), 0)), n)
	}
	if err := it.Close(); err != nil {
		x.t.Fatal(err)
	}
}
