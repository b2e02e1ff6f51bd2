package engine

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
)

// Batch collects writes to any shards of one engine; Commit applies all of them or none.
//
// It holds a reference on each shard incarnation that it names, from the first record on until Close
// or Reset: dropping or replacing such a shard waits for it. So a batch is for a moment, not to be
// kept. A Batch is not safe for concurrent use, and must not be touched while Commit runs. Keys and
// values are copied into it at the call.
//
// The bytes are RocksDB's own write-batch representation (its WAL format, stable since 2012), built
// in Go because one record through cgo costs nine times as much:
//
//	sequence(8, zero here) | count(4 LE) | records
//	record: type(1) | family(varint, unless the default family) | key(varint len, bytes) [| value(varint len, bytes)]
type Batch struct {
	e      *Engine
	rep    []byte
	count  uint32
	shards []*Shard // each entered once
	flips  []flip
	closed bool
	busy   atomic.Bool
	// memory is what rep, shards and request came from, and go back to.
	memory *batchMemory
}

// batchMemory is what one batch leaves to another.
type batchMemory struct {
	rep    []byte
	shards []*Shard
	// request is the batch's way through the committer; nil while the committer may still hold it
	// although its caller has given up.
	request *request
}

// keepBatchBytes is the largest representation that is kept for another batch.
const keepBatchBytes = 64 << 10

var batchMemories = sync.Pool{New: func() any {
	return &batchMemory{rep: make([]byte, 0, 512), shards: make([]*Shard, 0, 4)}
}}

// flip is a change of the shard table that takes effect with the batch.
type flip struct {
	activate *Shard // nil for a retirement
	retire   *Shard
}

// Record types of RocksDB's write-batch representation (db/dbformat.h). Part of its WAL format;
// never renumber.
const (
	recDelete            = 0x0
	recPut               = 0x1
	recFamilyDelete      = 0x4
	recFamilyPut         = 0x5
	recFamilyDeleteRange = 0xE
	recDeleteRange       = 0xF

	batchHeaderBytes = 12
)

// NewBatch returns an empty batch. The caller closes it.
func (e *Engine) NewBatch() *Batch {
	e.handles.add(handleBatch, 1)
	m := batchMemories.Get().(*batchMemory)
	b := &Batch{e: e, rep: m.rep[:batchHeaderBytes], shards: m.shards, memory: m}
	clear(b.rep)
	return b
}

// Put writes value under key in shard s.
func (b *Batch) Put(s *Shard, key, value []byte) error {
	if err := b.begin(s, len(key)+len(value)); err != nil {
		return err
	}
	b.record(s, recPut, recFamilyPut, key)
	b.rep = binary.AppendUvarint(b.rep, uint64(len(value)))
	b.rep = append(b.rep, value...)
	return nil
}

// Delete removes key from shard s; a key that is not there is no error.
func (b *Batch) Delete(s *Shard, key []byte) error {
	if err := b.begin(s, len(key)); err != nil {
		return err
	}
	b.record(s, recDelete, recFamilyDelete, key)
	return nil
}

// DeleteRange removes every key in [lo, hi) from shard s by one range tombstone. Range tombstones
// slow reads until they are compacted: use it where a whole bucket or range goes, then Compact.
func (b *Batch) DeleteRange(s *Shard, lo, hi []byte) error {
	if string(lo) >= string(hi) {
		return fmt.Errorf("%w: range delete of an empty or inverted range", ErrInvalid)
	}
	if err := b.begin(s, len(lo)+len(hi)); err != nil {
		return err
	}
	b.record(s, recDeleteRange, recFamilyDeleteRange, lo)
	b.rep = binary.AppendUvarint(b.rep, uint64(len(hi)))
	b.rep = append(b.rep, hi...)
	return nil
}

// Activate makes staged the live incarnation of its shard when the batch commits; the incarnation
// that was live until then is retired and dropped once its users have left.
func (b *Batch) Activate(staged *Shard) error {
	if staged.id == 0 || shardState(staged.state.Load()) != shardStaged {
		return fmt.Errorf("%w: %s is not staged", ErrInvalid, staged.describe())
	}
	if err := b.hold(staged); err != nil {
		return err
	}
	if err := b.Put(b.e.local, shardRecordKey(staged.id), appendShardRecord(nil, staged.inc)); err != nil {
		return err
	}
	b.flips = append(b.flips, flip{activate: staged})
	return nil
}

// Retire drops the live shard s when the batch commits. Its family goes once its users have left.
func (b *Batch) Retire(s *Shard) error {
	if s.id == 0 {
		return fmt.Errorf("%w: node-local storage cannot be dropped", ErrInvalid)
	}
	if err := b.hold(s); err != nil {
		return err
	}
	if shardState(s.state.Load()) != shardLive {
		return fmt.Errorf("%w: %s", ErrShardDropped, s.describe())
	}
	if err := b.Delete(b.e.local, shardRecordKey(s.id)); err != nil {
		return err
	}
	b.flips = append(b.flips, flip{retire: s})
	return nil
}

// Count returns the number of records.
func (b *Batch) Count() int { return int(b.count) }

// Len returns the size of the encoded batch in bytes.
func (b *Batch) Len() int { return len(b.rep) }

// Reset empties the batch, gives back its references, and keeps its memory.
func (b *Batch) Reset() {
	b.release()
	if b.closed {
		return
	}
	b.rep = b.rep[:batchHeaderBytes]
	clear(b.rep)
	b.count = 0
	b.flips = b.flips[:0]
}

// Close gives the batch's references back. It may be called more than once.
func (b *Batch) Close() {
	if b.closed {
		return
	}
	b.release()
	b.closed = true
	if m := b.memory; cap(b.rep) <= keepBatchBytes {
		m.rep, m.shards = b.rep[:0], b.shards
		if m.request != nil {
			m.request.b = nil
		}
		batchMemories.Put(m)
	}
	b.rep, b.shards, b.memory = nil, nil, nil
	b.e.handles.add(handleBatch, -1)
}

func (b *Batch) release() {
	for i, s := range b.shards {
		s.leave()
		b.shards[i] = nil
	}
	b.shards = b.shards[:0]
}

// begin checks that a record of n payload bytes may be added, and takes the reference on s.
func (b *Batch) begin(s *Shard, n int) error {
	const overhead = 1 + 3*binary.MaxVarintLen64
	if b.closed {
		return fmt.Errorf("%w: the batch was closed", ErrClosed)
	}
	if len(b.rep)+n+overhead > b.e.opts.MaxBatchBytes {
		return fmt.Errorf("%w: %d bytes and %d more pass the limit of %d; commit and start another", ErrBatchTooLarge, len(b.rep), n, b.e.opts.MaxBatchBytes)
	}
	return b.hold(s)
}

// hold takes one reference on s for the life of the batch.
func (b *Batch) hold(s *Shard) error {
	if s.e != b.e {
		return fmt.Errorf("%w: %s belongs to another engine", ErrInvalid, s.describe())
	}
	for _, have := range b.shards {
		if have == s {
			return nil
		}
	}
	if err := s.enter(); err != nil {
		return err
	}
	b.shards = append(b.shards, s)
	return nil
}

// record appends a record's type, family and first string.
func (b *Batch) record(s *Shard, plain, family byte, key []byte) {
	if s.cfID == 0 {
		b.rep = append(b.rep, plain)
	} else {
		b.rep = append(b.rep, family)
		b.rep = binary.AppendUvarint(b.rep, uint64(s.cfID))
	}
	b.rep = binary.AppendUvarint(b.rep, uint64(len(key)))
	b.rep = append(b.rep, key...)
	b.count++
}

// check walks the representation as RocksDB will and compares it with what the batch says of itself:
// a merged write that fails half-way would block every later write of the process, so nothing
// malformed may reach it.
func (b *Batch) check() error {
	rest := b.rep[batchHeaderBytes:]
	count := uint32(0)
	for len(rest) > 0 {
		typ := rest[0]
		rest = rest[1:]
		family, strings := uint64(0), 2
		switch typ {
		case recDelete:
			strings = 1
		case recPut, recDeleteRange:
		case recFamilyDelete, recFamilyPut, recFamilyDeleteRange:
			if typ == recFamilyDelete {
				strings = 1
			}
			var n int
			if family, n = binary.Uvarint(rest); n <= 0 {
				return fmt.Errorf("%w: batch record %d has no family", ErrInvalid, count)
			}
			rest = rest[n:]
		default:
			return fmt.Errorf("%w: batch record %d has type %d", ErrInvalid, count, typ)
		}
		for range strings {
			size, n := binary.Uvarint(rest)
			if n <= 0 || size > uint64(len(rest)-n) {
				return fmt.Errorf("%w: batch record %d is cut short", ErrInvalid, count)
			}
			rest = rest[n+int(size):]
		}
		if !b.holds(family) {
			return fmt.Errorf("%w: batch record %d names family %d, which the batch does not hold", ErrInvalid, count, family)
		}
		count++
	}
	if count != b.count {
		return fmt.Errorf("%w: batch has %d records, says %d", ErrInvalid, count, b.count)
	}
	return nil
}

func (b *Batch) holds(family uint64) bool {
	for _, s := range b.shards {
		if uint64(s.cfID) == family {
			return true
		}
	}
	return false
}
