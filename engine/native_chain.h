#ifndef PLEIADES_ENGINE_NATIVE_CHAIN_H
#define PLEIADES_ENGINE_NATIVE_CHAIN_H

#include "native.h"

#ifdef __cplusplus
#include <string>

// ple_chain_link appends the record that ties a write to the one before it (chain.go describes it).
void ple_chain_link(uint64_t prev, std::string* rep);

extern "C" {
#endif

// ple_chain follows the writes that a recovery finds in the logs. It must outlive the options that it is
// set on.
typedef struct ple_chain ple_chain;

// ple_chain_result is what the last recovery found.
typedef struct {
  int seen;       // any write at all
  int broken;     // a write did not follow the one before, so that it and all behind it were left out
  uint64_t last;  // the last record's sequence number, of the writes before a break
  uint64_t next;  // broken: which write the one behind the break follows, by its last sequence number
} ple_chain_result;

ple_chain* ple_chain_new(void);
void ple_chain_free(ple_chain* chain);
void ple_options_set_chain(void* options, ple_chain* chain);
void ple_chain_read(ple_chain* chain, ple_chain_result* out);

#ifdef __cplusplus
}
#endif
#endif
