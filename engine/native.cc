#include "native.h"

#if !__has_include(<rocksdb/version.h>)
#error "RocksDB's headers are missing. On Debian 12: apt-get install librocksdb-dev (or run scripts/setup)"
#endif

#include <rocksdb/version.h>

#if ROCKSDB_MAJOR != 7 || ROCKSDB_MINOR != 8
#error "Pleiades needs RocksDB 7.8. On Debian 12: apt-get install librocksdb-dev; for the release build: make rocksdb"
#endif

#include <rocksdb/db.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "native_chain.h"
#include "native_status.h"

// The C API's handles are structs of one member; these mirrors reach it. TestNativeLayout compares
// what is read through them with what the C API answers.
namespace {
struct ple_db_mirror {
  rocksdb::DB* rep;
};
struct ple_options_mirror {
  rocksdb::Options rep;
};
}  // namespace

struct ple_events {
  std::atomic<uint64_t> background_errors{0};
  std::atomic<uint64_t> stall_changes{0};
  std::atomic<int32_t> stall_now{0};  // the worst condition of any family
  std::atomic<uint64_t> flushes{0};
  std::atomic<uint64_t> compactions{0};
  std::mutex mu;
  std::string first_error;              // guarded by mu
  std::map<std::string, int> stalled;  // guarded by mu: families not in normal condition
};

// SyncPoint is compiled only into builds with assertions (Debian's): a weak reference tells them apart.
extern "C" char ple_sync_point asm("_ZN7rocksdb9SyncPoint11GetInstanceEv") __attribute__((weak));

namespace {

// Listener runs on RocksDB's threads and never calls Go: it only counts.
class Listener : public rocksdb::EventListener {
 public:
  explicit Listener(ple_events* events) : events_(events) {}

  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* st) override {
    if (!st->ok()) ple_events_fail(events_, *st);
  }
  // Automatic resumption would hide that a compaction met a damaged file; the engine decides.
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status, bool* resume) override {
    *resume = false;
  }
  void OnStallConditionsChanged(const rocksdb::WriteStallInfo& info) override {
    events_->stall_changes.fetch_add(1);
    int now = 0;
    if (info.condition.cur == rocksdb::WriteStallCondition::kDelayed) now = 1;
    if (info.condition.cur == rocksdb::WriteStallCondition::kStopped) now = 2;
    std::lock_guard<std::mutex> hold(events_->mu);
    if (now == 0) {
      events_->stalled.erase(info.cf_name);
    } else {
      events_->stalled[info.cf_name] = now;
    }
    for (const auto& family : events_->stalled) now = std::max(now, family.second);
    events_->stall_now.store(now);
  }
  void OnFlushCompleted(rocksdb::DB*, const rocksdb::FlushJobInfo&) override {
    events_->flushes.fetch_add(1);
  }
  void OnCompactionCompleted(rocksdb::DB*, const rocksdb::CompactionJobInfo&) override {
    events_->compactions.fetch_add(1);
  }

 private:
  ple_events* events_;
};

}  // namespace

void ple_set_status(const rocksdb::Status& st, ple_status* out) {
  if (st.ok()) {
    *out = ple_status{0, 0, 0, nullptr};
    return;
  }
  out->code = static_cast<int32_t>(st.code());
  out->subcode = static_cast<int32_t>(st.subcode());
  out->severity = static_cast<int32_t>(st.severity());
  out->message = strdup(st.ToString().c_str());
}

void ple_events_fail(ple_events* events, const rocksdb::Status& st) {
  std::lock_guard<std::mutex> hold(events->mu);
  if (events->first_error.empty()) events->first_error = st.ToString();
  events->background_errors.fetch_add(1);
}

extern "C" {

ple_events* ple_events_new(void) { return new ple_events; }

void ple_events_free(ple_events* events) { delete events; }

void ple_events_read(ple_events* events, ple_event_counts* out) {
  out->background_errors = events->background_errors.load();
  out->stall_changes = events->stall_changes.load();
  out->stall_now = events->stall_now.load();
  out->flushes = events->flushes.load();
  out->compactions = events->compactions.load();
}

uint64_t* ple_events_error_count(ple_events* events) {
  static_assert(sizeof(events->background_errors) == sizeof(uint64_t), "a plain word");
  return reinterpret_cast<uint64_t*>(&events->background_errors);
}

char* ple_events_error(ple_events* events) {
  std::lock_guard<std::mutex> hold(events->mu);
  return events->first_error.empty() ? nullptr : strdup(events->first_error.c_str());
}

void ple_options_prepare(void* options, ple_events* events) {
  auto* opts = static_cast<ple_options_mirror*>(options);
  opts->rep.listeners.push_back(std::make_shared<Listener>(events));
}

void ple_options_keep_logs(void* options) {
  static_cast<ple_options_mirror*>(options)->rep.avoid_flush_during_recovery = true;
}

ple_written ple_write(ple_db* db, const char* rep, size_t rep_len, uint64_t prev, int sync) {
  constexpr size_t kHeaderBytes = 12, kLinkRoom = 16, kKeepBytes = 256 << 10;
  thread_local std::string kept;  // the memory of the thread's last write
  kept.clear();
  kept.reserve(rep_len + kLinkRoom);
  kept.append(rep, kHeaderBytes);
  ple_chain_link(prev, &kept);
  kept.append(rep + kHeaderBytes, rep_len - kHeaderBytes);
  rocksdb::WriteBatch batch(std::move(kept));
  rocksdb::WriteOptions wo;
  wo.sync = sync != 0;
  rocksdb::Status st = reinterpret_cast<ple_db_mirror*>(db)->rep->Write(wo, &batch);
  ple_written out = {0, nullptr};
  if (st.ok()) {
    // RocksDB stores the first sequence number in the representation's header, little-endian.
    const std::string& data = batch.Data();
    for (int i = 7; i >= 0; i--) out.last_seq = out.last_seq << 8 | static_cast<unsigned char>(data[i]);
    out.last_seq += batch.Count() - 1;
  } else {
    out.fail = static_cast<ple_status*>(malloc(sizeof(ple_status)));
    ple_set_status(st, out.fail);
  }
  kept = std::move(const_cast<std::string&>(batch.Data()));  // the batch, which ends here, is no constant
  if (kept.capacity() > kKeepBytes) std::string().swap(kept);
  return out;
}

void ple_sync_wal(void* db, ple_status* out) {
  ple_set_status(static_cast<ple_db_mirror*>(db)->rep->SyncWAL(), out);
}

uint32_t ple_library_version(void) {
  auto v = rocksdb::GetRocksVersionAsString(true);
  unsigned major = 0, minor = 0, patch = 0;
  sscanf(v.c_str(), "%u.%u.%u", &major, &minor, &patch);
  return major * 10000 + minor * 100 + patch;
}

int ple_library_asserts(void) { return &ple_sync_point != nullptr; }

}  // extern "C"
