package engine

// #include "native_env.h"
// #include "native_log.h"
import "C"

import (
	"path/filepath"
	"unsafe"

	"github.com/linxGnu/grocksdb"
)

// logFileName is where RocksDB's warnings go, under the name that its users know.
const logFileName = "LOG"

// storeEnv is the file system that RocksDB gets for the store's directory (see native_env.cc).
type storeEnv struct{ c *C.ple_env }

// setEnv gives RocksDB a file system that syncs what it forgets to sync in dir, and reports a log that
// can't be made to events. It is freed after the options and the database are gone, before events.
func setEnv(opts *grocksdb.Options, dir string, events unsafe.Pointer) storeEnv {
	path, freePath := cString(dir)
	defer freePath()
	env := storeEnv{C.ple_env_new(path, (*C.ple_events)(events))}
	C.ple_options_set_env(rawOptions(opts), env.c)
	return env
}

// opened says that the database is open: what fails in the opening itself fails it.
func (v storeEnv) opened() { C.ple_env_opened(v.c) }

func (v storeEnv) free() { C.ple_env_free(v.c) }

// setLog gives RocksDB a log in dir that survives a full disk (see native_log.cc).
func setLog(opts *grocksdb.Options, dir string) {
	path, freePath := cString(filepath.Join(dir, logFileName))
	defer freePath()
	C.ple_options_log_to(rawOptions(opts), path)
}
