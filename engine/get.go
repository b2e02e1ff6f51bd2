package engine

// #cgo noescape ple_get
// #cgo nocallback ple_get
// #cgo noescape ple_has
// #cgo nocallback ple_has
// #cgo noescape ple_pin_free
// #cgo nocallback ple_pin_free
// #include <stdlib.h>
// #include "native_read.h"
import "C"

import (
	"fmt"
	"sync"
	"unsafe"

	"github.com/shieldmaidens/pleiades/base"
)

// ReadOptions says what state a read sees. Nil means the newest state: every write whose commit
// returned before the read began.
type ReadOptions struct {
	// Snapshot makes the read see the state that the snapshot pinned. It must be of the same engine.
	Snapshot *Snapshot
}

// snapshot returns the snapshot to read at, nil for now.
func (o *ReadOptions) snapshot() *Snapshot {
	if o == nil {
		return nil
	}
	return o.Snapshot
}

// smallValue is the largest value that View and Get pass through a pooled buffer in one call into C;
// a larger one is pinned where it lies and released by a second call.
const smallValue = 4 << 10

// enoughRoom is what a caller's slice must have left for Get to read right into it: with less, a value
// would often not fit and take a second call.
const enoughRoom = 64

var smallValues = sync.Pool{New: func() any { return new([smallValue]byte) }}

// Get appends the value of key to dst and returns the result, which shares no memory with the
// engine. ErrNotFound says that the key has no value (a stored empty value is no error). On an error
// the result is dst unchanged. A dst with room for the value saves the allocation and a copy.
func (s *Shard) Get(dst, key []byte, ro *ReadOptions) ([]byte, error) {
	if err := s.enter(); err != nil {
		return dst, err
	}
	if cap(dst)-len(dst) < enoughRoom {
		buf := smallValues.Get().(*[smallValue]byte)
		got, err := s.read(key, ro, buf[:])
		switch {
		case err != nil:
		case got.pin == nil:
			dst = append(dst, buf[:got.len]...)
		default:
			dst = s.appendPinned(dst, got)
		}
		smallValues.Put(buf)
		s.leave()
		return dst, err
	}
	got, err := s.read(key, ro, dst[len(dst):cap(dst)])
	switch {
	case err != nil:
	case got.pin == nil:
		dst = dst[:len(dst)+int(got.len)]
	default:
		dst = s.appendPinned(dst, got)
	}
	s.leave()
	return dst, err
}

// View calls fn with the value of key, without copying it unless it is small. The value is valid
// only until fn returns and must not be changed. View returns fn's error, or ErrNotFound without
// calling fn. While fn runs the shard cannot be dropped, so fn must not wait for that.
func (s *Shard) View(key []byte, ro *ReadOptions, fn func(value []byte) error) error {
	buf := smallValues.Get().(*[smallValue]byte)
	defer smallValues.Put(buf)
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	got, err := s.read(key, ro, buf[:])
	if err != nil {
		return err
	}
	if got.pin == nil {
		return fn(buf[:got.len:got.len])
	}
	defer s.unpin(got.pin)
	return fn(got.bytes())
}

// Has reports whether key has a value.
func (s *Shard) Has(key []byte, ro *ReadOptions) (bool, error) {
	if err := s.enter(); err != nil {
		return false, err
	}
	defer s.leave()
	snap, err := ro.snapshot().acquire(s.e)
	if err != nil {
		return false, err
	}
	got := C.ple_has(s.e.nativeDB(), s.nativeFamily(), snap, bytePtr(key), C.size_t(len(key)))
	ro.snapshot().release()
	switch got.what {
	case C.PLE_MISSING:
		return false, nil
	case C.PLE_FAILED:
		return false, s.readFailure("look up "+base.Quote(key), got.fail)
	}
	return true, nil
}

// found is a value that was read: in the caller's buffer, or pinned in C memory that the caller
// frees with unpin.
type found struct {
	len  C.size_t
	data *C.char
	pin  *C.ple_pin
}

// bytes returns the pinned value. It lies in C memory: valid until unpin.
func (f found) bytes() []byte { return unsafe.Slice((*byte)(unsafe.Pointer(f.data)), int(f.len)) }

// unpin frees a pinned value.
func (s *Shard) unpin(pin *C.ple_pin) {
	C.ple_pin_free(pin)
	s.e.handles.add(handlePinned, -1)
}

// appendPinned appends a pinned value and frees it.
func (s *Shard) appendPinned(dst []byte, got found) []byte {
	dst = append(dst, got.bytes()...)
	s.unpin(got.pin)
	return dst
}

// read looks key up for a caller that has entered the shard, and stays until it has freed what was
// pinned. A value that fits is copied into buf.
func (s *Shard) read(key []byte, ro *ReadOptions, buf []byte) (found, error) {
	var snap *C.ple_snapshot
	if ro != nil && ro.Snapshot != nil {
		var err error
		if snap, err = ro.Snapshot.acquire(s.e); err != nil {
			return found{}, err
		}
		defer ro.Snapshot.release()
	}
	got := C.ple_get(s.e.nativeDB(), s.nativeFamily(), snap, bytePtr(key), C.size_t(len(key)), bytePtr(buf), C.size_t(len(buf)))
	switch got.what {
	case C.PLE_MISSING:
		return found{}, ErrNotFound
	case C.PLE_FAILED:
		return found{}, s.readFailure("get "+base.Quote(key), got.fail)
	case C.PLE_PINNED:
		s.e.handles.add(handlePinned, 1)
	}
	return found{len: got.len, data: got.data, pin: got.pin}, nil
}

// readFailure frees fail and turns it into an error that names the shard. A damaged file stops the
// engine's writes (statusError).
func (s *Shard) readFailure(op string, fail *C.ple_status) error {
	defer C.free(unsafe.Pointer(fail))
	return s.e.statusError(fmt.Sprintf("%s in %s", op, s.describe()), fail)
}

// nativeDB and nativeFamily give the handles their own C types: cgo checks an unsafe.Pointer for Go
// pointers behind it on every call, and a typed one never.

func (e *Engine) nativeDB() *C.ple_db { return (*C.ple_db)(e.dbp) }

func (s *Shard) nativeFamily() *C.ple_family { return (*C.ple_family)(s.cfp) }

// bytePtr returns the first byte of b for C, which reads no further than the length it is given. An
// empty slice may give nil or a pointer behind an allocation's end, never read.
func bytePtr(b []byte) *C.char { return (*C.char)(unsafe.Pointer(unsafe.SliceData(b))) }
