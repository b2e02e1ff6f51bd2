#ifndef PLEIADES_ENGINE_NATIVE_ENV_H
#define PLEIADES_ENGINE_NATIVE_ENV_H

#include "native.h"

#ifdef __cplusplus
extern "C" {
#endif

// ple_env is the operating system as RocksDB sees it for the store in one directory. It must outlive
// the options that it is set on and the database.
typedef struct ple_env ple_env;

// ple_env_new makes one for the store in dir (absolute, without a slash at its end). events must outlive
// it.
ple_env* ple_env_new(const char* dir, ple_events* events);
// ple_env_opened says that the database is open: from now on what fails in a log is reported to events, as
// a failure in the background, and RocksDB's writes fail as "busy".
void ple_env_opened(ple_env* env);
void ple_env_free(ple_env* env);
void ple_options_set_env(void* options, ple_env* env);

#ifdef __cplusplus
}
#endif
#endif
