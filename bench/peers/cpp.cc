#include "cpp.h"

#include <rocksdb/cache.h>
#include <rocksdb/convenience.h>
#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/utilities/options_util.h>
#include <rocksdb/write_batch.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

using rocksdb::Slice;
using rocksdb::Status;

struct cpp_store {
  std::unique_ptr<rocksdb::DB> db;
  std::string values;
};

namespace {

constexpr int kKeyBytes = 16;

char* text(const std::string& what) { return strdup(what.c_str()); }
char* text(const Status& st) { return st.ok() ? nullptr : text(st.ToString()); }

int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// cpu_time is the processor time of this process so far, user and system, in nanoseconds.
int64_t cpu_time() {
  rusage u;
  if (getrusage(RUSAGE_SELF, &u) != 0) return 0;
  return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * int64_t{1000000000} +
         (u.ru_utime.tv_usec + u.ru_stime.tv_usec) * int64_t{1000};
}

// The histogram of bench: 32 buckets for each power of two.
struct Histogram {
  static constexpr int kSub = 32, kSubBits = 5, kTop = 42;
  std::vector<uint64_t> counts = std::vector<uint64_t>((kTop - kSubBits + 1) * kSub);
  uint64_t n = 0, sum = 0, max = 0;

  static int bucket(uint64_t v) {
    v = std::min<uint64_t>(v, (uint64_t{1} << kTop) - 1);
    if (v < 2 * kSub) return static_cast<int>(v);
    int shift = 63 - __builtin_clzll(v) - kSubBits;
    return shift * kSub + static_cast<int>(v >> shift);
  }
  void record(int64_t ns) {
    uint64_t v = ns > 0 ? ns : 0;
    counts[bucket(v)]++;
    n++;
    sum += v;
    max = std::max(max, v);
  }
  void merge(const Histogram& o) {
    for (size_t i = 0; i < counts.size(); i++) counts[i] += o.counts[i];
    n += o.n;
    sum += o.sum;
    max = std::max(max, o.max);
  }
  int64_t quantile(double q) const {
    uint64_t rank = std::max<uint64_t>(static_cast<uint64_t>(q * n + 0.999999), 1), seen = 0;
    for (size_t i = 0; i < counts.size(); i++) {
      seen += counts[i];
      if (seen < rank) continue;
      if (i < 2 * kSub) return i;
      int shift = static_cast<int>(i) / kSub - 1;
      return std::min<uint64_t>(((i - shift * kSub + 1) << shift) - 1, max);
    }
    return max;
  }
};

struct Worker {
  std::mt19937_64 rng;
  uint64_t next = 0;
  size_t value_at = 0;
  Histogram hist;
  int64_t bytes = 0, units = 0;
  std::string error;
  rocksdb::PinnableSlice value;
  char copy[256];
};

class Run {
 public:
  Run(cpp_store* store, const cpp_load& load) : s_(store), l_(load) {}

  char* all(cpp_result* out) {
    std::vector<Worker> workers(l_.workers);
    for (int i = 0; i < l_.workers; i++) {
      workers[i].rng.seed(l_.seed + i);
      workers[i].value_at = i * 4099 % (1 << 20);
    }
    if (l_.warmup > 0) {
      phase(&workers, 0, l_.warmup);
      for (auto& w : workers) {
        w.hist = Histogram();
        w.bytes = w.units = 0;
      }
    }
    const int64_t cpu = cpu_time();
    out->elapsed = phase(&workers, l_.ops, l_.duration);
    out->cpu = cpu_time() - cpu;
    Histogram hist;
    out->bytes = out->units = 0;
    for (auto& w : workers) {
      if (!w.error.empty()) return text(w.error);
      hist.merge(w.hist);
      out->bytes += w.bytes;
      out->units += w.units;
    }
    out->ops = hist.n;
    out->mean = hist.n > 0 ? hist.sum / hist.n : 0;
    out->p50 = hist.quantile(.5);
    out->p95 = hist.quantile(.95);
    out->p99 = hist.quantile(.99);
    out->p999 = hist.quantile(.999);
    out->max = hist.max;
    return nullptr;
  }

 private:
  int64_t phase(std::vector<Worker>* workers, int64_t ops, int64_t limit) {
    std::atomic<bool> stop{false};
    std::atomic<int> running{static_cast<int>(workers->size())};
    int64_t start = now();
    std::vector<std::thread> threads;
    for (auto& w : *workers) {
      threads.emplace_back([&] {
        int64_t from = now();
        for (int64_t n = 0; !stop.load(std::memory_order_relaxed) && (ops == 0 || n < ops); n++) {
          if (!step(&w)) {
            stop.store(true);
            break;
          }
          int64_t to = now();
          w.hist.record(to - from);
          from = to;
        }
        running.fetch_sub(1);
      });
    }
    while (running.load() > 0 && now() - start < limit) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    stop.store(true);
    for (auto& t : threads) t.join();
    return now() - start;
  }

  // key writes number n as 16 decimal digits.
  static Slice key(char* buf, uint64_t n) {
    for (int i = kKeyBytes - 1; i >= 0; i--, n /= 10) buf[i] = static_cast<char>('0' + n % 10);
    return Slice(buf, kKeyBytes);
  }

  Slice value(Worker* w) {
    if (w->value_at + l_.value_bytes > s_->values.size()) w->value_at = 0;
    Slice v(s_->values.data() + w->value_at, l_.value_bytes);
    w->value_at += l_.value_bytes;
    return v;
  }

  static bool fail(Worker* w, const std::string& why) {
    w->error = why;
    return false;
  }

  bool put(Worker* w, uint64_t n, bool sync) {
    char buf[kKeyBytes];
    Slice v = value(w);
    rocksdb::WriteOptions wo;
    wo.sync = sync;
    Status st = s_->db->Put(wo, key(buf, n), v);
    if (!st.ok()) return fail(w, st.ToString());
    w->bytes += kKeyBytes + v.size();
    w->units++;
    return true;
  }

  bool batch(Worker* w) {
    rocksdb::WriteBatch b;
    char buf[kKeyBytes];
    for (int i = 0; i < l_.batch_keys; i++) {
      Slice v = value(w);
      b.Put(key(buf, w->rng() % l_.keys), v);
      w->bytes += kKeyBytes + v.size();
    }
    w->units += l_.batch_keys;
    Status st = s_->db->Write(rocksdb::WriteOptions(), &b);
    return st.ok() || fail(w, st.ToString());
  }

  bool read(Worker* w, bool hit) {
    char buf[kKeyBytes + 1];
    Slice k = key(buf, w->rng() % l_.keys);
    if (!hit) {
      buf[kKeyBytes] = '0';
      k = Slice(buf, kKeyBytes + 1);
    }
    w->value.Reset();
    Status st = s_->db->Get(rocksdb::ReadOptions(), s_->db->DefaultColumnFamily(), k, &w->value);
    w->units++;
    if (!hit) return st.IsNotFound() || fail(w, "a key that was never written: " + st.ToString());
    if (!st.ok()) return fail(w, st.ToString());
    if (static_cast<int>(w->value.size()) != l_.value_bytes) return fail(w, "a value of another size");
    memcpy(w->copy, w->value.data(), std::min(w->value.size(), sizeof(w->copy)));
    w->bytes += k.size() + w->value.size();
    return true;
  }

  bool scan(Worker* w) {
    char buf[kKeyBytes];
    rocksdb::ReadOptions ro;
    std::unique_ptr<rocksdb::Iterator> it(s_->db->NewIterator(ro));
    int rows = 0;
    for (it->Seek(key(buf, w->rng() % (l_.keys - l_.scan_rows + 1))); it->Valid() && rows < l_.scan_rows; it->Next()) {
      Slice v = it->value();
      memcpy(w->copy, v.data(), std::min(v.size(), sizeof(w->copy)));
      w->bytes += it->key().size() + v.size();
      rows++;
    }
    w->units += rows;
    if (!it->status().ok()) return fail(w, it->status().ToString());
    return rows == l_.scan_rows || fail(w, "a scan with too few rows");
  }

  bool step(Worker* w) {
    switch (l_.kind) {
      case CPP_FILL_SEQ:
        return put(w, w->next++, false);
      case CPP_PUT:
        return put(w, w->rng() % l_.keys, false);
      case CPP_PUT_SYNC:
        return put(w, w->rng() % l_.keys, true);
      case CPP_BATCH:
        return batch(w);
      case CPP_READ_HIT:
        return read(w, true);
      case CPP_READ_MISS:
        return read(w, false);
      case CPP_SCAN:
        return scan(w);
    }
    return fail(w, "no such workload");
  }

  cpp_store* s_;
  const cpp_load l_;
};

}  // namespace

extern "C" {

char* cpp_open(const char* dir, const char* options_file, uint64_t cache_bytes, const char* values,
               size_t values_len, cpp_store** out) {
  rocksdb::ConfigOptions config;
  rocksdb::DBOptions db_options;
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  std::shared_ptr<rocksdb::Cache> cache = rocksdb::NewLRUCache(cache_bytes);
  Status st = rocksdb::LoadOptionsFromFile(config, options_file, &db_options, &families, &cache);
  if (!st.ok()) return text(st);
  auto store = std::make_unique<cpp_store>();
  store->values.assign(values, values_len);
  rocksdb::DB* db = nullptr;
  db_options.create_if_missing = true;
  st = rocksdb::DB::Open(rocksdb::Options(db_options, families[0].options), dir, &db);
  if (!st.ok()) return text(st);
  store->db.reset(db);
  *out = store.release();
  return nullptr;
}

char* cpp_write(cpp_store* s, const char* rep, size_t rep_len) {
  rocksdb::WriteBatch b(std::string(rep, rep_len));
  return text(s->db->Write(rocksdb::WriteOptions(), &b));
}

char* cpp_settle(cpp_store* s) {
  Status st = s->db->Flush(rocksdb::FlushOptions());
  if (!st.ok()) return text(st);
  // As the engine and db_bench do. By default tables that overlap nothing only change their level: they stay
  // open as they were flushed, filter and index pinned, as no table stays that a compaction writes.
  rocksdb::CompactRangeOptions how;
  how.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForceOptimized;
  return text(s->db->CompactRange(how, nullptr, nullptr));
}

char* cpp_run(cpp_store* s, const cpp_load* load, cpp_result* out) { return Run(s, *load).all(out); }

char* cpp_close(cpp_store* s) {
  Status st = s->db->Close();
  delete s;
  return text(st);
}

}  // extern "C"
