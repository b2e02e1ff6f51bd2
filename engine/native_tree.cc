#include "native_tree.h"

#include <initializer_list>
#include <new>

namespace pleiades {

namespace {
constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kAcquire = std::memory_order_acquire;
constexpr auto kRelease = std::memory_order_release;
}  // namespace

// rank returns how many slots of n hold a key below k, or equal to it with kOrEqual. What a reader gets
// from a node that is being changed means nothing, but is in bounds.
template <bool kOrEqual>
uint32_t Tree::rank(const Node* n, const TreeKey& k) const {
  const uint32_t count = n->count.load(kAcquire);
  const uint32_t shape = n->shape.load(kAcquire);
  const size_t skip = shape >> 1;
  if (shape & 1 && skip > 0) {
    // Nothing says that k begins like the keys of the tree: then it is before or behind all of them.
    const TreeKey example = entry_key(example_.load(kAcquire));
    const int c = memcmp(k.data, example.data, k.len < skip ? k.len : skip);
    if (c != 0) return c < 0 ? 0 : count;
    if (k.len < skip) return 0;
  }
  const uint64_t want = head(k, skip);
  uint32_t lo = 0;
  for (uint32_t len = count; len > 0;) {
    const uint32_t half = len / 2;
    lo = n->heads[lo + half].load(kRelaxed) < want ? lo + len - half : lo;
    len = half;
  }
  if (lo == count || n->heads[lo].load(kRelaxed) != want) return lo;
  uint32_t hi = lo + 1;
  while (hi < count && n->heads[hi].load(kRelaxed) == want) hi++;
  while (lo < hi) {
    const uint32_t mid = lo + (hi - lo) / 2;
    const int c = compare(entry_key(n->slots[mid].load(kAcquire)), k);
    if (c < 0 || (kOrEqual && c == 0)) {
      lo = mid + 1;
    } else {
      hi = mid;
    }
  }
  return lo;
}

// find returns the leaf whose fences k lies between, and its version; null for an empty tree.
const Tree::Leaf* Tree::find(const TreeKey& k, uint32_t* version) const {
  for (int tries = 0;; again(&tries)) {
    const Node* n = root_.load(kAcquire);
    if (n == nullptr) return nullptr;
    uint32_t v;
    if (!take(n, &v) || root_.load(kAcquire) != n) continue;
    bool ok = true;
    while (n->level > 0) {
      const Node* child = static_cast<const Inner*>(n)->children[rank<true>(n, k)].load(kAcquire);
      uint32_t child_version;
      ok = still(n, v) && take(child, &child_version) && still(n, v);
      if (!ok) break;
      n = child;
      v = child_version;
    }
    if (!ok) continue;
    *version = v;
    return static_cast<const Leaf*>(n);
  }
}

// start_of returns the first entry of a leaf. Leaves are never empty.
Tree::Place Tree::start_of(const Leaf* leaf) {
  Place p;
  p.leaf = leaf;
  for (int tries = 0;; again(&tries)) {
    if (!take(leaf, &p.version)) continue;
    p.entry = leaf->slots[0].load(kAcquire);
    if (still(leaf, p.version)) return p;
  }
}

// seek returns the first entry at or behind k, or behind k alone with kBehind.
template <bool kBehind>
Tree::Place Tree::seek(const TreeKey& k) const {
  for (int tries = 0;; again(&tries)) {
    Place p;
    p.leaf = find(k, &p.version);
    if (p.leaf == nullptr) return p;
    p.i = rank<kBehind>(p.leaf, k);
    if (p.i < p.leaf->count.load(kAcquire)) {
      p.entry = p.leaf->slots[p.i].load(kAcquire);
      if (still(p.leaf, p.version)) return p;
      continue;
    }
    // While this leaf stays as it is, the next one begins at its upper fence.
    const Leaf* next = p.leaf->next.load(kAcquire);
    if (!still(p.leaf, p.version)) continue;
    return next == nullptr ? Place() : start_of(next);
  }
}

Tree::Place Tree::at_or_after(const TreeKey& k) const { return seek<false>(k); }

Tree::Place Tree::before(const TreeKey& k) const {
  for (int tries = 0;; again(&tries)) {
    Place p;
    p.leaf = find(k, &p.version);
    if (p.leaf == nullptr) return p;
    p.i = rank<false>(p.leaf, k);
    if (p.i == 0) {
      // The writer marks this leaf before it splits the one in front.
      const Leaf* prev = p.leaf->prev.load(kAcquire);
      if (!still(p.leaf, p.version)) continue;
      if (prev == nullptr) return Place();
      uint32_t v;
      if (!take(prev, &v) || !still(p.leaf, p.version)) continue;
      p.leaf = prev;
      p.version = v;
      p.i = prev->count.load(kAcquire);
    }
    p.i--;
    p.entry = p.leaf->slots[p.i].load(kAcquire);
    if (still(p.leaf, p.version)) return p;
  }
}

Tree::Place Tree::first() const {
  const Leaf* leaf = first_.load(kAcquire);
  return leaf == nullptr ? Place() : start_of(leaf);
}

Tree::Place Tree::last() const {
  for (int tries = 0;; again(&tries)) {
    Place p;
    p.leaf = last_.load(kAcquire);
    if (p.leaf == nullptr) return p;
    if (!take(p.leaf, &p.version) || last_.load(kAcquire) != p.leaf) continue;
    p.i = p.leaf->count.load(kAcquire) - 1;
    p.entry = p.leaf->slots[p.i].load(kAcquire);
    if (still(p.leaf, p.version)) return p;
  }
}

Tree::Place Tree::next(const Place& p) const {
  Place n = p;
  n.i = p.i + 1;
  if (n.i < p.leaf->count.load(kAcquire)) {
    n.entry = p.leaf->slots[n.i].load(kAcquire);
    if (still(p.leaf, p.version)) return n;
  } else {
    const Leaf* next = p.leaf->next.load(kAcquire);
    if (still(p.leaf, p.version)) return next == nullptr ? Place() : start_of(next);
  }
  return seek<true>(entry_key(p.entry));
}

Tree::Place Tree::prev(const Place& p) const {
  if (p.i > 0) {
    Place n = p;
    n.i = p.i - 1;
    n.entry = p.leaf->slots[n.i].load(kAcquire);
    if (still(p.leaf, p.version)) return n;
  }
  return before(entry_key(p.entry));
}

double Tree::share(const TreeKey& k) const {
  double from = 0, width = 1;
  const Node* n = root_.load(kAcquire);
  while (n != nullptr) {
    const uint32_t parts = n->count.load(kAcquire) + (n->level > 0 ? 1 : 0);
    uint32_t at = n->level > 0 ? rank<true>(n, k) : rank<false>(n, k);
    if (at > parts) at = parts;
    from += width * at / parts;
    width /= parts;
    n = n->level > 0 ? static_cast<const Inner*>(n)->children[at].load(kAcquire) : nullptr;
  }
  return from;
}

// The writer.

template <class T>
T* Tree::make(uint32_t level, const char* low, const char* high) {
  T* n = new (allocate_(from_, sizeof(T))) T();  // zeroed
  n->level = level;
  n->low = low;
  n->high = high;
  return n;
}

// reshape computes anew how much of its keys n leaves out, and their heads.
void Tree::reshape(Node* n) {
  const bool open = n->low == nullptr || n->high == nullptr;
  const size_t skip = open ? shared_ : common(entry_key(n->low), entry_key(n->high));
  n->shape.store(static_cast<uint32_t>(skip << 1 | (open ? 1 : 0)), kRelease);
  const uint32_t count = n->count.load(kRelaxed);
  for (uint32_t i = 0; i < count; i++) {
    n->heads[i].store(head(entry_key(n->slots[i].load(kRelaxed)), skip), kRelease);
  }
}

// narrow makes shared_ hold for k too. The nodes with an open fence are those at both edges.
void Tree::narrow(const TreeKey& k) {
  const TreeKey example = entry_key(example_.load(kRelaxed));
  if (k.len >= shared_ && memcmp(k.data, example.data, shared_) == 0) return;
  shared_ = common(k, example);
  for (const bool right : {false, true}) {
    Node* n = root_.load(kRelaxed);
    while (n != nullptr) {
      begin(n);
      reshape(n);
      end(n);
      if (n->level == 0) break;
      n = static_cast<Inner*>(n)->children[right ? n->count.load(kRelaxed) : 0].load(kRelaxed);
    }
  }
}

// put makes room at slot `at` of n, which is not full, and fills it. The caller has begun a change of n.
void Tree::put(Node* n, uint32_t at, const char* entry, uint64_t head) {
  const uint32_t count = n->count.load(kRelaxed);
  for (uint32_t i = count; i > at; i--) {
    n->heads[i].store(n->heads[i - 1].load(kRelaxed), kRelease);
    n->slots[i].store(n->slots[i - 1].load(kRelaxed), kRelease);
  }
  n->heads[at].store(head, kRelease);
  n->slots[at].store(entry, kRelease);
  n->count.store(count + 1, kRelease);
}

Tree::Leaf* Tree::descend(const TreeKey& k, Path* path) const {
  Node* n = root_.load(kRelaxed);
  while (n->level > 0) {
    auto* inner = static_cast<Inner*>(n);
    const uint32_t child = rank<true>(inner, k);
    path->node[path->depth] = inner;
    path->child[path->depth++] = child;
    n = inner->children[child].load(kRelaxed);
  }
  return static_cast<Leaf*>(n);
}

bool Tree::insert(const char* entry) {
  const TreeKey k = entry_key(entry);
  Leaf* leaf = last_.load(kRelaxed);
  if (leaf == nullptr) {
    example_.store(entry, kRelease);
    shared_ = k.len;
    leaf = make<Leaf>(0, nullptr, nullptr);
    leaf->shape.store(static_cast<uint32_t>(shared_ << 1 | 1), kRelease);
    put(leaf, 0, entry, 0);
    first_.store(leaf, kRelease);
    last_.store(leaf, kRelease);
    root_.store(leaf, kRelease);
    return true;
  }
  narrow(k);
  const uint32_t last = leaf->count.load(kRelaxed);
  uint32_t at = last;
  Path path;
  // Keys that come in order go behind the last one.
  if (leaf->full() || compare(entry_key(leaf->slots[last - 1].load(kRelaxed)), k) >= 0) {
    leaf = descend(k, &path);
    at = rank<false>(leaf, k);
    if (at < leaf->count.load(kRelaxed) && compare(entry_key(leaf->slots[at].load(kRelaxed)), k) == 0) {
      return false;
    }
  }
  if (leaf->full()) {
    split(leaf, entry, at, &path);
    return true;
  }
  const size_t skip = leaf->shape.load(kRelaxed) >> 1;
  begin(leaf);
  put(leaf, at, entry, head(k, skip));
  end(leaf);
  return true;
}

// split makes two leaves of one and adds entry to its half. Every node that changes is marked from before
// the first change until after the last.
void Tree::split(Leaf* leaf, const char* entry, uint32_t at, Path* path) {
  Leaf* behind = leaf->next.load(kRelaxed);
  // Behind the last key of all goes a leaf of its own: keys that come in order fill their leaves.
  const uint32_t keep = behind == nullptr && at == kSlots ? kSlots : kSlots / 2;
  const bool goes_right = at > keep || keep == kSlots;
  const char* separator = keep == kSlots ? entry : leaf->slots[keep].load(kRelaxed);
  Leaf* right = make<Leaf>(0, separator, leaf->high);
  for (uint32_t i = keep; i < kSlots; i++) {
    right->slots[i - keep].store(leaf->slots[i].load(kRelaxed), kRelaxed);
  }
  right->count.store(kSlots - keep, kRelaxed);
  if (goes_right) put(right, at - keep, entry, 0);
  reshape(right);
  right->next.store(behind, kRelaxed);
  right->prev.store(leaf, kRelaxed);

  int top = path->depth - 1;  // the first ancestor that has room
  while (top >= 0 && path->node[top]->full()) top--;
  for (int i = top < 0 ? 0 : top; i < path->depth; i++) begin(path->node[i]);
  begin(leaf);
  if (behind != nullptr) {
    begin(behind);
    behind->prev.store(right, kRelease);
  }
  leaf->high = separator;
  leaf->count.store(keep, kRelease);
  reshape(leaf);
  if (!goes_right) put(leaf, at, entry, head(entry_key(entry), leaf->shape.load(kRelaxed) >> 1));
  leaf->next.store(right, kRelease);
  if (behind == nullptr) last_.store(right, kRelease);
  if (path->depth == 0) {
    auto* root = make<Inner>(1, nullptr, nullptr);
    root->children[0].store(leaf, kRelaxed);
    root->children[1].store(right, kRelaxed);
    root->shape.store(static_cast<uint32_t>(shared_ << 1 | 1), kRelaxed);
    put(root, 0, separator, head(entry_key(separator), shared_));
    root_.store(root, kRelease);
  } else {
    add_child(path, path->depth - 1, separator, right);
  }
  if (behind != nullptr) end(behind);
  end(leaf);
  for (int i = path->depth - 1; i >= (top < 0 ? 0 : top); i--) end(path->node[i]);
}

// add_child puts a child that was split off behind the one that the path took, and splits what is full.
void Tree::add_child(Path* path, int depth, const char* separator, Node* child) {
  Inner* n = path->node[depth];
  uint32_t at = path->child[depth];
  Inner* right = nullptr;
  const char* middle = nullptr;
  if (n->full()) {
    constexpr uint32_t keep = kSlots / 2;
    middle = n->slots[keep].load(kRelaxed);
    right = make<Inner>(n->level, middle, n->high);
    for (uint32_t i = keep + 1; i <= kSlots; i++) {
      if (i < kSlots) right->slots[i - keep - 1].store(n->slots[i].load(kRelaxed), kRelaxed);
      right->children[i - keep - 1].store(n->children[i].load(kRelaxed), kRelaxed);
    }
    right->count.store(kSlots - keep - 1, kRelaxed);
    reshape(right);
    n->high = middle;
    n->count.store(keep, kRelease);
    reshape(n);
    if (at > keep) {
      at -= keep + 1;
      n = right;
    }
  }
  for (uint32_t i = n->count.load(kRelaxed) + 1; i > at + 1; i--) {
    n->children[i].store(n->children[i - 1].load(kRelaxed), kRelease);
  }
  n->children[at + 1].store(child, kRelease);
  put(n, at, separator, head(entry_key(separator), n->shape.load(kRelaxed) >> 1));
  if (right == nullptr) return;
  if (depth > 0) {
    add_child(path, depth - 1, middle, right);
    return;
  }
  Inner* left = path->node[0];
  auto* root = make<Inner>(left->level + 1, nullptr, nullptr);
  root->children[0].store(left, kRelaxed);
  root->children[1].store(right, kRelaxed);
  root->shape.store(static_cast<uint32_t>(shared_ << 1 | 1), kRelaxed);
  put(root, 0, middle, head(entry_key(middle), shared_));
  root_.store(root, kRelease);
}

}  // namespace pleiades
