#include "native_read.h"

#include <rocksdb/db.h>
#include <rocksdb/iterator.h>
#include <rocksdb/options.h>
#include <rocksdb/slice.h>
#include <rocksdb/snapshot.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "native_status.h"

using rocksdb::PinnableSlice;
using rocksdb::ReadOptions;
using rocksdb::Slice;
using rocksdb::Status;

// See native.cc about these mirrors of the C API's structs.
struct ple_db {
  rocksdb::DB* rep;
};
struct ple_family {
  rocksdb::ColumnFamilyHandle* rep;
};

// A pinned value lies in a block of the cache (slice), or is a copy of a memtable's (own).
struct ple_pin {
  PinnableSlice slice;
  std::string own;
};

struct ple_values {
  std::vector<Slice> keys;
  std::vector<PinnableSlice> values;
  std::vector<Status> statuses;
};

namespace {

// Scratch of a thread beyond these sizes is given back after the call.
constexpr size_t kScratchBytes = 64 << 10;
constexpr size_t kScratchValues = 256;

// RocksDB asserts that a slice has memory, also when it is empty.
Slice slice_of(const char* data, size_t len) { return len == 0 ? Slice("", 0) : Slice(data, len); }

ple_status* failure(const Status& st) {
  auto* out = static_cast<ple_status*>(malloc(sizeof(ple_status)));
  ple_set_status(st, out);
  return out;
}

// read_options returns the thread's own, so that none are made for each read.
const ReadOptions& read_options(const ple_snapshot* snap) {
  thread_local ReadOptions ro;
  ro.snapshot = reinterpret_cast<const rocksdb::Snapshot*>(snap);
  return ro;
}

void copy_bytes(char* dst, const char* src, size_t n) {
  if (n != 0) memcpy(dst, src, n);
}

}  // namespace

extern "C" {

ple_got ple_get(ple_db* db, ple_family* family, const ple_snapshot* snap, const char* key,
                size_t key_len, char* buf, size_t cap) {
  // RocksDB copies a memtable's value into this string; it keeps its memory from call to call.
  thread_local std::string scratch;
  PinnableSlice value(&scratch);
  Status st = db->rep->Get(read_options(snap), family->rep, slice_of(key, key_len), &value);
  ple_got got = {PLE_MISSING, 0, nullptr, nullptr, nullptr};
  if (st.IsNotFound()) return got;
  if (!st.ok()) {
    got.what = PLE_FAILED;
    got.fail = failure(st);
    return got;
  }
  got.len = value.size();
  if (got.len <= cap) {
    got.what = PLE_COPIED;
    copy_bytes(buf, value.data(), got.len);
    if (scratch.capacity() > kScratchBytes) std::string().swap(scratch);
    return got;
  }
  got.what = PLE_PINNED;
  got.pin = new ple_pin;
  if (value.IsPinned()) {
    got.pin->slice = std::move(value);
    got.data = got.pin->slice.data();
  } else {
    got.pin->own.swap(scratch);
    got.data = got.pin->own.data();
  }
  return got;
}

ple_got ple_has(ple_db* db, ple_family* family, const ple_snapshot* snap, const char* key,
                size_t key_len) {
  thread_local std::string scratch;
  PinnableSlice value(&scratch);
  Status st = db->rep->Get(read_options(snap), family->rep, slice_of(key, key_len), &value);
  if (scratch.capacity() > kScratchBytes) std::string().swap(scratch);
  ple_got got = {PLE_MISSING, 0, nullptr, nullptr, nullptr};
  if (st.ok()) {
    got.what = PLE_COPIED;
  } else if (!st.IsNotFound()) {
    got.what = PLE_FAILED;
    got.fail = failure(st);
  }
  return got;
}

void ple_pin_free(ple_pin* pin) { delete pin; }

ple_many ple_multiget(ple_db* db, ple_family* family, const ple_snapshot* snap, const char* keys,
                      const uint64_t* ends, size_t n, int64_t* lens, char* buf, size_t cap) {
  thread_local std::unique_ptr<ple_values> scratch;
  if (!scratch) scratch = std::make_unique<ple_values>();
  ple_values& v = *scratch;
  v.keys.clear();
  for (size_t i = 0; i < n; i++) {
    size_t from = i == 0 ? 0 : ends[i - 1];
    v.keys.push_back(slice_of(keys + from, ends[i] - from));
  }
  if (v.values.size() < n) v.values.resize(n);
  v.statuses.assign(n, Status());
  ple_many out = {0, nullptr, 0, nullptr};
  db->rep->MultiGet(read_options(snap), family->rep, n, v.keys.data(), v.values.data(),
                    v.statuses.data());
  for (size_t i = 0; i < n; i++) {
    const Status& st = v.statuses[i];
    if (st.ok()) {
      lens[i] = static_cast<int64_t>(v.values[i].size());
      out.total += v.values[i].size();
    } else if (st.IsNotFound()) {
      lens[i] = -1;
      v.values[i].Reset();
    } else if (out.fail == nullptr) {
      out.failed_key = i;
      out.fail = failure(st);
    }
  }
  if (out.fail == nullptr && out.total > cap) {
    v.values.resize(n);
    out.rest = scratch.release();
    return out;
  }
  for (size_t i = 0, at = 0; i < n; i++) {
    if (out.fail == nullptr && lens[i] > 0) {
      memcpy(buf + at, v.values[i].data(), v.values[i].size());
      at += v.values[i].size();
    }
    v.values[i].Reset();
    // What a memtable's value was copied into stays with its slot, unless it is large.
    std::string* self = v.values[i].GetSelf();
    if (self->capacity() > kScratchBytes / kScratchValues) std::string().swap(*self);
  }
  if (n > kScratchValues || out.fail != nullptr) scratch.reset();
  return out;
}

void ple_values_take(ple_values* rest, char* buf) {
  size_t at = 0;
  for (size_t i = 0; buf != nullptr && i < rest->values.size(); i++) {
    copy_bytes(buf + at, rest->values[i].data(), rest->values[i].size());
    at += rest->values[i].size();
  }
  delete rest;
}

const ple_snapshot* ple_snapshot_new(ple_db* db, uint64_t* seq) {
  const rocksdb::Snapshot* snap = db->rep->GetSnapshot();
  if (snap != nullptr) *seq = snap->GetSequenceNumber();
  return reinterpret_cast<const ple_snapshot*>(snap);
}

void ple_snapshot_free(ple_db* db, const ple_snapshot* snap) {
  db->rep->ReleaseSnapshot(reinterpret_cast<const rocksdb::Snapshot*>(snap));
}

}  // extern "C"
