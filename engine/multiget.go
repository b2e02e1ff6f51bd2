package engine

// #cgo noescape ple_multiget
// #cgo nocallback ple_multiget
// #cgo noescape ple_values_take
// #cgo nocallback ple_values_take
// #include "native_read.h"
import "C"

import (
	"fmt"
	"sync"
	"unsafe"

	"github.com/shieldmaidens/pleiades/base"
)

// MaxMultiGetKeys bounds the keys of one MultiGet; ask for more in several calls.
const MaxMultiGetKeys = 65_536

// MultiResult holds the answers of one MultiGet, in the order of its keys. It shares no memory with
// the engine or the keys. Reading it from several goroutines is fine.
type MultiResult struct {
	buf []byte
	// ends[i] is where value i ends in buf and the next begins.
	ends []int
	// lens[i] is value i's length, -1 when the key has none.
	lens []int64
}

// Len returns the number of keys that were asked for.
func (r *MultiResult) Len() int { return len(r.lens) }

// Value returns the value of the i'th key and true, or nil and false when the key has none. An empty
// stored value is empty and true. It aliases the result: it changes when the result is used for
// another MultiGetInto, and appending to it copies.
func (r *MultiResult) Value(i int) ([]byte, bool) {
	n := r.lens[i]
	if n < 0 {
		return nil, false
	}
	end := r.ends[i]
	return r.buf[end-int(n) : end : end], true
}

// multiScratch is what one call needs besides its result.
type multiScratch struct {
	keys []byte
	ends []uint64
	vals []byte
}

const multiScratchBytes = 16 << 10

var multiScratches = sync.Pool{New: func() any { return &multiScratch{vals: make([]byte, multiScratchBytes)} }}

// MultiGet looks all keys up at one state, in one call into RocksDB, which is cheaper than as many
// Gets. Keys may repeat and come in any order. An error is about the whole call: no result.
func (s *Shard) MultiGet(keys [][]byte, ro *ReadOptions) (*MultiResult, error) {
	r := new(MultiResult)
	if err := s.MultiGetInto(r, keys, ro); err != nil {
		return nil, err
	}
	return r, nil
}

// MultiGetInto is MultiGet that reuses the memory of r, whose values of earlier calls change. After
// an error r holds no answers.
func (s *Shard) MultiGetInto(r *MultiResult, keys [][]byte, ro *ReadOptions) error {
	r.buf, r.ends, r.lens = r.buf[:0], r.ends[:0], r.lens[:0]
	if len(keys) > MaxMultiGetKeys {
		return fmt.Errorf("%w: MultiGet of %d keys, at most %d", ErrInvalid, len(keys), MaxMultiGetKeys)
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	snap, err := ro.snapshot().acquire(s.e)
	if err != nil {
		return err
	}
	defer ro.snapshot().release()
	if len(keys) == 0 {
		return nil
	}

	sc := multiScratches.Get().(*multiScratch)
	defer sc.put()
	sc.keys, sc.ends = sc.keys[:0], sc.ends[:0]
	for _, k := range keys {
		sc.keys = append(sc.keys, k...)
		sc.ends = append(sc.ends, uint64(len(sc.keys)))
	}
	if cap(r.lens) < len(keys) {
		r.lens, r.ends = make([]int64, len(keys)), make([]int, 0, len(keys))
	}
	r.lens = r.lens[:len(keys)]
	vals := r.buf[:cap(r.buf)]
	direct := len(vals) >= multiScratchBytes
	if !direct {
		vals = sc.vals
	}
	out := C.ple_multiget(s.e.nativeDB(), s.nativeFamily(), snap,
		bytePtr(sc.keys), (*C.uint64_t)(unsafe.Pointer(unsafe.SliceData(sc.ends))), C.size_t(len(keys)),
		(*C.int64_t)(unsafe.Pointer(unsafe.SliceData(r.lens))), bytePtr(vals), C.size_t(len(vals)))
	if out.fail != nil {
		r.lens = r.lens[:0]
		return s.readFailure("get "+base.Quote(keys[out.failed_key]), out.fail)
	}
	total := int(out.total)
	switch {
	case out.rest != nil:
		if cap(r.buf) < total {
			r.buf = make([]byte, total)
		}
		r.buf = r.buf[:total]
		C.ple_values_take(out.rest, bytePtr(r.buf)) // frees rest
	case direct:
		r.buf = vals[:total]
	default:
		r.buf = append(r.buf, vals[:total]...)
	}
	end := 0
	for _, n := range r.lens {
		end += int(max(n, 0))
		r.ends = append(r.ends, end)
	}
	return nil
}

// put gives the scratch back unless one large call has blown it up.
func (sc *multiScratch) put() {
	if cap(sc.keys) <= 4*multiScratchBytes && cap(sc.ends) <= multiScratchBytes {
		multiScratches.Put(sc)
	}
}
