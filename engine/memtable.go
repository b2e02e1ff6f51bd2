package engine

// #include "native_memtable.h"
import "C"

import "github.com/linxGnu/grocksdb"

// setMemtable makes memtables keep their rows in our own tree (see native_tree.h). It takes one writer at a
// time, which is what the committer is.
func setMemtable(opts *grocksdb.Options) { C.ple_options_set_memtable(rawOptions(opts)) }
