package engine

// #include <stdlib.h>
// #include "native_files.h"
import "C"

import (
	"encoding/binary"
	"fmt"
	"unsafe"
)

// tableFile is one table file as RocksDB knows it: of the database, or of an export.
type tableFile struct {
	level                   int
	bytes                   uint64
	smallestSeq, largestSeq uint64
	entries, deletions      uint64
	family, name, dir       string
	smallest, largest       []byte // user keys, both inclusive
}

// takeBlob copies a blob into Go memory and frees it.
func takeBlob(b C.ple_blob) []byte {
	defer C.free(unsafe.Pointer(b.data))
	return append([]byte(nil), unsafe.Slice((*byte)(unsafe.Pointer(b.data)), int(b.len))...)
}

// liveFiles lists the table files of one shard, or of all families when s is nil. The caller is
// inside the shard, or the engine.
func (e *Engine) liveFiles(s *Shard) ([]tableFile, error) {
	if s == nil {
		return unpackFiles(takeBlob(C.ple_live_files(e.nativeDB(), nil)))
	}
	return unpackFiles(takeBlob(C.ple_live_files(e.nativeDB(), s.nativeFamily())))
}

// The packed form of native_files.h.

func packFiles(files []tableFile) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(files)))
	text := func(s []byte) {
		b = binary.LittleEndian.AppendUint64(b, uint64(len(s)))
		b = append(b, s...)
	}
	for _, f := range files {
		for _, v := range []uint64{uint64(f.level), f.bytes, f.smallestSeq, f.largestSeq, f.entries, f.deletions} {
			b = binary.LittleEndian.AppendUint64(b, v)
		}
		text([]byte(f.family))
		text([]byte(f.name))
		text([]byte(f.dir))
		text(f.smallest)
		text(f.largest)
	}
	return b
}

func unpackFiles(b []byte) ([]tableFile, error) {
	short := false
	number := func() uint64 {
		if len(b) < 8 {
			short = true
			return 0
		}
		v := binary.LittleEndian.Uint64(b)
		b = b[8:]
		return v
	}
	text := func() []byte {
		n := number()
		if n > uint64(len(b)) {
			short = true
			return nil
		}
		s := b[:n:n]
		b = b[n:]
		return s
	}
	var files []tableFile
	for n := number(); n > 0 && !short; n-- {
		f := tableFile{
			level: int(number()), bytes: number(), smallestSeq: number(), largestSeq: number(),
			entries: number(), deletions: number(),
		}
		f.family, f.name, f.dir = string(text()), string(text()), string(text())
		f.smallest, f.largest = text(), text()
		files = append(files, f)
	}
	if short || len(b) != 0 {
		return nil, fmt.Errorf("%w: malformed list of files", errRocksDB)
	}
	return files, nil
}

// foreignError turns a status about files outside of the store into an error: unlike statusError it
// does not stop the engine, whose own files are in order.
func foreignError(op string, st *C.ple_status) error {
	if st.code == 0 {
		return nil
	}
	text := C.GoString(st.message)
	C.free(unsafe.Pointer(st.message))
	st.message = nil
	return classify(op, int32(st.code), int32(st.subcode), text)
}

// cString returns s for C, freed by free.
func cString(s string) (c *C.char, free func()) {
	c = C.CString(s)
	return c, func() { C.free(unsafe.Pointer(c)) }
}
