#ifndef PLEIADES_ENGINE_NATIVE_LOG_H
#define PLEIADES_ENGINE_NATIVE_LOG_H

#ifdef __cplusplus
extern "C" {
#endif

// ple_options_log_to makes RocksDB write its warnings and errors to the file at path, which it opens,
// appends to, and renames to path.old when it has grown large. A disk that refuses them loses lines.
// The options own the log.
void ple_options_log_to(void* options, const char* path);

#ifdef __cplusplus
}
#endif
#endif
