// The tree under a memtable (native_tree.h) against std::set, with readers beside the writer in every second
// round. TestTreeAgainstSet compiles and runs it:
//
//   main SECONDS SEED     goes on for that long, from that seed; the first fault ends it with its round

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "native_tree.h"

using pleiades::compare;
using pleiades::entry_key;
using pleiades::Tree;
using pleiades::TreeKey;

namespace {

struct Less {
  bool operator()(const char* a, const char* b) const { return compare(entry_key(a), entry_key(b)) < 0; }
};
using Set = std::set<const char*, Less>;

constexpr int kShapes = 8;
// More than three levels hold (64 entries a leaf, 65 children a node): nodes split at every level.
constexpr size_t kDeep = 280000;
constexpr size_t kWholeWalks = 30000;  // readers compare whole stretches up to this many entries

struct Round {
  uint64_t seed;
  int shape;
  size_t entries;
  bool readers;
};

#define CHECK(what)                                                                                       \
  do {                                                                                                    \
    if (!(what)) {                                                                                        \
      fprintf(stderr, "line %d: %s does not hold: seed %llu, shape %d, %zu entries, readers %d\n",        \
              __LINE__, #what, static_cast<unsigned long long>(round.seed), round.shape, round.entries,   \
              round.readers);                                                                             \
      _Exit(1);                                                                                           \
    }                                                                                                     \
  } while (0)

// Memory is what the tree and its entries live in until the round is over.
class Memory {
 public:
  static char* allocate(void* self, size_t bytes) { return static_cast<Memory*>(self)->get(bytes); }

  char* get(size_t bytes) {
    bytes = (bytes + 15) / 16 * 16;
    if (left_ < bytes) {
      left_ = bytes > kBlock ? bytes : kBlock;
      blocks_.emplace_back(new char[left_]);
      at_ = blocks_.back().get();
    }
    char* p = at_;
    at_ += bytes;
    left_ -= bytes;
    return p;
  }

  // entry makes an entry of a memtable, without a value.
  const char* entry(const std::string& key, uint64_t tag) {
    char* const p = get(key.size() + 8 + 5);
    char* q = p;
    uint32_t n = static_cast<uint32_t>(key.size() + 8);
    for (; n >= 0x80; n >>= 7) *q++ = static_cast<char>(n | 0x80);
    *q++ = static_cast<char>(n);
    memcpy(q, key.data(), key.size());
    memcpy(q + key.size(), &tag, 8);
    return p;
  }

 private:
  static constexpr size_t kBlock = 1 << 20;
  std::vector<std::unique_ptr<char[]>> blocks_;
  char* at_ = nullptr;
  size_t left_ = 0;
};

std::string decimal(uint64_t n) {
  char buf[32];
  snprintf(buf, sizeof buf, "%016llu", static_cast<unsigned long long>(n));
  return buf;
}

std::string of(std::mt19937_64& rng, const std::string& bytes, size_t len) {
  std::string k;
  while (k.size() < len) k.push_back(bytes[rng() % bytes.size()]);
  return k;
}

// key makes keys of one shape: extreme bytes, numbers in three orders, prefixes of each other, eight random
// bytes, few keys with many versions, long ones that differ at their end.
std::string key(int shape, size_t i, std::mt19937_64& rng) {
  static const std::string extremes("ab\0\xff", 4);
  switch (shape) {
    case 0: return of(rng, extremes, 1 + rng() % 20);
    case 1: return decimal(rng() % 10000000);
    case 2: return decimal(i);
    case 3: return decimal(100000000 - i);
    case 4: return std::string(rng() % 40, 'x') + std::to_string(rng() % 100);
    case 5: return of(rng, std::string("\0\x01\x7f\x80\xfe\xff", 6), 8);
    case 6: return rng() % 100 == 0 ? std::string() : "hot" + std::to_string(rng() % 3);
    default: return std::string(200, '\xff') + of(rng, extremes, rng() % 12);
  }
}

// read is a reader beside the writer: what was there when it began it must see, in order, both ways.
void read(const Round& round, const Tree& tree, const std::vector<const char*>& all, const std::atomic<size_t>& done,
          const std::atomic<bool>& stop, uint64_t id, std::atomic<uint64_t>* reads) {
  std::mt19937_64 rng(round.seed * 31 + id);
  while (!stop.load()) {
    const size_t n = done.load(std::memory_order_acquire);
    if (n == 0) continue;
    const char *from = all[rng() % n], *to = all[rng() % n];
    Tree::Place p = tree.at_or_after(entry_key(from));
    CHECK(p.entry == from);
    p = tree.before(entry_key(from));
    CHECK(p.entry == nullptr || Less()(p.entry, from));
    if (Less()(to, from)) std::swap(from, to);
    if (n <= kWholeWalks && rng() % 50 == 0) {
      Set want;
      for (size_t i = 0; i < n; i++) {
        if (!Less()(all[i], from) && !Less()(to, all[i])) want.insert(all[i]);
      }
      size_t seen = 0;
      const char* last = nullptr;
      for (p = tree.at_or_after(entry_key(from)); p.entry != nullptr && !Less()(to, p.entry); p = tree.next(p)) {
        CHECK(last == nullptr || Less()(last, p.entry));
        last = p.entry;
        seen += want.count(p.entry);
      }
      CHECK(seen == want.size());
      seen = 0, last = nullptr;
      for (p = tree.at_or_after(entry_key(to)); p.entry != nullptr && !Less()(p.entry, from); p = tree.prev(p)) {
        CHECK(last == nullptr || Less()(p.entry, last));
        last = p.entry;
        seen += want.count(p.entry);
      }
      CHECK(seen == want.size());
    } else {
      p = tree.at_or_after(entry_key(from));
      for (int i = 0; i < 200 && p.entry != nullptr; i++) {
        const Tree::Place after = tree.next(p);
        CHECK(after.entry == nullptr || Less()(p.entry, after.entry));
        p = after;
      }
    }
    reads->fetch_add(1, std::memory_order_relaxed);
  }
}

// compare_all compares the finished tree with the set: both ways, and around keys that are there or not.
void compare_all(const Round& round, const Tree& tree, const Set& set, const std::vector<const char*>& all,
                 std::mt19937_64& rng, Memory* memory) {
  auto want = set.begin();
  const char* last = nullptr;
  for (Tree::Place p = tree.first(); p.entry != nullptr; p = tree.next(p), ++want) {
    CHECK(want != set.end() && *want == p.entry);
    last = p.entry;
  }
  CHECK(want == set.end() && tree.last().entry == last);
  auto back = set.rbegin();
  for (Tree::Place p = tree.last(); p.entry != nullptr; p = tree.prev(p), ++back) {
    CHECK(back != set.rend() && *back == p.entry);
  }
  CHECK(back == set.rend());
  for (int i = 0; i < 3000; i++) {
    std::string k = of(rng, std::string("ab\0\xff" "0123x", 9), rng() % 12);
    if (rng() % 2) {
      const TreeKey near = entry_key(all[rng() % all.size()]);
      k.assign(near.data, near.len);
      if (rng() % 2) {
        k.push_back(static_cast<char>(rng()));
      } else if (!k.empty() && rng() % 2) {
        k.pop_back();
      }
    }
    const char* e = memory->entry(k, (rng() % 5) << 8);
    const auto at = set.lower_bound(e);
    CHECK(tree.at_or_after(entry_key(e)).entry == (at == set.end() ? nullptr : *at));
    CHECK(tree.before(entry_key(e)).entry == (at == set.begin() ? nullptr : *std::prev(at)));
    const double share = tree.share(entry_key(e));
    CHECK(share >= 0 && share <= 1.0001);
  }
}

void run(const Round& round, std::atomic<uint64_t>* reads) {
  std::mt19937_64 rng(round.seed * kShapes + round.shape);
  Memory memory;
  Tree tree(Memory::allocate, &memory);
  Set set;
  std::vector<const char*> all(round.entries);
  std::atomic<size_t> done{0};
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (uint64_t id = 0; round.readers && id < 2; id++) {
    threads.emplace_back([&, id] { read(round, tree, all, done, stop, id, reads); });
  }
  const bool versions = round.shape == 4 || round.shape == 6;  // else an equal key comes back now and then
  for (size_t i = 0; i < round.entries; i++) {
    const char* e = memory.entry(key(round.shape, i, rng), (versions ? i : rng() % 4) << 8);
    const auto placed = set.insert(e);
    CHECK(tree.insert(e) == placed.second);
    all[i] = *placed.first;
    done.store(i + 1, std::memory_order_release);
  }
  stop.store(true);
  for (auto& t : threads) t.join();
  compare_all(round, tree, set, all, rng, &memory);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(atoll(argv[1]));
  const uint64_t first = strtoull(argv[2], nullptr, 10);
  uint64_t trees = 0, entries = 0;
  std::atomic<uint64_t> reads{0};
  for (uint64_t seed = first; seed == first || std::chrono::steady_clock::now() < end; seed++) {
    for (int shape = 0; shape < kShapes; shape++) {
      const bool deep = shape == static_cast<int>(1 + seed % 3);
      const Round round{seed, shape, deep && seed % 4 == first % 4 ? kDeep : 1 + seed * 7919 % 20000, (seed + shape) % 2 == 0};
      run(round, &reads);
      trees++;
      entries += round.entries;
    }
  }
  printf("%llu trees, %llu entries, %llu rounds of readers\n", static_cast<unsigned long long>(trees),
         static_cast<unsigned long long>(entries), static_cast<unsigned long long>(reads.load()));
}
