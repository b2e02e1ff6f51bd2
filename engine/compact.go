package engine

// #cgo noescape ple_compact
// #cgo nocallback ple_compact
// #cgo noescape ple_size
// #cgo nocallback ple_size
// #include "native_files.h"
import "C"

import (
	"bytes"
	"context"
	"fmt"
)

// statusIncomplete is rocksdb::Status::kIncomplete: what was asked for was cancelled.
const statusIncomplete = 7

// Flush writes the shard's memtable to a table file and waits for it. Nothing needs it for
// durability. It cannot be interrupted once it has begun.
func (s *Shard) Flush(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.flush()
}

// flush is Flush for a caller that is inside the shard.
func (s *Shard) flush() error {
	var st C.ple_status
	C.ple_flush(s.e.nativeDB(), s.nativeFamily(), &st)
	return s.e.statusError("flush "+s.describe(), &st)
}

// Compact rewrites the tables that hold keys of [lo, hi) so that overwritten and deleted rows and
// range tombstones give their space back, as far as no snapshot or iterator needs them. Nil is an open
// end. It runs for as long as rewriting that much data takes; when ctx ends first it stops between two
// tables or blocks, keeps what is finished and returns ctx's error.
func (s *Shard) Compact(ctx context.Context, lo, hi []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if lo != nil && hi != nil && bytes.Compare(lo, hi) >= 0 {
		return nil
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	return s.compact(ctx, lo, hi)
}

// compact is Compact for a caller that is inside the shard.
func (s *Shard) compact(ctx context.Context, lo, hi []byte) error {
	cancel, done := cancelOn(ctx)
	defer done()
	var st C.ple_status
	C.ple_compact(s.e.nativeDB(), s.nativeFamily(), bytePtr(lo), C.size_t(len(lo)), C.int(cbool(lo != nil)),
		bytePtr(hi), C.size_t(len(hi)), C.int(cbool(hi != nil)), cancel, &st)
	return s.e.cancelError(ctx, "compact "+s.describe(), &st)
}

// cancelOn returns a flag that is set when ctx ends. done frees it, after the last use.
func cancelOn(ctx context.Context) (flag *C.ple_cancel, done func()) {
	flag = C.ple_cancel_new()
	set := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		C.ple_cancel_set(flag)
		close(set)
	})
	return flag, func() {
		if !stop() {
			<-set
		}
		C.ple_cancel_free(flag)
	}
}

// cancelError is statusError for calls that a context stops.
func (e *Engine) cancelError(ctx context.Context, op string, st *C.ple_status) error {
	cancelled := st.code == statusIncomplete
	err := e.statusError(op, st)
	if cancelled && ctx.Err() != nil {
		return fmt.Errorf("engine: %s: %w", op, ctx.Err())
	}
	return err
}

// openEnd stands for an open upper end where RocksDB needs a key: no key of ours begins with so many
// 0xFF bytes.
var openEnd = bytes.Repeat([]byte{0xff}, 64)

// ApproximateSize estimates the bytes that [lo, hi) takes: in tables as stored, compressed and with
// what is overwritten or deleted but not yet compacted, and in memtables. Nil is an open end. It reads
// no rows; tables that a clone shares count on both sides. The error of the estimate is up to a table
// block and 10 % of the tables that the ends cut.
func (s *Shard) ApproximateSize(lo, hi []byte) (uint64, error) {
	if hi == nil {
		hi = openEnd
	}
	if bytes.Compare(lo, hi) >= 0 {
		return 0, nil
	}
	if err := s.enter(); err != nil {
		return 0, err
	}
	defer s.leave()
	var st C.ple_status
	var n C.uint64_t
	C.ple_size(s.e.nativeDB(), s.nativeFamily(), bytePtr(lo), C.size_t(len(lo)), bytePtr(hi), C.size_t(len(hi)), &n, &st)
	if err := s.e.statusError("estimate the size of "+s.describe(), &st); err != nil {
		return 0, err
	}
	return uint64(n), nil
}
