package engine

// #cgo CXXFLAGS: -std=c++17 -O2 -Wall -Wno-unused-parameter
// #cgo LDFLAGS: -lrocksdb -lstdc++
// #cgo noescape ple_write
// #cgo nocallback ple_write
// #include <stdlib.h>
// #include "native.h"
import "C"

import (
	"errors"
	"fmt"
	"sync/atomic"
	"unsafe"

	"github.com/linxGnu/grocksdb"
)

// rocksdb::Status codes and subcodes (include/rocksdb/status.h; stable, "kMaxCode" only grows).
const (
	statusCorruption      = 2
	statusInvalidArgument = 4
	statusIOError         = 5
	statusBusy            = 11
	subcodeNoSpace        = 4
)

// errRocksDB carries the text of a status that has no sentinel of its own.
var errRocksDB = errors.New("engine: RocksDB")

// statusError turns a finished ple_status into an error and frees its message. A corruption or an
// I/O error seen by anyone stops the engine's writes: RocksDB 7.8 may go on after a damaged read and
// lose more (TRAPS, RocksDB and cgo).
func (e *Engine) statusError(op string, st *C.ple_status) error {
	if st.code == 0 {
		return nil
	}
	text := C.GoString(st.message)
	C.free(unsafe.Pointer(st.message))
	st.message = nil
	err := classify(op, int32(st.code), int32(st.subcode), text)
	if st.code == statusBusy {
		// A log has failed: RocksDB is not told how (native_env.cc).
		if cause := e.backgroundError(); cause != nil {
			err = fmt.Errorf("%s: %w", op, cause)
		}
	}
	if st.code == statusCorruption || st.code == statusIOError || st.code == statusBusy {
		e.fail(err)
	}
	return err
}

// fileStatusError is statusError for work on files that the caller names: a bad path or a damaged
// file outside the store is the caller's trouble and does not stop the engine.
func fileStatusError(op string, st *C.ple_status) error {
	if st.code == 0 {
		return nil
	}
	text := C.GoString(st.message)
	C.free(unsafe.Pointer(st.message))
	st.message = nil
	return classify(op, int32(st.code), int32(st.subcode), text)
}

// classify maps a status onto the engine's sentinels.
func classify(op string, code, subcode int32, text string) error {
	switch {
	case code == statusIOError && subcode == subcodeNoSpace:
		return fmt.Errorf("%w: %s: %s", ErrDiskFull, op, text)
	case code == statusCorruption:
		return fmt.Errorf("%w: %s: %s", ErrCorruption, op, text)
	case code == statusInvalidArgument:
		return fmt.Errorf("%w: %s: %s", ErrInvalid, op, text)
	default:
		return fmt.Errorf("%w: %s: %s", errRocksDB, op, text)
	}
}

// writeRep hands one finished batch representation to RocksDB and returns the sequence number of
// its last record. It blocks an OS thread for as long as the write takes. The caller holds
// committer.writing.
func (e *Engine) writeRep(rep []byte, sync bool) (uint64, error) {
	csync := C.int(0)
	if sync {
		csync = 1
	}
	out := C.ple_write(e.nativeDB(), bytePtr(rep), C.size_t(len(rep)), C.uint64_t(e.chain.last), csync)
	if out.fail != nil {
		defer C.free(unsafe.Pointer(out.fail))
		return 0, e.statusError("write", out.fail)
	}
	e.chain.last = uint64(out.last_seq)
	return e.chain.last, nil
}

// syncWAL makes every earlier write durable.
func (e *Engine) syncWAL() error {
	var st C.ple_status
	C.ple_sync_wal(e.dbp, &st)
	return e.statusError("sync of the write-ahead log", &st)
}

// eventCounts is a copy of the listener's counters.
type eventCounts struct {
	backgroundErrors, stallChanges, flushes, compactions uint64
	stall                                                int
}

func (e *Engine) eventCounts() eventCounts {
	var c C.ple_event_counts
	C.ple_events_read((*C.ple_events)(e.events), &c)
	return eventCounts{
		backgroundErrors: uint64(c.background_errors), stallChanges: uint64(c.stall_changes),
		flushes: uint64(c.flushes), compactions: uint64(c.compactions), stall: int(c.stall_now),
	}
}

// checkBackground stops the engine's writes when a flush or compaction has failed. It costs one load.
func (e *Engine) checkBackground() {
	if atomic.LoadUint64(e.backgroundErrors) != 0 {
		e.fail(e.backgroundError())
	}
}

// backgroundError returns the first error of a flush or compaction, nil while there was none.
func (e *Engine) backgroundError() error {
	text := C.ple_events_error((*C.ple_events)(e.events))
	if text == nil {
		return nil
	}
	defer C.free(unsafe.Pointer(text))
	return classifyText("background work", errors.New(C.GoString(text)))
}

func backgroundErrorCount(p unsafe.Pointer) *uint64 {
	return (*uint64)(unsafe.Pointer(C.ple_events_error_count((*C.ple_events)(p))))
}

func newEvents() unsafe.Pointer   { return unsafe.Pointer(C.ple_events_new()) }
func freeEvents(p unsafe.Pointer) { C.ple_events_free((*C.ple_events)(p)) }

func prepareOptions(opts *grocksdb.Options, events unsafe.Pointer) {
	C.ple_options_prepare(rawOptions(opts), (*C.ple_events)(events))
}

// keepLogsAtRecovery makes the next opening with opts write no tables of what the logs hold.
func keepLogsAtRecovery(opts *grocksdb.Options) { C.ple_options_keep_logs(rawOptions(opts)) }

// LibraryInfo says which RocksDB the program is linked with.
type LibraryInfo struct {
	// Version is "7.8.3".
	Version string
	// Asserts tells a build with assertions (Debian's package: misuse aborts, figures are low) from a
	// release build.
	Asserts bool
}

// Library returns what RocksDB the program is linked with.
func Library() LibraryInfo {
	v := uint32(C.ple_library_version())
	return LibraryInfo{
		Version: fmt.Sprintf("%d.%d.%d", v/10000, v/100%100, v%100),
		Asserts: C.ple_library_asserts() != 0,
	}
}

// checkLibrary refuses a library of another minor version than the headers: C++ structures are
// shared with it.
func checkLibrary() error {
	const required = 708 // major and minor, as the headers that native.cc insists on
	if v := uint32(C.ple_library_version()); v/100 != required {
		return fmt.Errorf("%w: linked with RocksDB %s, need 7.8; on Debian 12: apt-get install librocksdb-dev", ErrInvalid, Library().Version)
	}
	return nil
}

// grocksdb's handles are Go structs whose first field is the C handle, and it offers no getter for
// them. TestNativeLayout fails when this stops being true.

func rawDB(db *grocksdb.DB) unsafe.Pointer          { return *(*unsafe.Pointer)(unsafe.Pointer(db)) }
func rawOptions(o *grocksdb.Options) unsafe.Pointer { return *(*unsafe.Pointer)(unsafe.Pointer(o)) }
func rawFamily(h *grocksdb.ColumnFamilyHandle) unsafe.Pointer {
	return *(*unsafe.Pointer)(unsafe.Pointer(h))
}
