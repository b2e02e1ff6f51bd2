#include <rocksdb/db.h>
#include <rocksdb/iterator.h>
#include <rocksdb/options.h>
#include <rocksdb/slice.h>
#include <rocksdb/snapshot.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include "native_read.h"
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

namespace {

constexpr size_t kRowHeader = 3 * sizeof(uint32_t);
// A run of rows of one stem that the suffix leaves out is walked this far, then passed by a seek: a
// seek costs about as much as ten steps.
constexpr int kRunBeforeSeek = 8;
// Backwards a step inside a memtable is a search from its head, so it costs as much as a seek.
constexpr int kRunBeforeSeekBack = 1;
// Rows and seeks that the suffix may cost one call.
constexpr int kSkipsPerCall = 4096;
constexpr size_t kReadAhead = 1 << 20;

std::string bytes_of(const char* data, size_t len) {
  return len == 0 ? std::string() : std::string(data, len);
}

}  // namespace

struct ple_iter {
  // RocksDB keeps pointers to the bounds: they are declared before the iterator and die after it.
  std::string lower, upper;
  Slice lower_bound, upper_bound;
  std::string suffix;
  bool keys_only = false;
  bool forward = true;

  // The stem of the row that was left out last, and how many of its rows were left out in a row.
  std::string stem;
  int run = 0;
  std::string target;
  uint64_t seeks = 0;

  std::unique_ptr<rocksdb::Iterator> it;

  bool bounded_below() const { return !lower.empty(); }
  bool bounded_above() const { return !upper.empty(); }

  void move(int32_t how, const Slice& to) {
    run = 0;
    forward = how != PLE_LAST && how != PLE_SEEK_LT;
    switch (how) {
      case PLE_FIRST:
        it->SeekToFirst();
        break;
      case PLE_LAST:
        it->SeekToLast();
        break;
      case PLE_SEEK_GE:
        seek_ge(to);
        break;
      case PLE_SEEK_GT:
        seek_ge(to);
        if (it->Valid() && it->key() == to) it->Next();
        break;
      case PLE_SEEK_LT:
        if (bounded_above() && to.compare(upper_bound) >= 0) {
          it->SeekToLast();
          break;
        }
        it->SeekForPrev(to);
        if (it->Valid() && it->key() == to) it->Prev();
        break;
    }
  }

  void seek_ge(const Slice& to) {
    if (bounded_below() && to.compare(lower_bound) < 0) {
      it->SeekToFirst();
    } else {
      it->Seek(to);
    }
  }

  void step() {
    if (forward) {
      it->Next();
    } else {
      it->Prev();
    }
  }

  // skip moves past the row at which the iterator stands, which the suffix leaves out.
  void skip(const Slice& key) {
    if (key.size() < suffix.size()) {  // no stem to speak of
      run = 0;
      step();
      return;
    }
    Slice head(key.data(), key.size() - suffix.size());
    if (run > 0 && head == Slice(stem)) {
      run++;
    } else {
      stem.assign(head.data(), head.size());
      run = 1;
    }
    if (run <= (forward ? kRunBeforeSeek : kRunBeforeSeekBack)) {
      step();
      return;
    }
    run = 0;
    seeks++;
    Slice tail(key.data() + head.size(), suffix.size());
    int ahead = Slice(suffix).compare(tail);
    target = stem;
    if (forward) {
      // When the stem's wanted row is behind us, go behind all of its rows: no suffix begins with
      // 0xFF. (Stems may: "k\0" and "k\0\xFF\0" are those of the keys "k" and "k\0".)
      if (ahead > 0) {
        target += suffix;
      } else {
        target.push_back('\xff');
      }
      if (key.compare(target) >= 0) {  // one does, against the contract: never go back
        step();
      } else {
        it->Seek(target);
      }
    } else {
      if (ahead < 0) target += suffix;
      it->SeekForPrev(target);
    }
  }
};

extern "C" {

ple_iter* ple_iter_new(ple_db* db, ple_family* family, const ple_snapshot* snap, const char* lower,
                       size_t lower_len, const char* upper, size_t upper_len, const char* suffix,
                       size_t suffix_len, ple_iter_options options) {
  auto it = std::make_unique<ple_iter>();
  it->lower = bytes_of(lower, lower_len);
  it->upper = bytes_of(upper, upper_len);
  it->suffix = bytes_of(suffix, suffix_len);
  it->keys_only = options.keys_only != 0;
  rocksdb::ReadOptions ro;
  ro.snapshot = reinterpret_cast<const rocksdb::Snapshot*>(snap);
  ro.total_order_seek = true;
  if (it->bounded_below()) {
    it->lower_bound = it->lower;
    ro.iterate_lower_bound = &it->lower_bound;
  }
  if (it->bounded_above()) {
    it->upper_bound = it->upper;
    ro.iterate_upper_bound = &it->upper_bound;
  }
  if (options.long_scan != 0) {
    ro.fill_cache = false;
    ro.readahead_size = kReadAhead;
  }
  if (it->bounded_below() && it->bounded_above() && it->lower_bound.compare(it->upper_bound) >= 0) {
    it->it.reset(rocksdb::NewEmptyIterator());
  } else {
    it->it.reset(db->rep->NewIterator(ro, family->rep));
  }
  return it.release();
}

void ple_iter_free(ple_iter* it) { delete it; }

ple_filled ple_iter_fill(ple_iter* it, int32_t move, const char* target, size_t target_len,
                         char* buf, size_t cap, uint32_t max_rows) {
  if (move != PLE_GO_ON) it->move(move, target_len == 0 ? Slice("", 0) : Slice(target, target_len));
  ple_filled out = {0, 1, 0, 0, 0, nullptr};
  rocksdb::Iterator& rows = *it->it;
  const Slice suffix(it->suffix);
  for (int skips = 0; rows.Valid();) {
    if (out.rows == max_rows || skips == kSkipsPerCall) return out;
    const Slice key = rows.key();
    if (!suffix.empty() && !key.ends_with(suffix)) {
      skips++;
      it->skip(key);
      continue;
    }
    const Slice value = rows.value();
    const size_t stored = it->keys_only ? 0 : value.size();
    const size_t size = kRowHeader + key.size() + stored;
    if (size > cap - out.used) {
      if (out.rows == 0) out.need = size;
      return out;
    }
    const uint32_t header[3] = {static_cast<uint32_t>(key.size()),
                                static_cast<uint32_t>(value.size()),
                                static_cast<uint32_t>(out.last)};
    char* row = buf + out.used;
    memcpy(row, header, kRowHeader);
    memcpy(row + kRowHeader, key.data(), key.size());
    if (stored != 0) memcpy(row + kRowHeader + key.size(), value.data(), stored);
    out.last = out.used;
    out.used += size;
    out.rows++;
    it->run = 0;
    it->step();
  }
  Status st = rows.status();
  // Rows that were read before the damage are handed out first; the next call meets the status again.
  if (!st.ok() && out.rows > 0) return out;
  out.more = 0;
  if (!st.ok()) {
    out.fail = static_cast<ple_status*>(malloc(sizeof(ple_status)));
    ple_set_status(st, out.fail);
  }
  return out;
}

uint64_t ple_iter_seeks(const ple_iter* it) { return it->seeks; }

}  // extern "C"
