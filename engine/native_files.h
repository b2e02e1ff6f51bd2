#ifndef PLEIADES_ENGINE_NATIVE_FILES_H
#define PLEIADES_ENGINE_NATIVE_FILES_H

#include "native_read.h"

#ifdef __cplusplus
extern "C" {
#endif

// Files: flush, compaction, export and import, checkpoints, tables written outside and their
// verification. None of it is hot. out is always set; see native.h for who frees its message.

// ple_blob is bytes that C allocated; the Go side frees data (takeBlob).
typedef struct {
  char* data;
  size_t len;
} ple_blob;

// Lists of files cross the border as one blob in each direction: a u64 count, then per file
//
//   u64 level, u64 size, u64 smallest seq, u64 largest seq, u64 entries, u64 deletions,
//   family, name, directory, smallest key, largest key (each u64 length and the bytes)
//
// little-endian. Not a format: it never reaches a disk.

void ple_flush(ple_db* db, ple_family* family, ple_status* out);

// ple_cancel is a flag that one goroutine sets to stop a compaction that another one runs.
typedef struct ple_cancel ple_cancel;
ple_cancel* ple_cancel_new(void);
void ple_cancel_set(ple_cancel* flag);
void ple_cancel_free(ple_cancel* flag);

// ple_compact compacts [lo, hi) down to the last level that holds data, also what is there already,
// so that deleted rows and range tombstones go. has_lo and has_hi are 0 for an open end.
void ple_compact(ple_db* db, ple_family* family, const char* lo, size_t lo_len, int has_lo,
                 const char* hi, size_t hi_len, int has_hi, ple_cancel* cancel, ple_status* out);

// ple_size estimates the bytes of [lo, hi): tables as stored, and memtables.
void ple_size(ple_db* db, ple_family* family, const char* lo, size_t lo_len, const char* hi,
              size_t hi_len, uint64_t* bytes, ple_status* out);

// ple_live_files lists the tables of one family, or of all with family NULL.
ple_blob ple_live_files(ple_db* db, ple_family* family);

// ple_export links the family's tables into dir, which must not exist, and lists them. It flushes.
void ple_export(ple_db* db, ple_family* family, const char* dir, ple_blob* files, ple_status* out);

// ple_import makes a family of the options' kind from the files listed in blob, which are moved out
// of their directory. The C API's handle is stored in *family on success.
void ple_import(ple_db* db, void* options, const char* name, size_t name_len, const char* blob,
                size_t blob_len, ple_family** family, ple_status* out);

typedef struct {
  uint64_t entries;
  uint64_t deletions;        // range deletions included
  uint64_t range_deletions;
  uint64_t data_bytes;
} ple_table_info;

// ple_table_read opens a table file with the family's options and reads its properties.
void ple_table_read(ple_db* db, ple_family* family, const char* path, ple_table_info* info,
                    ple_status* out);

// ple_table_verify checks every block of a table file against its checksum.
void ple_table_verify(ple_db* db, ple_family* family, const char* path, ple_status* out);

// ple_table_bounds lists one table file with its first and last key and its number of entries.
void ple_table_bounds(ple_db* db, ple_family* family, const char* path, ple_blob* file,
                      ple_status* out);

// ple_checkpoint makes an openable copy of the database in dir, which must not exist; tables are
// linked. It flushes when the log holds more than flush_bytes. Everything up to *seq is in the copy.
void ple_checkpoint(ple_db* db, const char* dir, uint64_t flush_bytes, uint64_t* seq,
                    ple_status* out);

// A table writer; freed by ple_writer_free, also after a failure.
typedef struct ple_writer ple_writer;
ple_writer* ple_writer_new(ple_db* db, const char* path, ple_status* out);
// ple_writer_add adds rows in ascending order of keys. rows holds them one behind the other as
//
//   key length u32 | value length u32, or 0xFFFFFFFF for a deletion | key | value
//
// in the machine's byte order.
void ple_writer_add(ple_writer* w, const char* rows, size_t len, ple_status* out);
void ple_writer_finish(ple_writer* w, uint64_t* bytes, ple_status* out);
void ple_writer_free(ple_writer* w);

// ple_ingest adds the tables at paths (NUL-terminated, one behind the other, n of them) to a family
// and moves them out of their directory. Their blocks must have been checked (ple_table_verify).
void ple_ingest(ple_db* db, ple_family* family, const char* paths, size_t n, ple_status* out);

// ple_rewrite writes all rows of a family at a snapshot into tables of about target_bytes in dir,
// named 000001.sst and so on, without deleted rows and range tombstones, and lists them like
// ple_export. It stops with Incomplete when cancel is set.
void ple_rewrite(ple_db* db, ple_family* family, const ple_snapshot* snap, const char* dir,
                 uint64_t target_bytes, ple_cancel* cancel, ple_blob* files, ple_status* out);

// ple_property reads a numeric property of a family, or of the database with family NULL; 0 when
// there is none of that name.
int ple_property(ple_db* db, ple_family* family, const char* name, uint64_t* value);
// ple_property_sum adds a numeric property up over all families.
int ple_property_sum(ple_db* db, const char* name, uint64_t* value);
// ple_wal_bytes is the size of all live write-ahead logs.
void ple_wal_bytes(ple_db* db, uint64_t* bytes, ple_status* out);

#ifdef __cplusplus
}
#endif
#endif
