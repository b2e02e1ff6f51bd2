#ifndef PLEIADES_ENGINE_NATIVE_TREE_H
#define PLEIADES_ENGINE_NATIVE_TREE_H

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <thread>

// The ordered tree under a memtable: entries are only added, by one thread at a time; any number of
// threads read meanwhile without a lock.
//
// It is a B+-tree of pointers to RocksDB's entries. A search in a skip list meets a cache line of its own
// at each of its twenty steps, because the keys lie in the entries. Here a node keeps eight bytes of each
// key beside each other: those behind what all keys of the node have in common. Most searches follow no
// pointer to a key before the last one.
//
//   inner   count separators, count+1 children      separator i <= every key under child i+1
//   leaf    count entries, next and previous leaf
//
//   entry   varint32 n | user key (n-8) | tag (8, little-endian: sequence << 8 | type) | value …
//           ordered by user key as bytes, then by falling tag
//
// A node knows the fences [low, high) that its keys lie between (null: open); what the fences have in
// common, all its keys have, and whatever is looked for in it. A node with an open fence knows instead what
// all keys of the tree have in common.
//
// Readers: each node has a version, odd while the writer is changing it. A reader takes the version, reads,
// and starts anew when the version has moved. It takes a child's version before it looks at the parent's
// again, and the writer marks a parent before a child that is to be split: so a reader never mistakes half
// of a split node for the whole. Nothing is freed before the whole tree is, so what a reader still holds stays
// readable; all fields that change are atomic.
namespace pleiades {

struct TreeKey {
  const char* data;
  size_t len;  // of the user key
  uint64_t tag;
};

inline uint64_t load_tag(const char* p) {
  uint64_t v;
  memcpy(&v, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  v = __builtin_bswap64(v);
#endif
  return v;
}

inline TreeKey internal_key(const char* data, size_t len) {
  return TreeKey{data, len - 8, load_tag(data + len - 8)};
}

inline TreeKey entry_key(const char* entry) {
  auto p = reinterpret_cast<const unsigned char*>(entry);
  uint32_t n = *p++;
  if (n & 0x80) {
    n &= 0x7f;
    for (int shift = 7;; shift += 7) {
      const uint32_t b = *p++;
      n |= (b & 0x7f) << shift;
      if (b < 0x80) break;
    }
  }
  return internal_key(reinterpret_cast<const char*>(p), n);
}

inline int compare(const TreeKey& a, const TreeKey& b) {
  const int c = memcmp(a.data, b.data, a.len < b.len ? a.len : b.len);
  if (c != 0) return c;
  if (a.len != b.len) return a.len < b.len ? -1 : 1;
  if (a.tag != b.tag) return a.tag > b.tag ? -1 : 1;
  return 0;
}

inline size_t common(const TreeKey& a, const TreeKey& b) {
  size_t n = a.len < b.len ? a.len : b.len, i = 0;
  while (i < n && a.data[i] == b.data[i]) i++;
  return i;
}

// head returns the eight bytes of k from skip on as a number that orders like them.
inline uint64_t head(const TreeKey& k, size_t skip) {
  uint64_t v = 0;
  if (k.len >= skip + 8) {
    memcpy(&v, k.data + skip, 8);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
  }
  for (size_t i = 0; i < 8; i++) {
    v = v << 8 | (skip + i < k.len ? static_cast<unsigned char>(k.data[skip + i]) : 0);
  }
  return v;
}

// Allocation is how a tree gets memory, aligned for pointers; it is never given back.
using Allocation = char* (*)(void* from, size_t bytes);

class Tree {
 public:
  static constexpr uint32_t kSlots = 64;

  struct Node {
    std::atomic<uint32_t> version;
    std::atomic<uint32_t> count;
    std::atomic<uint32_t> shape;  // skip << 1 | 1 if a fence is open
    uint32_t level;               // 0: leaf
    const char* low;              // the writer's alone
    const char* high;             // the writer's alone
    std::atomic<uint64_t> heads[kSlots];
    std::atomic<const char*> slots[kSlots];

    bool full() const { return count.load(std::memory_order_relaxed) == kSlots; }
  };
  struct Leaf : Node {
    std::atomic<Leaf*> next;
    std::atomic<Leaf*> prev;
  };
  struct Inner : Node {
    std::atomic<Node*> children[kSlots + 1];
  };

  // Place is where an iterator stands: slot i of leaf as it was at version; entry null: nowhere.
  struct Place {
    const Leaf* leaf = nullptr;
    uint32_t version = 0;
    uint32_t i = 0;
    const char* entry = nullptr;
  };

  Tree(Allocation allocate, void* from) : allocate_(allocate), from_(from) {}
  Tree(const Tree&) = delete;
  void operator=(const Tree&) = delete;

  // insert adds entry; false when an equal key is there. One thread at a time.
  bool insert(const char* entry);

  // Readers, from any thread.
  Place first() const;
  Place last() const;
  Place at_or_after(const TreeKey& k) const;
  Place before(const TreeKey& k) const;
  Place next(const Place& p) const;
  Place prev(const Place& p) const;
  // share estimates which part of the entries is before k, 0 to 1.
  double share(const TreeKey& k) const;

 private:
  static constexpr int kMaxLevels = 16;
  // Path is the way from the root to a leaf: inner nodes and which child was taken.
  struct Path {
    Inner* node[kMaxLevels];
    uint32_t child[kMaxLevels];
    int depth = 0;
  };

  static bool take(const Node* n, uint32_t* version) {
    *version = n->version.load(std::memory_order_acquire);
    return (*version & 1) == 0;
  }
  static bool still(const Node* n, uint32_t version) {
    std::atomic_thread_fence(std::memory_order_acquire);
    return n->version.load(std::memory_order_relaxed) == version;
  }
  // A change is some hundred instructions long, unless the writer has just lost its processor.
  static void again(int* tries) {
    if (++*tries % 64 == 0) std::this_thread::yield();
  }
  static void begin(Node* n) {
    n->version.store(n->version.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_release);
  }
  static void end(Node* n) {
    n->version.store(n->version.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  template <bool kOrEqual>
  uint32_t rank(const Node* n, const TreeKey& k) const;
  const Leaf* find(const TreeKey& k, uint32_t* version) const;
  template <bool kBehind>
  Place seek(const TreeKey& k) const;
  static Place start_of(const Leaf* leaf);

  template <class T>
  T* make(uint32_t level, const char* low, const char* high);
  void narrow(const TreeKey& k);
  void reshape(Node* n);
  void put(Node* n, uint32_t at, const char* entry, uint64_t head);
  Leaf* descend(const TreeKey& k, Path* path) const;
  void split(Leaf* leaf, const char* entry, uint32_t at, Path* path);
  void add_child(Path* path, int depth, const char* separator, Node* right);

  const Allocation allocate_;
  void* const from_;
  std::atomic<Node*> root_{nullptr};
  std::atomic<Leaf*> first_{nullptr};
  std::atomic<Leaf*> last_{nullptr};
  std::atomic<const char*> example_{nullptr};  // the entry that came first
  size_t shared_ = 0;                          // what all keys have in common with it; the writer's alone
};

}  // namespace pleiades
#endif
