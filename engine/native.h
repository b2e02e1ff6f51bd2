#ifndef PLEIADES_ENGINE_NATIVE_H
#define PLEIADES_ENGINE_NATIVE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef __cplusplus
#define PLE_HANDLE(name) typedef struct name name
#else
// cgo looks for Go pointers behind every argument of a type that it does not know to the end, on each call.
#define PLE_HANDLE(name) typedef struct name { char opaque; } name
#endif
PLE_HANDLE(ple_db);        // the C API's rocksdb_t

// ple_status carries a rocksdb::Status across the border. message is malloc'ed and freed by the Go
// side (statusError); it is NULL when code is 0 (ok).
typedef struct {
  int32_t code;
  int32_t subcode;
  int32_t severity;
  char* message;
} ple_status;

// ple_events is what the engine's event listener has seen. It is allocated by ple_events_new, lives
// longer than the database, and is freed by ple_events_free.
typedef struct ple_events ple_events;

// ple_event_counts is a copy of the listener's counters at one moment.
typedef struct {
  uint64_t background_errors;
  uint64_t stall_changes;
  int32_t stall_now;  // 0 normal, 1 delayed, 2 stopped
  uint64_t flushes;
  uint64_t compactions;
} ple_event_counts;

ple_events* ple_events_new(void);
void ple_events_free(ple_events* events);
void ple_events_read(ple_events* events, ple_event_counts* out);
// ple_events_error_count points at the number of background errors, for an atomic load without a call.
uint64_t* ple_events_error_count(ple_events* events);
// ple_events_error returns the first background error as a malloc'ed text (freed by the caller), or
// NULL while there was none.
char* ple_events_error(ple_events* events);

// ple_options_prepare sets on a rocksdb_options_t what the C API lacks: the event listener, which
// the options share with events.
void ple_options_prepare(void* options, ple_events* events);

// ple_options_keep_logs makes a recovery keep the logs and hold what they contain in memory, instead of
// writing it into tables.
void ple_options_keep_logs(void* options);

// ple_written is what a write came to: the sequence number of its last record, or a failure whose message the
// Go side frees, and then itself.
typedef struct {
  uint64_t last_seq;
  ple_status* fail;  // NULL when it went well
} ple_written;

// ple_write writes one finished write batch, tied to the write before it, whose last sequence number is
// prev (native_chain.h). rep stays the caller's.
ple_written ple_write(ple_db* db, const char* rep, size_t rep_len, uint64_t prev, int sync);

// ple_sync_wal makes everything written so far durable.
void ple_sync_wal(void* db, ple_status* out);

// ple_library_version is the linked library's version as major*10000+minor*100+patch.
uint32_t ple_library_version(void);
// ple_library_asserts says whether the linked library was built with assertions (1) or without (0).
int ple_library_asserts(void);

#ifdef __cplusplus
}
#endif
#endif
