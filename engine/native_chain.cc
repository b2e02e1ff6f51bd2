#include "native_chain.h"

#include <rocksdb/options.h>
#include <rocksdb/wal_filter.h>
#include <rocksdb/write_batch.h>

#include <cstdio>
#include <cstring>
#include <string>

namespace {

// Part of the format; never renumber. The record is a LogData of RocksDB's write batches, which is in the
// log and nowhere else.
constexpr char kLogDataType = 0x3;
constexpr char kLinkBytes = 9;
constexpr char kLinkTag = 'c';
constexpr size_t kHeaderBytes = 12;  // of a write batch: sequence (8), count (4), little-endian

uint64_t little_endian(const char* at, int bytes) {
  uint64_t v = 0;
  for (int i = bytes - 1; i >= 0; i--) v = v << 8 | static_cast<unsigned char>(at[i]);
  return v;
}

// parse_link finds the link at the beginning of a batch.
bool parse_link(const std::string& rep, uint64_t* prev) {
  const char* at = rep.data() + kHeaderBytes;
  if (rep.size() < kHeaderBytes + 2 + kLinkBytes || at[0] != kLogDataType || at[1] != kLinkBytes ||
      at[2] != kLinkTag) {
    return false;
  }
  *prev = 0;
  for (int i = 3; i < 11; i++) *prev = *prev << 8 | static_cast<unsigned char>(at[i]);
  return true;
}

// begins_with_hole says whether zeros stand where a log has its first record.
bool begins_with_hole(const std::string& log) {
  char head[7] = {1};
  FILE* f = fopen(log.c_str(), "rb");
  if (f == nullptr) return false;
  size_t n = fread(head, 1, sizeof head, f);
  fclose(f);
  return n == sizeof head && std::string(head, sizeof head) == std::string(sizeof head, 0);
}

}  // namespace

void ple_chain_link(uint64_t prev, std::string* rep) {
  char link[2 + kLinkBytes] = {kLogDataType, kLinkBytes, kLinkTag};
  for (int i = 0; i < 8; i++) link[3 + i] = static_cast<char>(prev >> (56 - 8 * i));
  rep->append(link, sizeof link);
}

// ple_chain is called for each record of the logs, in their order, by the one thread that recovers.
struct ple_chain : public rocksdb::WalFilter {
  ple_chain_result found = {};

  const char* Name() const override { return "PleiadesChain"; }

  // Each recovery begins with this call.
  void ColumnFamilyLogNumberMap(const std::map<uint32_t, uint64_t>&,
                                const std::map<std::string, uint32_t>&) override {
    found = {};
  }

  WalProcessingOption LogRecordFound(unsigned long long, const std::string& log,
                                     const rocksdb::WriteBatch& batch, rocksdb::WriteBatch*,
                                     bool*) override {
    const std::string& rep = batch.Data();
    uint64_t first = little_endian(rep.data(), 8), count = little_endian(rep.data() + 8, 4), prev = 0;
    bool linked = parse_link(rep, &prev);
    if (!linked && count == 0) {
      // RocksDB's own, at the beginning of a log that follows a damaged one: where it goes on.
      linked = true;
      prev = first - 1;
    }
    bool follows = true;
    if (linked && found.seen) {
      follows = prev == found.last || (prev == 0 && !found.broken);
    } else if (linked && prev != 0) {
      follows = !begins_with_hole(log);  // what it follows was in a log that is gone, or in the hole
    } else if (!linked) {
      follows = !found.broken;  // written by a program without links
    }
    if (!follows) {
      if (!found.broken) found.next = prev;
      found.broken = 1;
      return WalProcessingOption::kIgnoreCurrentRecord;
    }
    // A broken chain goes on where an opening that accepted the loss went on.
    found.broken = 0;
    found.seen = 1;
    found.last = first + count - 1;
    return WalProcessingOption::kContinueProcessing;
  }
};

namespace {

// The C API's options are a struct of one member; see native.cc.
struct options_mirror {
  rocksdb::Options rep;
};

}  // namespace

extern "C" {

ple_chain* ple_chain_new(void) { return new ple_chain; }

void ple_chain_free(ple_chain* chain) { delete chain; }

void ple_options_set_chain(void* options, ple_chain* chain) {
  static_cast<options_mirror*>(options)->rep.wal_filter = chain;
}

void ple_chain_read(ple_chain* chain, ple_chain_result* out) { *out = chain->found; }

}  // extern "C"
