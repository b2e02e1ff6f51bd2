package engine

// #include "native_env.h"
// #include "native_log.h"
import "C"

import (
	"path/filepath"

	"github.com/linxGnu/grocksdb"
)

// logFileName is where RocksDB's warnings go, under the name that its users know.
const logFileName = "LOG"

// setEnv gives RocksDB a file system that syncs what it forgets to sync in dir (see native_env.cc).
// The result frees it, after the options and the database are gone.
func setEnv(opts *grocksdb.Options, dir string) (free func()) {
	path, freePath := cString(dir)
	defer freePath()
	env := C.ple_env_new(path)
	C.ple_options_set_env(rawOptions(opts), env)
	return func() { C.ple_env_free(env) }
}

// setLog gives RocksDB a log in dir that survives a full disk (see native_log.cc).
func setLog(opts *grocksdb.Options, dir string) {
	path, freePath := cString(filepath.Join(dir, logFileName))
	defer freePath()
	C.ple_options_log_to(rawOptions(opts), path)
}
