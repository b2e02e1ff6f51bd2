package engine

// #include "native_files.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// checkpointFlushBytes: with more write-ahead log than this a checkpoint flushes first; with less it
// copies the log, which is quicker than flushing hundreds of families.
const checkpointFlushBytes = 64 << 20

// Checkpoint makes a complete, openable copy of the store at one instant in dir, which must not
// exist: table files as hard links (copies when dir is on another file system), the rest copied and
// synced. It holds everything that was committed before the call. Writes go on meanwhile; creating
// and dropping shards wait. An error leaves no dir behind. ctx counts until the copying begins.
func (e *Engine) Checkpoint(ctx context.Context, dir string) (err error) {
	if !e.life.enter() {
		return e.closedErr()
	}
	defer e.life.leave()
	dir, err = filepath.Abs(dir)
	if err != nil {
		return fsError("resolve "+dir, err)
	}
	if _, err := os.Lstat(dir); err == nil {
		return fmt.Errorf("%w: %s", ErrDirExists, dir)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fsError("stat "+dir, err)
	}
	// It grows under another name: what stands at dir is complete.
	parent := filepath.Dir(dir)
	tmp, err := os.MkdirTemp(parent, ".pleiades-checkpoint-")
	if err != nil {
		return fsError("create a directory in "+parent, err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	made := filepath.Join(tmp, "store")
	if err := e.checkpointRocksDB(ctx, made); err != nil {
		return err
	}
	if err := os.Rename(made, dir); err != nil {
		return fsError("rename to "+dir, err)
	}
	return syncDir(parent)
}

// checkpointRocksDB makes the copy in dir and the files that turn it into a store.
func (e *Engine) checkpointRocksDB(ctx context.Context, dir string) error {
	e.ddl.Lock()
	defer e.ddl.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	path, free := cString(dir)
	defer free()
	var st C.ple_status
	var seq C.uint64_t
	C.ple_checkpoint(e.nativeDB(), path, checkpointFlushBytes, &seq, &st)
	if err := foreignError("checkpoint to "+dir, &st); err != nil {
		return err
	}
	if err := writeSyncMark(dir, uint64(seq)); err != nil {
		return err
	}
	return writeFileSynced(dir, formatFileName, appendFormatFile(nil))
}
