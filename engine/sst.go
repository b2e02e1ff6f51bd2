package engine

// #cgo noescape ple_writer_add
// #cgo nocallback ple_writer_add
// #include "native_files.h"
import "C"

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/shieldmaidens/pleiades/base"
)

// SSTWriter writes one table file outside of the store, to be ingested into a shard of this or another
// store later. It is not safe for concurrent use and must be closed before its engine.
type SSTWriter struct {
	e    *Engine
	c    *C.ple_writer // nil once closed
	path string
	rows []byte // rows that C has not seen yet
	last []byte
	info SSTInfo
	err  error
}

// SSTInfo describes a finished table.
type SSTInfo struct {
	// Path is the file.
	Path string
	// Bytes is the file's size.
	Bytes int64
	// Entries counts the rows, deletions included.
	Entries uint64
	// Smallest and Largest are the first and the last key, both inclusive.
	Smallest, Largest []byte
}

const (
	sstBufferBytes = 64 << 10
	sstDeletion    = math.MaxUint32
)

// NewSSTWriter begins a table at path, replacing a file that is there.
func (e *Engine) NewSSTWriter(path string) (*SSTWriter, error) {
	if !e.life.enter() {
		return nil, e.closedErr()
	}
	name, free := cString(path)
	defer free()
	var st C.ple_status
	c := C.ple_writer_new(e.nativeDB(), name, &st) // freed by Close
	if err := foreignError("create table "+path, &st); err != nil {
		e.life.leave()
		return nil, err
	}
	e.handles.add(handleWriter, 1)
	return &SSTWriter{e: e, c: c, path: path, info: SSTInfo{Path: path}}, nil
}

// Put adds a row. Keys must ascend strictly: ErrKeyOrder. Both slices are copied.
func (w *SSTWriter) Put(key, value []byte) error {
	if uint64(len(value)) >= sstDeletion {
		return fmt.Errorf("%w: a value of %d bytes", ErrInvalid, len(value))
	}
	if err := w.begin(key, uint32(len(value))); err != nil {
		return err
	}
	w.rows = append(w.rows, value...)
	return w.pass(sstBufferBytes)
}

// Delete adds a deletion of key, which hides what the shard held under it before.
func (w *SSTWriter) Delete(key []byte) error {
	if err := w.begin(key, sstDeletion); err != nil {
		return err
	}
	return w.pass(sstBufferBytes)
}

// begin checks a row and buffers its head.
func (w *SSTWriter) begin(key []byte, valueLen uint32) error {
	switch {
	case w.err != nil:
		return w.err
	case w.c == nil:
		return fmt.Errorf("%w: the writer of %s was closed", ErrClosed, w.path)
	case uint64(len(key)) > math.MaxUint32:
		return fmt.Errorf("%w: a key of %d bytes", ErrInvalid, len(key))
	case w.info.Entries > 0 && bytes.Compare(w.last, key) >= 0:
		return fmt.Errorf("%w: %s behind %s in %s", ErrKeyOrder, base.Quote(key), base.Quote(w.last), w.path)
	}
	if w.info.Entries == 0 {
		w.info.Smallest = bytes.Clone(key)
	}
	w.info.Entries++
	w.last = append(w.last[:0], key...)
	w.rows = binary.NativeEndian.AppendUint32(w.rows, uint32(len(key)))
	w.rows = binary.NativeEndian.AppendUint32(w.rows, valueLen)
	w.rows = append(w.rows, key...)
	return nil
}

// pass hands the buffered rows to C when they are at least so many bytes.
func (w *SSTWriter) pass(least int) error {
	if len(w.rows) < least || len(w.rows) == 0 {
		return nil
	}
	var st C.ple_status
	C.ple_writer_add(w.c, bytePtr(w.rows), C.size_t(len(w.rows)), &st)
	w.rows = w.rows[:0]
	w.err = foreignError("write table "+w.path, &st)
	return w.err
}

// Finish completes the file, durably, and closes the writer. A table without rows is ErrEmptyTable and
// leaves no file.
func (w *SSTWriter) Finish() (SSTInfo, error) {
	switch {
	case w.err != nil:
		return SSTInfo{}, errors.Join(w.err, w.Close())
	case w.c == nil:
		return SSTInfo{}, fmt.Errorf("%w: the writer of %s was closed", ErrClosed, w.path)
	case w.info.Entries == 0:
		return SSTInfo{}, errors.Join(fmt.Errorf("%w: %s", ErrEmptyTable, w.path), w.Close())
	}
	if err := w.pass(0); err != nil {
		return SSTInfo{}, errors.Join(err, w.Close())
	}
	var st C.ple_status
	var size C.uint64_t
	C.ple_writer_finish(w.c, &size, &st)
	if w.err = foreignError("finish table "+w.path, &st); w.err != nil {
		return SSTInfo{}, errors.Join(w.err, w.Close())
	}
	w.info.Bytes = int64(size)
	w.info.Largest = bytes.Clone(w.last)
	w.free()
	return w.info, nil
}

// Close gives an unfinished table up and removes its file. After Finish, or again, it does nothing.
func (w *SSTWriter) Close() error {
	if w.c == nil {
		return nil
	}
	w.free()
	if err := os.Remove(w.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fsError("remove "+w.path, err)
	}
	return nil
}

func (w *SSTWriter) free() {
	C.ple_writer_free(w.c)
	w.c = nil
	w.e.handles.add(handleWriter, -1)
	w.e.life.leave()
}

// IngestOptions configures Shard.Ingest. Nil means the zero value.
type IngestOptions struct {
	// Overwrite lets the tables hold keys in the range of rows that are there: the tables' rows win.
	// Without it that is ErrOverlap.
	Overwrite bool
}

// maxIngestTables bounds the tables of one call.
const maxIngestTables = 4096

// Ingest adds finished tables to the shard, all or none, visible at once and durable when it returns.
// The files are linked where possible and copied otherwise; the caller's stay as they are and must
// not be changed. Every block is checked first.
//
// Errors: ErrEmptyTable, ErrOverlap (the tables overlap each other, or rows of the shard), ErrNotWritten
// (the engine has stopped), and ErrCorruption, ErrInvalid for a file that is damaged or no table; each
// names the file. Commits to any shard wait while it is judged whether rows are in the way and the tables
// become the shard's, so no writer comes between: milliseconds, but for a flush of the shard when it holds
// unflushed rows in the tables' range (Overwrite).
func (s *Shard) Ingest(ctx context.Context, paths []string, opts *IngestOptions) error {
	if len(paths) == 0 || len(paths) > maxIngestTables {
		return fmt.Errorf("%w: ingest of %d tables, must be 1 to %d", ErrInvalid, len(paths), maxIngestTables)
	}
	if err := s.enter(); err != nil {
		return err
	}
	defer s.leave()
	tables, err := s.inspectTables(ctx, paths)
	if err != nil {
		return err
	}
	overwrite := opts != nil && opts.Overwrite
	if !overwrite { // early, before anything is read and linked; judged again below
		if err := s.refuseOverlaps(tables); err != nil {
			return err
		}
	}
	staging := filepath.Join(s.e.dir, stagingDirName)
	if err := os.MkdirAll(staging, 0o755); err != nil {
		return fsError("create "+staging, err)
	}
	dir, err := os.MkdirTemp(staging, "ingest-"+s.name+"-")
	if err != nil {
		return fsError("create a directory in "+staging, err)
	}
	defer os.RemoveAll(dir)
	var list []byte
	for i, p := range paths {
		if err := ctx.Err(); err != nil {
			return err
		}
		name := filepath.Join(dir, fmt.Sprintf("%06d.sst", i+1))
		if err := linkOrCopy(p, name); err != nil {
			return err
		}
		if err := s.checkBlocks(p, name); err != nil {
			return err
		}
		list = append(append(list, name...), 0)
	}
	s.e.commits.writing.Lock()
	defer s.e.commits.writing.Unlock()
	if err := s.e.stoppedErrOrNil(); err != nil {
		return fmt.Errorf("%w: %w", ErrNotWritten, err)
	}
	if !overwrite {
		if err := s.refuseOverlaps(tables); err != nil {
			return err
		}
	}
	var st C.ple_status
	C.ple_ingest(s.e.nativeDB(), s.nativeFamily(), bytePtr(list), C.size_t(len(paths)), &st)
	return foreignError("ingest into "+s.describe(), &st)
}

// inspectTables reads the bounds of the tables and refuses empty ones and ones that overlap each other.
func (s *Shard) inspectTables(ctx context.Context, paths []string) ([]tableFile, error) {
	var tables []tableFile
	for _, p := range paths {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if _, err := os.Stat(p); err != nil {
			return nil, fsError("stat "+p, err)
		}
		name, free := cString(p)
		var st C.ple_status
		var blob C.ple_blob
		C.ple_table_bounds(s.e.nativeDB(), s.nativeFamily(), name, &blob, &st)
		free()
		if err := foreignError("read table "+p, &st); err != nil {
			return nil, err
		}
		list, err := unpackFiles(takeBlob(blob))
		if err != nil {
			return nil, err
		}
		if list[0].entries == 0 {
			return nil, fmt.Errorf("%w: %s", ErrEmptyTable, p)
		}
		tables = append(tables, list[0])
	}
	slices.SortFunc(tables, func(a, b tableFile) int { return bytes.Compare(a.smallest, b.smallest) })
	for i := 1; i < len(tables); i++ {
		if a, b := tables[i-1], tables[i]; bytes.Compare(a.largest, b.smallest) >= 0 {
			return nil, fmt.Errorf("%w: %s ends at %s, %s begins at %s", ErrOverlap,
				a.dir, base.Quote(a.largest), b.dir, base.Quote(b.smallest))
		}
	}
	return tables, nil
}

// checkBlocks reads every block of a table, at its link or copy.
func (s *Shard) checkBlocks(path, link string) error {
	name, free := cString(link)
	defer free()
	var st C.ple_status
	C.ple_table_verify(s.e.nativeDB(), s.nativeFamily(), name, &st)
	return foreignError("check table "+path, &st)
}

// refuseOverlaps returns ErrOverlap when the shard has a row in the range of any of the tables.
func (s *Shard) refuseOverlaps(tables []tableFile) error {
	for _, t := range tables {
		if err := s.refuseOverlap(t); err != nil {
			return err
		}
	}
	return nil
}

// refuseOverlap returns ErrOverlap when the shard has a row between the table's first and last key.
func (s *Shard) refuseOverlap(t tableFile) error {
	it, err := s.NewIterator(&IterOptions{KeysOnly: true, BufferRows: 1})
	if err != nil {
		return err
	}
	if it.SeekGE(t.smallest) && bytes.Compare(it.Key(), t.largest) <= 0 {
		err = fmt.Errorf("%w: %s covers %s of %s", ErrOverlap, t.dir, base.Quote(it.Key()), s.describe())
	}
	return errors.Join(err, it.Close())
}
