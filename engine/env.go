package engine

// #include "native_env.h"
import "C"

import "github.com/linxGnu/grocksdb"

// setEnv gives RocksDB an operating system that makes links into dir durable at once (see
// native_env.cc). The result frees it, after the options and the database are gone.
func setEnv(opts *grocksdb.Options, dir string) (free func()) {
	path, freePath := cString(dir)
	defer freePath()
	env := C.ple_env_new(path)
	C.ple_options_set_env(rawOptions(opts), env)
	return func() { C.ple_env_free(env) }
}
