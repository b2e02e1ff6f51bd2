#pragma once

#include <stdint.h>
#include <stddef.h>

// RocksDB in C++ under bench's loops: what a program without Go between gets out of the same library
// with the same options.

#ifdef __cplusplus
extern "C" {
#endif

typedef struct cpp_store cpp_store;

// What bench.Load asks for; times in nanoseconds.
typedef struct {
  int32_t kind;  // CPP_...
  int32_t workers;
  int64_t ops;  // of each worker; 0: until the time is over
  int64_t warmup, duration;
  uint64_t keys, seed;
  int32_t value_bytes, batch_keys, scan_rows;
} cpp_load;

enum {
  CPP_FILL_SEQ = 1,
  CPP_PUT = 2,
  CPP_PUT_SYNC = 3,
  CPP_BATCH = 4,
  CPP_READ_HIT = 5,
  CPP_READ_MISS = 6,
  CPP_SCAN = 7,
};

typedef struct {
  int64_t ops, units, bytes, elapsed, cpu;
  int64_t mean, p50, p95, p99, p999, max;
} cpp_result;

// Each returns NULL, or what went wrong, for the caller to free().
char* cpp_open(const char* dir, const char* options_file, uint64_t cache_bytes, const char* values,
               size_t values_len, cpp_store** out);
char* cpp_write(cpp_store* s, const char* rep, size_t rep_len);
char* cpp_settle(cpp_store* s);
char* cpp_run(cpp_store* s, const cpp_load* load, cpp_result* out);
char* cpp_close(cpp_store* s);

#ifdef __cplusplus
}
#endif
