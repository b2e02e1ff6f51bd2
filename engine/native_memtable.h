#ifndef PLEIADES_ENGINE_NATIVE_MEMTABLE_H
#define PLEIADES_ENGINE_NATIVE_MEMTABLE_H

#ifdef __cplusplus
extern "C" {
#endif

// ple_options_set_memtable sets on a rocksdb_options_t that memtables keep their rows in the tree of
// native_tree.h, and that RocksDB lets one thread at a time write into them.
void ple_options_set_memtable(void* options);

#ifdef __cplusplus
}
#endif
#endif
