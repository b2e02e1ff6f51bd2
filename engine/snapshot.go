package engine

// #cgo noescape ple_snapshot_new
// #cgo nocallback ple_snapshot_new
// #cgo nocallback ple_snapshot_free
// #include "native_read.h"
import "C"

import (
	"fmt"
	"sync/atomic"
)

// Snapshot is the state of all shards of an engine at one instant: what was committed before
// NewSnapshot returned and nothing that was committed after. It is safe for concurrent use by several
// goroutines. A snapshot keeps overwritten values alive, on disk too, so it should not be held long.
// It must be closed before its engine.
type Snapshot struct {
	e   *Engine
	c   *C.ple_snapshot
	seq uint64
	// refs counts the owner and everyone who reads: the last one releases the C snapshot, so that
	// closing while an iterator still reads is safe.
	refs   atomic.Int64
	closed atomic.Bool
}

// NewSnapshot pins the present state of all shards. Shards that are dropped later are gone for the
// snapshot too.
func (e *Engine) NewSnapshot() (*Snapshot, error) {
	if !e.life.enter() {
		return nil, e.closedErr()
	}
	var seq C.uint64_t
	c := C.ple_snapshot_new(e.nativeDB(), &seq) // freed by release
	if c == nil {
		e.life.leave()
		return nil, fmt.Errorf("%w: RocksDB gave no snapshot", errRocksDB)
	}
	e.handles.add(handleSnapshot, 1)
	snap := &Snapshot{e: e, c: c, seq: uint64(seq)}
	snap.refs.Store(1)
	return snap, nil
}

// Sequence returns the number of the last write that the snapshot sees. Sequence numbers count the
// records of all batches of the engine, of all shards.
func (s *Snapshot) Sequence() uint64 { return s.seq }

// Close releases the snapshot. Reads through it that are under way, and open iterators, finish on
// the snapshot's state; later ones get ErrClosed. Closing again does nothing.
func (s *Snapshot) Close() {
	if !s.closed.Swap(true) {
		s.release()
	}
}

// acquire returns the C snapshot for one read by e, which ends with release. The nil snapshot is
// valid and means now.
func (s *Snapshot) acquire(e *Engine) (*C.ple_snapshot, error) {
	if s == nil {
		return nil, nil
	}
	if s.e != e {
		return nil, fmt.Errorf("%w: the snapshot belongs to another engine", ErrInvalid)
	}
	for {
		n := s.refs.Load()
		if n == 0 || s.closed.Load() {
			return nil, errSnapshotClosed
		}
		if s.refs.CompareAndSwap(n, n+1) {
			return s.c, nil
		}
	}
}

// release ends one use.
func (s *Snapshot) release() {
	if s == nil || s.refs.Add(-1) != 0 {
		return
	}
	C.ple_snapshot_free(s.e.nativeDB(), s.c)
	s.e.handles.add(handleSnapshot, -1)
	s.e.life.leave()
}

// errSnapshotClosed matches ErrClosed.
var errSnapshotClosed = fmt.Errorf("%w: the snapshot was closed", ErrClosed)
