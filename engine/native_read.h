#ifndef PLEIADES_ENGINE_NATIVE_READ_H
#define PLEIADES_ENGINE_NATIVE_READ_H

#include "native.h"

#ifdef __cplusplus
extern "C" {
#endif

// Reads. Keys, targets and buffers are the caller's memory, Go's included; nothing here keeps a
// pointer to them after the call. Small results are returned by value so that a read allocates
// nothing and needs no pointer to a pointer.
//
// A `fail` member is NULL when the call went well. Otherwise the Go side frees fail->message and
// then fail itself (takeFailure).

PLE_HANDLE(ple_family);    // the C API's rocksdb_column_family_handle_t
PLE_HANDLE(ple_snapshot);  // rocksdb::Snapshot
PLE_HANDLE(ple_pin);       // one value kept in RocksDB's memory
PLE_HANDLE(ple_values);    // the values of one multi-get
PLE_HANDLE(ple_iter);

// What ple_get found. Part of the border between the languages only, not of any format.
enum {
  PLE_MISSING = 0,
  PLE_COPIED = 1,  // the value is in the caller's buffer
  PLE_PINNED = 2,  // it did not fit: it is at data until ple_pin_free(pin)
  PLE_FAILED = 3,
};

typedef struct {
  int32_t what;
  size_t len;
  const char* data;
  ple_pin* pin;
  ple_status* fail;
} ple_got;

// ple_get looks one key up. snap may be NULL for now. A value of at most cap bytes is copied into
// buf; a longer one is handed over pinned and must be freed with ple_pin_free.
ple_got ple_get(ple_db* db, ple_family* family, const ple_snapshot* snap, const char* key,
                size_t key_len, char* buf, size_t cap);

// ple_has is ple_get without the value: what is PLE_MISSING, PLE_COPIED or PLE_FAILED.
ple_got ple_has(ple_db* db, ple_family* family, const ple_snapshot* snap, const char* key,
                size_t key_len);

void ple_pin_free(ple_pin* pin);

typedef struct {
  size_t total;       // bytes of all values that were found
  ple_values* rest;   // not NULL when they did not fit: take them with ple_values_take
  size_t failed_key;  // which key fail is about
  ple_status* fail;
} ple_many;

// ple_multiget looks n keys up. Key i is keys[ends[i-1]:ends[i]] (from 0 for the first). lens[i]
// receives the value's length, or -1 when there is none. The values that were found lie one behind
// the other in buf when they fit into cap bytes.
ple_many ple_multiget(ple_db* db, ple_family* family, const ple_snapshot* snap, const char* keys,
                      const uint64_t* ends, size_t n, int64_t* lens, char* buf, size_t cap);

// ple_values_take copies all values into buf, which has room for total bytes, and frees rest. A NULL
// buf only frees.
void ple_values_take(ple_values* rest, char* buf);

// ple_snapshot_new pins the state of all families; *seq is its sequence number. Released by
// ple_snapshot_free, after the iterators that use it.
const ple_snapshot* ple_snapshot_new(ple_db* db, uint64_t* seq);
void ple_snapshot_free(ple_db* db, const ple_snapshot* snap);

typedef struct {
  int32_t keys_only;
  int32_t long_scan;     // keep the block cache as it is and read ahead
} ple_iter_options;

// ple_iter_new makes an iterator over [lower, upper); an empty bound is open. The bounds and the
// suffix are copied. Freed by ple_iter_free.
ple_iter* ple_iter_new(ple_db* db, ple_family* family, const ple_snapshot* snap, const char* lower,
                       size_t lower_len, const char* upper, size_t upper_len, const char* suffix,
                       size_t suffix_len, ple_iter_options options);
void ple_iter_free(ple_iter* it);

// How ple_iter_fill moves before it fills; the direction stays until the next move.
enum {
  PLE_GO_ON = 0,    // behind the row that was filled last
  PLE_FIRST = 1,
  PLE_LAST = 2,
  PLE_SEEK_GE = 3,  // forward from the first row >= target
  PLE_SEEK_GT = 4,  // forward from the first row > target
  PLE_SEEK_LT = 5,  // backward from the last row < target
};

typedef struct {
  uint32_t rows;      // rows filled
  int32_t more;       // 1: there may be more rows: go on; 0: the end, or fail
  size_t used;        // bytes filled
  size_t last;        // offset of the last row
  size_t need;        // rows is 0 and the next row needs a buffer of this size
  ple_status* fail;
} ple_filled;

// ple_iter_fill fills buf with up to max_rows rows in the order of the direction. A row is
//
//   key length u32 | value length u32 | offset of the row before it in buf u32 | key | value
//
// in the machine's byte order; the value is left out (but not its length) with keys_only. One call
// passes at most a few thousand rows that the suffix leaves out, so that it stays short: rows may be
// 0 with more 1 and need 0. target may lie in buf.
ple_filled ple_iter_fill(ple_iter* it, int32_t move, const char* target, size_t target_len,
                         char* buf, size_t cap, uint32_t max_rows);

// ple_iter_seeks counts the seeks that skipped rows left out by the suffix.
uint64_t ple_iter_seeks(const ple_iter* it);

#ifdef __cplusplus
}
#endif
#endif
