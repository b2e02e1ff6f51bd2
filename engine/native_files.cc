#include "native_files.h"

#include <rocksdb/db.h>
#include <rocksdb/metadata.h>
#include <rocksdb/options.h>
#include <rocksdb/sst_file_reader.h>
#include <rocksdb/sst_file_writer.h>
#include <rocksdb/table_properties.h>
#include <rocksdb/transaction_log.h>
#include <rocksdb/utilities/checkpoint.h>

#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "native_status.h"

using rocksdb::Slice;
using rocksdb::Status;

// See native.cc about these mirrors of the C API's structs.
struct ple_db {
  rocksdb::DB* rep;
};
struct ple_family {
  rocksdb::ColumnFamilyHandle* rep;
};
struct ple_options_mirror {
  rocksdb::Options rep;
};

struct ple_cancel {
  std::atomic<bool> flag{false};
};

struct ple_writer {
  rocksdb::Options options;  // the writer keeps a reference
  std::unique_ptr<rocksdb::SstFileWriter> writer;
};

namespace {

Slice slice_of(const char* data, size_t len) { return len == 0 ? Slice("", 0) : Slice(data, len); }

void put_u64(std::string* dst, uint64_t v) {
  for (int i = 0; i < 8; i++) dst->push_back(static_cast<char>(v >> (8 * i)));
}

void put_bytes(std::string* dst, const std::string& s) {
  put_u64(dst, s.size());
  dst->append(s);
}

void put_file(std::string* dst, int level, const rocksdb::SstFileMetaData& f,
              const std::string& family) {
  put_u64(dst, static_cast<uint64_t>(level));
  put_u64(dst, f.size);
  put_u64(dst, f.smallest_seqno);
  put_u64(dst, f.largest_seqno);
  put_u64(dst, f.num_entries);
  put_u64(dst, f.num_deletions);
  put_bytes(dst, family);
  put_bytes(dst, f.name.empty() ? f.name : f.name.substr(f.name[0] == '/' ? 1 : 0));
  put_bytes(dst, f.db_path);
  put_bytes(dst, f.smallestkey);
  put_bytes(dst, f.largestkey);
}

ple_blob blob_of(const std::string& s) {
  ple_blob b = {static_cast<char*>(malloc(s.size() + 1)), s.size()};
  memcpy(b.data, s.data(), s.size());
  return b;
}

ple_blob blob_of(const std::vector<rocksdb::LiveFileMetaData>& files) {
  std::string s;
  put_u64(&s, files.size());
  for (const auto& f : files) put_file(&s, f.level, f, f.column_family_name);
  return blob_of(s);
}

// Reader takes apart what the Go side packed; it never reads behind the end.
class Reader {
 public:
  Reader(const char* data, size_t len) : at_(data), left_(len) {}
  uint64_t u64() {
    if (left_ < 8) {
      ok_ = false;
      return 0;
    }
    uint64_t v = 0;
    for (int i = 7; i >= 0; i--) v = v << 8 | static_cast<unsigned char>(at_[i]);
    at_ += 8;
    left_ -= 8;
    return v;
  }
  std::string bytes() {
    uint64_t n = u64();
    if (n > left_) {
      ok_ = false;
      return std::string();
    }
    std::string s(at_, n);
    at_ += n;
    left_ -= n;
    return s;
  }
  bool ok() const { return ok_; }

 private:
  const char* at_;
  size_t left_;
  bool ok_ = true;
};

// Tables that are read from outside the database must not fill its cache.
rocksdb::ReadOptions uncached() {
  rocksdb::ReadOptions ro;
  ro.fill_cache = false;
  ro.readahead_size = 1 << 20;
  return ro;
}

}  // namespace

extern "C" {

void ple_flush(ple_db* db, ple_family* family, ple_status* out) {
  rocksdb::FlushOptions fo;
  fo.wait = true;
  fo.allow_write_stall = true;
  ple_set_status(db->rep->Flush(fo, family->rep), out);
}

ple_cancel* ple_cancel_new(void) { return new ple_cancel; }
void ple_cancel_set(ple_cancel* flag) { flag->flag.store(true); }
void ple_cancel_free(ple_cancel* flag) { delete flag; }

void ple_compact(ple_db* db, ple_family* family, const char* lo, size_t lo_len, int has_lo,
                 const char* hi, size_t hi_len, int has_hi, ple_cancel* cancel, ple_status* out) {
  rocksdb::CompactRangeOptions co;
  co.exclusive_manual_compaction = false;
  co.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  co.canceled = &cancel->flag;
  Slice begin = slice_of(lo, lo_len), end = slice_of(hi, hi_len);
  ple_set_status(db->rep->CompactRange(co, family->rep, has_lo ? &begin : nullptr,
                                       has_hi ? &end : nullptr),
                 out);
}

void ple_size(ple_db* db, ple_family* family, const char* lo, size_t lo_len, const char* hi,
              size_t hi_len, uint64_t* bytes, ple_status* out) {
  rocksdb::SizeApproximationOptions so;
  so.include_files = true;
  so.include_memtables = true;
  rocksdb::Range range(slice_of(lo, lo_len), slice_of(hi, hi_len));
  ple_set_status(db->rep->GetApproximateSizes(so, family->rep, &range, 1, bytes), out);
}

ple_blob ple_live_files(ple_db* db, ple_family* family) {
  if (family == nullptr) {
    std::vector<rocksdb::LiveFileMetaData> files;
    db->rep->GetLiveFilesMetaData(&files);
    return blob_of(files);
  }
  rocksdb::ColumnFamilyMetaData meta;
  db->rep->GetColumnFamilyMetaData(family->rep, &meta);
  std::string s;
  put_u64(&s, meta.file_count);
  for (const auto& level : meta.levels) {
    for (const auto& f : level.files) put_file(&s, level.level, f, meta.name);
  }
  return blob_of(s);
}

void ple_export(ple_db* db, ple_family* family, const char* dir, ple_blob* files, ple_status* out) {
  rocksdb::Checkpoint* raw = nullptr;
  Status st = rocksdb::Checkpoint::Create(db->rep, &raw);
  std::unique_ptr<rocksdb::Checkpoint> checkpoint(raw);
  rocksdb::ExportImportFilesMetaData* meta = nullptr;
  if (st.ok()) st = checkpoint->ExportColumnFamily(family->rep, dir, &meta);
  std::unique_ptr<rocksdb::ExportImportFilesMetaData> own(meta);
  if (st.ok()) *files = blob_of(own->files);
  ple_set_status(st, out);
}

void ple_import(ple_db* db, void* options, const char* name, size_t name_len, const char* blob,
                size_t blob_len, ple_family** family, ple_status* out) {
  const rocksdb::Options& opts = static_cast<ple_options_mirror*>(options)->rep;
  Reader r(blob, blob_len);
  rocksdb::ExportImportFilesMetaData meta;
  meta.db_comparator_name = opts.comparator->Name();
  for (uint64_t n = r.u64(); n > 0 && r.ok(); n--) {
    rocksdb::LiveFileMetaData f;
    f.level = static_cast<int>(r.u64());
    f.size = r.u64();
    f.smallest_seqno = r.u64();
    f.largest_seqno = r.u64();
    f.num_entries = r.u64();
    f.num_deletions = r.u64();
    f.column_family_name = r.bytes();
    f.relative_filename = r.bytes();
    f.name = "/" + f.relative_filename;
    f.directory = r.bytes();
    f.db_path = f.directory;
    f.smallestkey = r.bytes();
    f.largestkey = r.bytes();
    meta.files.push_back(std::move(f));
  }
  if (!r.ok()) {
    ple_set_status(Status::InvalidArgument("malformed list of files"), out);
    return;
  }
  rocksdb::ImportColumnFamilyOptions io;
  io.move_files = true;
  rocksdb::ColumnFamilyHandle* handle = nullptr;  // must be null, or RocksDB aborts
  Status st = db->rep->CreateColumnFamilyWithImport(rocksdb::ColumnFamilyOptions(opts),
                                                    std::string(name, name_len), io, meta, &handle);
  if (st.ok()) *family = new ple_family{handle};
  ple_set_status(st, out);
}

void ple_table_read(ple_db* db, ple_family* family, const char* path, ple_table_info* info,
                    ple_status* out) {
  rocksdb::Options opts = db->rep->GetOptions(family->rep);
  rocksdb::SstFileReader reader(opts);
  Status st = reader.Open(path);
  if (st.ok()) {
    auto props = reader.GetTableProperties();
    info->entries = props->num_entries;
    info->deletions = props->num_deletions;
    info->range_deletions = props->num_range_deletions;
    info->data_bytes = props->data_size;
  }
  ple_set_status(st, out);
}

void ple_table_verify(ple_db* db, ple_family* family, const char* path, ple_status* out) {
  rocksdb::Options opts = db->rep->GetOptions(family->rep);
  rocksdb::SstFileReader reader(opts);
  Status st = reader.Open(path);
  if (st.ok()) st = reader.VerifyChecksum(uncached());
  ple_set_status(st, out);
}

void ple_table_bounds(ple_db* db, ple_family* family, const char* path, ple_blob* file,
                      ple_status* out) {
  rocksdb::Options opts = db->rep->GetOptions(family->rep);
  rocksdb::SstFileReader reader(opts);
  rocksdb::LiveFileMetaData f;
  f.db_path = path;
  Status st = reader.Open(path);
  if (st.ok()) {
    f.num_entries = reader.GetTableProperties()->num_entries;
    f.num_deletions = reader.GetTableProperties()->num_deletions;
    std::unique_ptr<rocksdb::Iterator> it(reader.NewIterator(uncached()));
    it->SeekToFirst();
    if (it->Valid()) f.smallestkey = it->key().ToString();
    if (it->Valid()) it->SeekToLast();
    if (it->Valid()) f.largestkey = it->key().ToString();
    st = it->status();
  }
  if (st.ok()) *file = blob_of(std::vector<rocksdb::LiveFileMetaData>{f});
  ple_set_status(st, out);
}

void ple_checkpoint(ple_db* db, const char* dir, uint64_t flush_bytes, uint64_t* seq,
                    ple_status* out) {
  rocksdb::Checkpoint* raw = nullptr;
  Status st = rocksdb::Checkpoint::Create(db->rep, &raw);
  std::unique_ptr<rocksdb::Checkpoint> checkpoint(raw);
  if (st.ok()) st = checkpoint->CreateCheckpoint(dir, flush_bytes, seq);
  ple_set_status(st, out);
}

ple_writer* ple_writer_new(ple_db* db, const char* path, ple_status* out) {
  auto w = std::make_unique<ple_writer>();
  w->options = db->rep->GetOptions();
  // Without a family, so that the table fits any of them.
  w->writer = std::make_unique<rocksdb::SstFileWriter>(rocksdb::EnvOptions(), w->options);
  Status st = w->writer->Open(path);
  ple_set_status(st, out);
  return st.ok() ? w.release() : nullptr;
}

void ple_writer_add(ple_writer* w, const char* rows, size_t len, ple_status* out) {
  Status st;
  for (const char *at = rows, *end = rows + len; st.ok() && at < end;) {
    uint32_t size[2];
    memcpy(size, at, sizeof(size));
    at += sizeof(size);
    const Slice key = slice_of(at, size[0]);
    at += size[0];
    if (size[1] == UINT32_MAX) {
      st = w->writer->Delete(key);
    } else {
      st = w->writer->Put(key, slice_of(at, size[1]));
      at += size[1];
    }
  }
  ple_set_status(st, out);
}

void ple_writer_finish(ple_writer* w, uint64_t* bytes, ple_status* out) {
  rocksdb::ExternalSstFileInfo info;
  Status st = w->writer->Finish(&info);
  if (st.ok()) *bytes = info.file_size;
  ple_set_status(st, out);
}

void ple_writer_free(ple_writer* w) { delete w; }

void ple_ingest(ple_db* db, ple_family* family, const char* paths, size_t n, ple_status* out) {
  std::vector<std::string> files;
  for (const char* p = paths; files.size() < n; p += files.back().size() + 1) files.emplace_back(p);
  rocksdb::IngestExternalFileOptions io;
  io.move_files = true;
  io.failed_move_fall_back_to_copy = true;
  io.snapshot_consistency = true;
  io.allow_global_seqno = true;
  io.allow_blocking_flush = true;
  io.write_global_seqno = false;  // a linked file is never written to
  io.verify_checksums_before_ingest = false;  // ple_table_verify has, while writers went on
  ple_set_status(db->rep->IngestExternalFile(family->rep, files, io), out);
}

void ple_rewrite(ple_db* db, ple_family* family, const ple_snapshot* snap, const char* dir,
                 uint64_t target_bytes, ple_cancel* cancel, ple_blob* files, ple_status* out) {
  rocksdb::ReadOptions ro = uncached();
  ro.snapshot = reinterpret_cast<const rocksdb::Snapshot*>(snap);
  ro.total_order_seek = true;
  std::unique_ptr<rocksdb::Iterator> it(db->rep->NewIterator(ro, family->rep));
  rocksdb::Options opts = db->rep->GetOptions(family->rep);
  std::vector<rocksdb::LiveFileMetaData> list;
  Status st;
  it->SeekToFirst();
  while (st.ok() && it->Valid()) {
    rocksdb::LiveFileMetaData f;
    char name[32];
    snprintf(name, sizeof(name), "/%06zu.sst", list.size() + 1);
    f.name = name;
    f.db_path = dir;
    f.column_family_name = family->rep->GetName();
    f.level = opts.num_levels - 1;
    rocksdb::SstFileWriter writer(rocksdb::EnvOptions(), opts);
    st = writer.Open(f.db_path + f.name);
    f.smallestkey = it->key().ToString();
    for (; st.ok() && it->Valid() && writer.FileSize() < target_bytes; it->Next()) {
      if ((f.num_entries & 0x3ff) == 0 && cancel->flag.load(std::memory_order_relaxed)) {
        st = Status::Incomplete("canceled");
        break;
      }
      st = writer.Put(it->key(), it->value());
      f.num_entries++;
      f.largestkey.assign(it->key().data(), it->key().size());
    }
    rocksdb::ExternalSstFileInfo info;
    if (st.ok()) st = writer.Finish(&info);
    f.size = info.file_size;
    list.push_back(std::move(f));
  }
  if (st.ok()) st = it->status();
  if (st.ok()) *files = blob_of(list);
  ple_set_status(st, out);
}

int ple_property(ple_db* db, ple_family* family, const char* name, uint64_t* value) {
  auto* handle = family == nullptr ? db->rep->DefaultColumnFamily() : family->rep;
  return db->rep->GetIntProperty(handle, name, value);
}

int ple_property_sum(ple_db* db, const char* name, uint64_t* value) {
  return db->rep->GetAggregatedIntProperty(name, value);
}

void ple_wal_bytes(ple_db* db, uint64_t* bytes, ple_status* out) {
  rocksdb::VectorLogPtr logs;
  Status st = db->rep->GetSortedWalFiles(logs);
  *bytes = 0;
  for (const auto& log : logs) *bytes += log->SizeFileBytes();
  ple_set_status(st, out);
}

}  // extern "C"
