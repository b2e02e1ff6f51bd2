package crashtest

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"

	"github.com/shieldmaidens/pleiades/engine"
)

// The engine workload: some writers, each with keys of its own in two shards that all share and in
// node-local storage, and with shards of its own that it creates, drops, replaces, clones, splits and
// imports. What a writer does is a function of the seed, its number and the number of the operation,
// so that program and test agree on it without a word.
const (
	engineWriters = 4
	ownShards     = 5 // ids that a writer has for shards of its own
	keysPerShard  = 40
)

var sharedShards = []engine.ShardID{1001, 1002}

// valueID stands for the bytes of a value. 0 stands for none.
type valueID uint64

func (v valueID) bytes() []byte {
	rng := rand.New(rand.NewPCG(uint64(v), 1))
	n := 20 + rng.IntN(300)
	if rng.IntN(20) == 0 {
		n += rng.IntN(9000)
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('a' + rng.IntN(16)) // compresses a little, as data does
	}
	return b
}

type opKind string

const (
	opBatch   opKind = "batch"
	opCreate  opKind = "create"
	opDrop    opKind = "drop"
	opReplace opKind = "replace"
	opClone   opKind = "clone"
	opSplit   opKind = "split"  // clone, trim both halves, make the new one live: one commit
	opImport  opKind = "import" // export, import as a new incarnation of dst: one commit
	opFlush   opKind = "flush"
	opCompact opKind = "compact"
	opCopy    opKind = "checkpoint"
)

// row is one record of a batch.
type row struct {
	shard engine.ShardID // 0 for node-local storage
	key   string
	to    string  // the end of a range delete, exclusive; empty for the others
	value valueID // 0 deletes
}

type engineOp struct {
	kind       opKind
	sync       bool
	shard, dst engine.ShardID
	rows       []row
}

func (o engineOp) String() string {
	return fmt.Sprintf("%s shard %d -> %d, sync %t, %d rows", o.kind, o.shard, o.dst, o.sync, len(o.rows))
}

// engineModel is what one writer's part of the store holds after its first n operations.
type engineModel struct {
	seed   uint64
	writer int
	lazy   bool // it seldom syncs
	n      int
	shards map[engine.ShardID]map[string]valueID
	// copied is the operation that made the writer's checkpoint, -1 for none, and what it held.
	copied     int
	copiedRows map[engine.ShardID]map[string]valueID
}

func newEngineModel(seed uint64, writer int, lazy bool) *engineModel {
	m := &engineModel{seed: seed, writer: writer, lazy: lazy, copied: -1, shards: map[engine.ShardID]map[string]valueID{0: {}}}
	for _, id := range sharedShards {
		m.shards[id] = map[string]valueID{}
	}
	return m
}

// at returns the writer's model after n operations.
func (m *engineModel) at(n int) *engineModel {
	m = newEngineModel(m.seed, m.writer, m.lazy)
	for m.n < n {
		m.apply(m.next())
	}
	return m
}

func (m *engineModel) prefix() string { return fmt.Sprintf("w%d/", m.writer) }

func (m *engineModel) key(n int) string { return fmt.Sprintf("%s%02d", m.prefix(), n) }

// ownID returns the i-th id of the writer's own shards.
func (m *engineModel) ownID(i int) engine.ShardID {
	return engine.ShardID(2000 + 100*m.writer + i)
}

// own returns the writer's own live shards, and one id that is free; 0 when none is.
func (m *engineModel) own() (live []engine.ShardID, free engine.ShardID) {
	for i := range ownShards {
		if _, ok := m.shards[m.ownID(i)]; ok {
			live = append(live, m.ownID(i))
		} else if free == 0 {
			free = m.ownID(i)
		}
	}
	return live, free
}

// next returns the operation that comes after the n first, without doing it.
func (m *engineModel) next() engineOp {
	rng := rand.New(rand.NewPCG(m.seed, uint64(m.writer)<<32|uint64(m.n)))
	live, free := m.own()
	pick := func() engine.ShardID { return live[rng.IntN(len(live))] }
	p := rng.IntN(1000)
	if m.lazy && p < 200 && rng.IntN(2) == 0 {
		// Each flush begins a new log, which unsynced writes then lie on both sides of.
		return engineOp{kind: opFlush, shard: sharedShards[rng.IntN(2)]}
	}
	switch {
	case p >= 120 || p >= 10 && len(live) == 0:
		return m.batch(rng, live)
	case p < 20 && free != 0:
		return engineOp{kind: opCreate, sync: true, shard: free}
	case p < 32 && len(live) > 2:
		return engineOp{kind: opDrop, sync: true, shard: pick()}
	case p < 40 && len(live) > 0:
		return engineOp{kind: opReplace, sync: true, shard: pick()}
	case p < 52 && free != 0 && len(live) > 0:
		return engineOp{kind: opClone, sync: true, shard: pick(), dst: free}
	case p < 70 && free != 0 && len(live) > 0:
		o := engineOp{kind: opSplit, sync: true, shard: pick(), dst: free}
		mid := m.key(rng.IntN(keysPerShard-2) + 1)
		o.rows = []row{
			{shard: o.dst, key: m.key(0), to: mid},
			{shard: o.shard, key: mid, to: m.prefix() + "\xff"},
			{shard: o.dst, key: m.prefix() + "split", value: m.value(rng)},
			{shard: 1001, key: m.prefix() + "split", value: m.value(rng)},
		}
		return o
	case p < 80 && len(live) > 0:
		o := engineOp{kind: opImport, sync: true, shard: pick()}
		o.dst = m.ownID(rng.IntN(ownShards)) // may be live, even the source: then it is replaced
		o.rows = []row{{shard: o.dst, key: m.prefix() + "import", value: m.value(rng)}}
		return o
	case p < 95 && len(live) > 0:
		return engineOp{kind: opFlush, shard: pick()}
	case p < 112:
		return engineOp{kind: opCompact, shard: sharedShards[rng.IntN(2)]}
	case p < 117:
		return engineOp{kind: opCopy}
	}
	return m.batch(rng, live)
}

func (m *engineModel) value(rng *rand.Rand) valueID { return valueID(rng.Uint64() | 1) }

func (m *engineModel) batch(rng *rand.Rand, live []engine.ShardID) engineOp {
	o := engineOp{kind: opBatch, sync: rng.IntN(4) > 0}
	if m.lazy {
		o.sync = rng.IntN(15) == 0
	}
	// One row in each of the first shards and in node-local storage: half a batch would show.
	mark := m.value(rng)
	for _, id := range append([]engine.ShardID{0}, sharedShards...) {
		o.rows = append(o.rows, row{shard: id, key: m.prefix() + "mark", value: mark})
	}
	ids := append(slices.Clone(sharedShards), live...)
	for range rng.IntN(6) {
		r := row{shard: ids[rng.IntN(len(ids))], key: m.key(rng.IntN(keysPerShard)), value: m.value(rng)}
		switch rng.IntN(12) {
		case 0, 1, 2:
			r.value = 0
		case 3:
			r.value, r.to = 0, r.key+"\xff"
			if rng.IntN(3) == 0 {
				r.to = m.key(keysPerShard)
			}
		}
		o.rows = append(o.rows, r)
	}
	return o
}

// apply does an operation.
func (m *engineModel) apply(o engineOp) {
	switch o.kind {
	case opCreate, opReplace:
		m.shards[o.shard] = map[string]valueID{}
	case opDrop:
		delete(m.shards, o.shard)
	case opClone, opSplit, opImport:
		m.shards[o.dst] = maps.Clone(m.shards[o.shard])
	case opCopy:
		m.copied = m.n
		m.copiedRows = map[engine.ShardID]map[string]valueID{}
		for id, rows := range m.shards {
			m.copiedRows[id] = maps.Clone(rows)
		}
	}
	for _, r := range o.rows {
		rows := m.shards[r.shard]
		switch {
		case r.to != "":
			maps.DeleteFunc(rows, func(key string, _ valueID) bool { return key >= r.key && key < r.to })
		case r.value == 0:
			delete(rows, r.key)
		default:
			rows[r.key] = r.value
		}
	}
	m.n++
}

// contents is what a store holds of one writer.
type contents map[engine.ShardID]map[string][]byte

// diff says how a store differs from a model, "" when it does not.
func diff(want map[engine.ShardID]map[string]valueID, got contents) string {
	for _, id := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[id]; !ok {
			return fmt.Sprintf("shard %d exists, with %d rows", id, len(got[id]))
		}
	}
	for _, id := range slices.Sorted(maps.Keys(want)) {
		rows, ok := got[id]
		if !ok {
			return fmt.Sprintf("shard %d is missing", id)
		}
		for _, key := range slices.Sorted(maps.Keys(want[id])) {
			value, ok := rows[key]
			if !ok {
				return fmt.Sprintf("shard %d: %q is missing", id, key)
			}
			if !bytes.Equal(value, want[id][key].bytes()) {
				return fmt.Sprintf("shard %d: %q has another value", id, key)
			}
		}
		for _, key := range slices.Sorted(maps.Keys(rows)) {
			if _, ok := want[id][key]; !ok {
				return fmt.Sprintf("shard %d: %q should not be there", id, key)
			}
		}
	}
	return ""
}
