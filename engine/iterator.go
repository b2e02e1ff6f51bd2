package engine

// #cgo noescape ple_iter_new
// #cgo nocallback ple_iter_new
// #cgo nocallback ple_iter_free
// #cgo noescape ple_iter_fill
// #cgo nocallback ple_iter_fill
// #cgo nocallback ple_iter_seeks
// #include "native_read.h"
import "C"

import (
	"encoding/binary"
	"fmt"
	"math"
)

// IterOptions configures an iterator. Nil means all rows of the shard, now.
type IterOptions struct {
	// Lower and Upper bound the rows to [Lower, Upper). Empty means open. Copied.
	Lower, Upper []byte
	// Snapshot makes the iterator see the state that the snapshot pinned; nil means the state at
	// NewIterator. Either way the iterator never sees later writes.
	Snapshot *Snapshot
	// KeysOnly leaves the values in RocksDB: Value is nil, ValueLen still tells the size.
	KeysOnly bool
	// Suffix, when not empty, leaves out every row whose key does not end in it. A key's stem is the key
	// without its last len(Suffix) bytes; after 8 rows of one stem in a row were left out, the rest of
	// the stem's rows is passed by one seek. That needs the rows of a stem to be contiguous and no row's
	// suffix to begin with 0xFF, both of which hold for package keys; otherwise rows may be missed.
	// Copied.
	Suffix []byte
	// LongScan is for reading much more than a few thousand rows: read ahead from disk, and do not push
	// what others use out of the block cache.
	LongScan bool
	// BufferBytes and BufferRows bound what one call into RocksDB fetches ahead. The first fetch behind
	// a seek is at most 8 rows and 16 KiB; each further one has twice the rows and four times the bytes,
	// up to these bounds.
	// A row that is larger than the buffer gets a buffer of its own size. Defaults 256 KiB (1 to 64 MiB)
	// and 1,024 rows (1 to 1,048,576).
	BufferBytes, BufferRows int
}

const (
	defaultBufferBytes = 256 << 10
	maxBufferBytes     = 64 << 20
	defaultBufferRows  = 1024
	maxBufferRows      = 1 << 20
	firstFillBytes     = 16 << 10
	firstFillRows      = 8
	fillBytesGrowth    = 4
	fillRowsGrowth     = 2
)

// Iterator walks the rows of one shard in key order, both ways. It is not safe for concurrent use. It
// holds its shard: dropping or replacing the shard waits until the iterator is closed.
//
// A new iterator stands nowhere: position it with First, Last, SeekGE or SeekLT. Each positioning
// call reports whether the iterator now stands at a row. After false, Err tells the end of the rows
// (nil) from a failure; Next and Prev stay false until the iterator is positioned anew. A failure
// stays: the iterator never stands at a row again.
//
//	for ok := it.First(); ok; ok = it.Next() {
//		use(it.Key(), it.Value())
//	}
//	if err := it.Err(); err != nil { … }
type Iterator struct {
	s    *Shard
	snap *Snapshot
	c    *C.ple_iter // nil once closed
	keys bool        // KeysOnly

	maxBytes, maxRows int
	// fillBytes and fillRows bound the next fill.
	fillBytes, fillRows int

	// buf[:used] holds the rows that the last fill fetched, in the order of its direction. at is the
	// offset of the current row, -1 when there is none.
	buf     []byte
	used    int
	at      int
	forward bool // direction of the last fill
	more    bool // the fill stopped before the end
	err     error
	// skipped is where ple_iter_seeks stood when the iterator was closed.
	skipped uint64
}

// NewIterator returns an iterator over the shard's rows. The caller must close it, before the engine.
func (s *Shard) NewIterator(opts *IterOptions) (*Iterator, error) {
	var o IterOptions
	if opts != nil {
		o = *opts
	}
	it := &Iterator{s: s, snap: o.Snapshot, keys: o.KeysOnly, at: -1}
	var err error
	if it.maxBytes, err = bounded("BufferBytes", o.BufferBytes, defaultBufferBytes, maxBufferBytes); err != nil {
		return nil, err
	}
	if it.maxRows, err = bounded("BufferRows", o.BufferRows, defaultBufferRows, maxBufferRows); err != nil {
		return nil, err
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	snap, err := o.Snapshot.acquire(s.e) // held until Close: RocksDB looks at it when it opens further files
	if err != nil {
		s.leave()
		return nil, err
	}
	it.c = C.ple_iter_new(s.e.nativeDB(), s.nativeFamily(), snap, // freed by Close
		bytePtr(o.Lower), C.size_t(len(o.Lower)), bytePtr(o.Upper), C.size_t(len(o.Upper)),
		bytePtr(o.Suffix), C.size_t(len(o.Suffix)),
		C.ple_iter_options{keys_only: cbool(o.KeysOnly), long_scan: cbool(o.LongScan)})
	s.e.handles.add(handleIterator, 1)
	return it, nil
}

// bounded returns v, or def when v is 0.
func bounded(name string, v, def, most int) (int, error) {
	if v == 0 {
		return def, nil
	}
	if v < 0 || v > most {
		return 0, fmt.Errorf("%w: %s is %d, must be 1 to %d", ErrInvalid, name, v, most)
	}
	return v, nil
}

func cbool(b bool) C.int32_t {
	if b {
		return 1
	}
	return 0
}

// First goes to the first row.
func (it *Iterator) First() bool { return it.seek(C.PLE_FIRST, nil) }

// Last goes to the last row.
func (it *Iterator) Last() bool { return it.seek(C.PLE_LAST, nil) }

// SeekGE goes to the first row whose key is key or behind it.
func (it *Iterator) SeekGE(key []byte) bool { return it.seek(C.PLE_SEEK_GE, key) }

// SeekLT goes to the last row whose key is before key.
func (it *Iterator) SeekLT(key []byte) bool { return it.seek(C.PLE_SEEK_LT, key) }

// Next goes to the row behind the current one.
func (it *Iterator) Next() bool {
	if it.at < 0 {
		return it.notPositioned()
	}
	if !it.forward {
		if it.at > 0 {
			it.at = it.before(it.at)
			return true
		}
		return it.turn(C.PLE_SEEK_GT, it.Key())
	}
	return it.onward()
}

// Prev goes to the row before the current one.
func (it *Iterator) Prev() bool {
	if it.at < 0 {
		return it.notPositioned()
	}
	if it.forward {
		if it.at > 0 {
			it.at = it.before(it.at)
			return true
		}
		return it.turn(C.PLE_SEEK_LT, it.Key())
	}
	return it.onward()
}

// Valid reports whether the iterator stands at a row.
func (it *Iterator) Valid() bool { return it.at >= 0 }

// Key returns the current row's key, nil when the iterator stands at none. It is valid until the next
// positioning call or Close and must not be changed.
func (it *Iterator) Key() []byte {
	if it.at < 0 {
		return nil
	}
	from := it.at + rowHeader
	to := from + it.field(it.at)
	return it.buf[from:to:to]
}

// Value returns the current row's value, under the rules of Key. With KeysOnly it is nil.
func (it *Iterator) Value() []byte {
	if it.at < 0 || it.keys {
		return nil
	}
	from := it.at + rowHeader + it.field(it.at)
	to := from + it.field(it.at+4)
	return it.buf[from:to:to]
}

// ValueLen returns the length of the current row's value in bytes, also with KeysOnly; 0 when the
// iterator stands at none.
func (it *Iterator) ValueLen() int {
	if it.at < 0 {
		return 0
	}
	return it.field(it.at + 4)
}

// Err returns why the iterator stopped: nil at the end of the rows or while it stands at one, an
// error that matches ErrCorruption when a file is damaged, ErrClosed after Close was followed by
// further use.
func (it *Iterator) Err() error { return it.err }

// Close releases the iterator and returns Err. Closing again does nothing more.
func (it *Iterator) Close() error {
	if it.c == nil {
		return it.err
	}
	it.skipped = uint64(C.ple_iter_seeks(it.c))
	C.ple_iter_free(it.c)
	it.c, it.at = nil, -1
	putIterBuffer(it.buf)
	it.buf = nil
	it.snap.release()
	it.s.e.handles.add(handleIterator, -1)
	it.s.leave()
	return it.err
}

// Seeks returns how many seeks replaced walking over rows that Suffix leaves out.
func (it *Iterator) Seeks() uint64 {
	if it.c == nil {
		return it.skipped
	}
	return uint64(C.ple_iter_seeks(it.c))
}

// The rows in buf are laid out by ple_iter_fill: see native_read.h.
const rowHeader = 12

func (it *Iterator) field(at int) int { return int(binary.NativeEndian.Uint32(it.buf[at:])) }

// before returns the offset of the row that was filled before the one at offset at.
func (it *Iterator) before(at int) int { return it.field(at + 8) }

// after returns the offset behind the row at offset at.
func (it *Iterator) after(at int) int {
	n := at + rowHeader + it.field(at)
	if !it.keys {
		n += it.field(at + 4)
	}
	return n
}

// notPositioned is the answer of Next and Prev without a current row.
func (it *Iterator) notPositioned() bool {
	if it.c == nil {
		it.setErr(errIteratorClosed)
	}
	return false
}

// seek positions anew; the fetches start small again.
func (it *Iterator) seek(move C.int32_t, key []byte) bool {
	it.at = -1
	if it.c == nil {
		it.setErr(errIteratorClosed)
		return false
	}
	if it.err != nil {
		return false
	}
	it.fillBytes, it.fillRows = min(firstFillBytes, it.maxBytes), min(firstFillRows, it.maxRows)
	return it.fill(move, key)
}

// turn changes the direction at the first row of the buffer. key lies in the buffer that is filled:
// C is through with it before it writes.
func (it *Iterator) turn(move C.int32_t, key []byte) bool {
	it.fillBytes, it.fillRows = min(firstFillBytes, it.maxBytes), min(firstFillRows, it.maxRows)
	return it.fill(move, key)
}

// onward goes to the next row in the direction of the last fill.
func (it *Iterator) onward() bool {
	if next := it.after(it.at); next < it.used {
		it.at = next
		return true
	}
	if !it.more {
		it.at = -1
		return false
	}
	it.fillBytes, it.fillRows = min(it.fillBytes*fillBytesGrowth, it.maxBytes), min(it.fillRows*fillRowsGrowth, it.maxRows)
	return it.fill(C.PLE_GO_ON, nil)
}

// fill fetches rows into the buffer and stands at the first of them.
func (it *Iterator) fill(move C.int32_t, key []byte) bool {
	for {
		if len(it.buf) < it.fillBytes {
			putIterBuffer(it.buf) // never while key lies in it: turn asks for no more than there is
			it.buf = getIterBuffer(it.fillBytes)
		}
		out := C.ple_iter_fill(it.c, move, bytePtr(key), C.size_t(len(key)), bytePtr(it.buf), C.size_t(it.fillBytes), C.uint32_t(it.fillRows))
		switch move {
		case C.PLE_GO_ON:
		case C.PLE_LAST, C.PLE_SEEK_LT:
			it.forward = false
		default:
			it.forward = true
		}
		it.used, it.more, it.at = int(out.used), out.more != 0, -1
		switch {
		case out.rows > 0:
			it.at = 0
			return true
		case out.fail != nil:
			it.setErr(it.s.readFailure("iterate", out.fail))
			return false
		case !it.more:
			return false
		case out.need > math.MaxUint32:
			it.more = false
			it.setErr(fmt.Errorf("%w: a row of %d bytes in %s", ErrInvalid, out.need, it.s.describe()))
			return false
		case out.need > 0:
			it.fillBytes = int(out.need) // one large row
		}
		move, key = C.PLE_GO_ON, nil
	}
}

// setErr keeps the first error.
func (it *Iterator) setErr(err error) {
	if it.err == nil {
		it.err = err
	}
}

// errIteratorClosed matches ErrClosed.
var errIteratorClosed = fmt.Errorf("%w: the iterator was closed", ErrClosed)
