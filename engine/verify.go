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

// VerifyChecksums reads every block of every live table file of all shards and checks its checksum.
// progress, when not nil, is called after each file with the bytes checked so far and the bytes of all
// files. It reads past the block cache, as fast as the disk allows, and stops between two files when
// ctx ends.
//
// All damaged files are reported together: the error matches ErrCorruption and names each file, its
// shard and what is wrong. Like any damage that is found it also stops the engine's writes. Files that
// compactions replace meanwhile are passed over: what is in them is read, and so checked, by those.
func (e *Engine) VerifyChecksums(ctx context.Context, progress func(done, total int64)) error {
	if !e.life.enter() {
		return e.closedErr()
	}
	defer e.life.leave()
	files, err := e.liveFiles(nil)
	if err != nil {
		return err
	}
	var done, total int64
	for _, f := range files {
		total += int64(f.bytes)
	}
	var damaged []error
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(damaged, err)...)
		}
		if err := e.verifyTable(f); err != nil {
			damaged = append(damaged, err)
		}
		done += int64(f.bytes)
		if progress != nil {
			progress(done, total)
		}
	}
	return errors.Join(damaged...)
}

// verifyTable checks one table file of the store.
func (e *Engine) verifyTable(f tableFile) error {
	path := filepath.Join(f.dir, f.name)
	name, free := cString(path)
	defer free()
	var st C.ple_status
	C.ple_table_verify(e.nativeDB(), e.local.nativeFamily(), name, &st)
	if st.code == 0 {
		return nil
	}
	what := "node-local storage"
	if f.family != "default" {
		what = "family " + f.family
		if id, _ := parseFamilyName(f.family); id != 0 {
			what = fmt.Sprintf("shard %d (family %q)", id, f.family)
		}
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		_ = foreignError("", &st) // frees the message
		files, err := e.liveFiles(nil)
		if err != nil {
			return err
		}
		for _, live := range files {
			if live.name == f.name {
				err := fmt.Errorf("%w: table %s of %s is missing", ErrCorruption, path, what)
				e.fail(err)
				return err
			}
		}
		return nil // replaced by a compaction
	}
	return e.statusError(fmt.Sprintf("verify table %s of %s", path, what), &st)
}
