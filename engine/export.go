package engine

// #cgo noescape ple_export
// #cgo noescape ple_import
// #include "native_files.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"unsafe"

	"github.com/linxGnu/grocksdb"
)

// ExportOptions configures Shard.Export. Nil means the zero value.
type ExportOptions struct {
	// Checksums reads every file once and notes its CRC-32C, for exports that leave the machine. Without
	// it an export takes milliseconds, as it only makes hard links.
	Checksums bool
}

// Export flushes the shard and puts its complete state into dir, which must not exist: the table files
// as hard links (copies when dir is on another file system), then a manifest that marks it as
// complete. It holds what was committed before the call, and possibly some that was committed during
// it, without a gap in between. The export stays valid whatever becomes of the shard, and costs disk
// as the shard's own files go. Errors leave no dir behind.
//
// Range tombstones cannot be carried in an export (RocksDB 7.8 drops them at import, which would
// bring deleted rows back): tables that hold some are compacted first, and where a snapshot forbids
// that, the rows are written anew.
func (s *Shard) Export(ctx context.Context, dir string, opts *ExportOptions) (_ *Export, err error) {
	if s.id == 0 {
		return nil, fmt.Errorf("%w: node-local storage is this node's alone and cannot be exported", ErrInvalid)
	}
	if err := s.enter(); err != nil {
		return nil, err
	}
	defer s.leave()
	x, err := s.e.exportFamily(ctx, s, dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	if opts != nil && opts.Checksums {
		for i := range x.Files {
			f := &x.Files[i]
			if f.CRC32C, err = fileChecksum(ctx, filepath.Join(dir, f.Name)); err != nil {
				return nil, err
			}
		}
		x.Checksums = true
	}
	if err := writeFileSynced(dir, exportFileName, AppendExport(nil, x)); err != nil {
		return nil, err
	}
	return x, syncDir(filepath.Dir(dir))
}

// ReadExport reads the manifest of an export and checks that every file is there with its size and,
// when the export has checksums, its contents. Errors: ErrInvalid (no export), ErrNewerFormat,
// ErrCorruption naming the file, or ctx's error.
func ReadExport(ctx context.Context, dir string) (*Export, error) {
	b, err := os.ReadFile(filepath.Join(dir, exportFileName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s: %w", ErrInvalid, dir, errNoManifest)
	}
	if err != nil {
		return nil, fsError("read the manifest of "+dir, err)
	}
	x, err := ParseExport(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	x.Dir = dir
	for _, f := range x.Files {
		path := filepath.Join(dir, f.Name)
		st, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("%w: %s is missing", ErrCorruption, path)
		case err != nil:
			return nil, fsError("stat "+path, err)
		case !st.Mode().IsRegular() || st.Size() != f.Bytes:
			return nil, fmt.Errorf("%w: %s has %d bytes, the manifest says %d", ErrCorruption, path, st.Size(), f.Bytes)
		}
		if !x.Checksums {
			continue
		}
		sum, err := fileChecksum(ctx, path)
		if err != nil {
			return nil, err
		}
		if sum != f.CRC32C {
			return nil, fmt.Errorf("%w: %s has checksum %08x, the manifest says %08x", ErrCorruption, path, sum, f.CRC32C)
		}
	}
	return x, nil
}

// fileChecksum reads a file and returns the CRC-32C of its bytes.
func fileChecksum(ctx context.Context, path string) (uint32, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, fsError("open "+path, err)
	}
	defer f.Close()
	sum := uint32(0)
	buf := make([]byte, 1<<20)
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n, err := f.Read(buf)
		sum = crc32.Update(sum, castagnoli, buf[:n])
		if errors.Is(err, io.EOF) {
			return sum, nil
		}
		if err != nil {
			return 0, fsError("read "+path, err)
		}
	}
}

// exportFamily makes the export of s in dir, without its manifest. The caller is inside the shard.
func (e *Engine) exportFamily(ctx context.Context, s *Shard, dir string) (*Export, error) {
	if _, err := os.Lstat(dir); err == nil {
		return nil, fmt.Errorf("%w: %s", ErrDirExists, dir)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fsError("stat "+dir, err)
	}
	const attempts = 3 // a writer may delete a range between compaction and export
	for range attempts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		x, err := e.exportLinks(s, dir)
		if err != nil {
			return nil, err
		}
		ranged, err := e.withRangeTombstones(s, x)
		if err == nil && len(ranged) == 0 {
			return x, nil
		}
		if rerr := os.RemoveAll(dir); err == nil && rerr != nil {
			err = fsError("remove "+dir, rerr)
		}
		if err != nil {
			return nil, err
		}
		if !e.compactable(ranged) {
			break
		}
		for _, f := range ranged {
			// RocksDB's end of a compaction is inclusive.
			if err := s.compact(ctx, f.Smallest, f.Largest); err != nil {
				return nil, err
			}
		}
	}
	return e.exportRows(ctx, s, dir)
}

// exportLinks flushes s and links its table files into dir.
func (e *Engine) exportLinks(s *Shard, dir string) (*Export, error) {
	if err := s.flush(); err != nil {
		return nil, err
	}
	// RocksDB refuses to export a family without files.
	if empty, err := e.exportEmpty(s, dir); empty != nil || err != nil {
		return empty, err
	}
	path, free := cString(dir)
	defer free()
	var st C.ple_status
	var blob C.ple_blob
	C.ple_export(e.nativeDB(), s.nativeFamily(), path, &blob, &st)
	if err := foreignError(fmt.Sprintf("export %s to %s", s.describe(), dir), &st); err != nil {
		// A compaction may have taken the last file away meanwhile.
		if empty, eerr := e.exportEmpty(s, dir); empty != nil || eerr != nil {
			return empty, eerr
		}
		return nil, err
	}
	files, err := unpackFiles(takeBlob(blob))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s.newExport(dir, files), nil
}

// exportEmpty makes the export of a shard without table files, and returns nil for any other shard.
func (e *Engine) exportEmpty(s *Shard, dir string) (*Export, error) {
	files, err := e.liveFiles(s)
	if err != nil || len(files) > 0 {
		return nil, err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fsError("create "+dir, err)
	}
	return s.newExport(dir, nil), nil
}

func (s *Shard) newExport(dir string, files []tableFile) *Export {
	x := &Export{Dir: dir, Shard: s.id, Incarnation: s.inc}
	for _, f := range files {
		x.Files = append(x.Files, ExportFile{
			Name: f.name, Bytes: int64(f.bytes), Level: f.level, SmallestSeq: f.smallestSeq,
			LargestSeq: f.largestSeq, Entries: f.entries, Smallest: f.smallest, Largest: f.largest,
		})
	}
	return x
}

// withRangeTombstones returns the exported files that hold range tombstones. It also completes the
// numbers of entries, which RocksDB leaves out of its list.
func (e *Engine) withRangeTombstones(s *Shard, x *Export) ([]ExportFile, error) {
	var found []ExportFile
	for i := range x.Files {
		f := &x.Files[i]
		path, free := cString(filepath.Join(x.Dir, f.Name))
		var st C.ple_status
		var info C.ple_table_info
		C.ple_table_read(e.nativeDB(), s.nativeFamily(), path, &info, &st)
		free()
		if err := foreignError("read an exported table of "+s.describe(), &st); err != nil {
			return nil, err
		}
		f.Entries = uint64(info.entries)
		if info.range_deletions > 0 {
			found = append(found, *f)
		}
	}
	return found, nil
}

// compactable reports whether compacting can remove the range tombstones of files: not while a
// snapshot is older than one of them.
func (e *Engine) compactable(files []ExportFile) bool {
	oldest := e.property(nil, "rocksdb.oldest-snapshot-sequence")
	if oldest == 0 {
		return true
	}
	for _, f := range files {
		if f.LargestSeq > oldest {
			return false
		}
	}
	return true
}

// exportTableBytes is the size of the tables that exportRows writes, before compression.
const exportTableBytes = 64 << 20

// exportRows writes the present rows of s into new tables in dir.
func (e *Engine) exportRows(ctx context.Context, s *Shard, dir string) (_ *Export, err error) {
	snap, err := e.NewSnapshot()
	if err != nil {
		return nil, err
	}
	defer snap.Close()
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fsError("create "+dir, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	cancel, done := cancelOn(ctx)
	defer done()
	path, free := cString(dir)
	defer free()
	var st C.ple_status
	var blob C.ple_blob
	C.ple_rewrite(e.nativeDB(), s.nativeFamily(), snap.c, path, exportTableBytes, cancel, &blob, &st)
	op := fmt.Sprintf("export rows of %s to %s", s.describe(), dir)
	switch st.code {
	case statusCorruption: // of the store, which was read
		return nil, e.statusError(op, &st)
	case statusIncomplete:
		return nil, e.cancelError(ctx, op, &st)
	}
	if err := foreignError(op, &st); err != nil {
		return nil, err
	}
	files, err := unpackFiles(takeBlob(blob))
	if err != nil {
		return nil, err
	}
	return s.newExport(dir, files), nil
}

// importFamily makes a new family from an export, with the options of all others. keep leaves the
// export as it is (the files are linked or copied first); otherwise they are moved out of it. The
// caller holds e.ddl; the handle becomes the caller's.
func (e *Engine) importFamily(name string, x *Export, keep bool) (_ *grocksdb.ColumnFamilyHandle, err error) {
	if len(x.Files) == 0 { // RocksDB refuses to import nothing
		h, err := e.db.CreateColumnFamily(e.cfOpts, name)
		if err != nil {
			return nil, classifyText("create family "+name, err)
		}
		return h, nil
	}
	dir := x.Dir
	if keep {
		if dir, err = e.linkForMove(x, name); err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
	}
	files := make([]tableFile, 0, len(x.Files))
	for _, f := range x.Files {
		files = append(files, tableFile{
			level: f.Level, bytes: uint64(f.Bytes), smallestSeq: f.SmallestSeq, largestSeq: f.LargestSeq,
			entries: f.Entries, family: name, name: f.Name, dir: dir, smallest: f.Smallest, largest: f.Largest,
		})
	}
	blob := packFiles(files)
	nameBytes := []byte(name)
	var st C.ple_status
	var h *C.ple_family
	C.ple_import(e.nativeDB(), rawOptions(e.cfOpts), bytePtr(nameBytes), C.size_t(len(name)), bytePtr(blob), C.size_t(len(blob)), &h, &st)
	if err := foreignError(fmt.Sprintf("import %s as family %s", x.Dir, name), &st); err != nil {
		return nil, err
	}
	// The handle was made like the C API's own, so that grocksdb can use and destroy it.
	handle := new(grocksdb.ColumnFamilyHandle)
	*(*unsafe.Pointer)(unsafe.Pointer(handle)) = unsafe.Pointer(h)
	return handle, nil
}

// linkForMove links (or copies) the files of x into a directory of the engine's own, from where
// RocksDB may move them.
func (e *Engine) linkForMove(x *Export, name string) (dir string, err error) {
	staging := filepath.Join(e.dir, stagingDirName)
	if err := os.MkdirAll(staging, 0o755); err != nil {
		return "", fsError("create "+staging, err)
	}
	if dir, err = os.MkdirTemp(staging, "import-"+name+"-"); err != nil {
		return "", fsError("create a directory in "+staging, err)
	}
	for _, f := range x.Files {
		if err := linkOrCopy(filepath.Join(x.Dir, f.Name), filepath.Join(dir, f.Name)); err != nil {
			return "", errors.Join(err, os.RemoveAll(dir))
		}
	}
	return dir, nil
}

// linkOrCopy makes dst a hard link to src, or a copy where links are impossible. The bytes are synced
// either way: RocksDB only links what it imports, and src may have been written a moment ago.
func linkOrCopy(src, dst string) error {
	in, err := os.Open(src)
	if err != nil {
		return fsError("open "+src, err)
	}
	defer in.Close()
	if os.Link(src, dst) == nil {
		if err := in.Sync(); err != nil {
			return fsError("sync "+src, err)
		}
		return nil
	}
	out, err := os.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fsError("create "+dst, err)
	}
	_, err = io.Copy(out, in)
	if err == nil {
		err = out.Sync()
	}
	if cerr := out.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fsError("copy "+src+" to "+dst, err)
	}
	return nil
}
