#include "native_memtable.h"

#include <rocksdb/convenience.h>
#include <rocksdb/memtablerep.h>
#include <rocksdb/options.h>
#include <rocksdb/utilities/object_registry.h>
#include <rocksdb/version.h>

#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <unordered_set>

#include "native_tree.h"

using pleiades::Tree;
using pleiades::TreeKey;
using rocksdb::Slice;

// What is below knows two things that no installed header says. Before another version is let in, compare
// memory/allocator.h and db/lookup_key.h (its first member) with it.
static_assert(ROCKSDB_MAJOR == 7 && ROCKSDB_MINOR == 8, "read memory/allocator.h and db/lookup_key.h of this RocksDB");

// RocksDB hands an Allocator to a memtable, and an Arena, which is one, to its iterators. The class is in none of
// the installed headers: this is memory/allocator.h of 7.8.
namespace ROCKSDB_NAMESPACE {
class Allocator {
 public:
  virtual ~Allocator() {}

  virtual char* Allocate(size_t bytes) = 0;
  virtual char* AllocateAligned(size_t bytes, size_t huge_page_size = 0, Logger* logger = nullptr) = 0;

  virtual size_t BlockSize() const = 0;
};
}  // namespace ROCKSDB_NAMESPACE

namespace {

// A LookupKey begins with a pointer to the key as an entry of a memtable begins (db/lookup_key.h of 7.8).
const char* lookup_entry(const rocksdb::LookupKey& key) {
  return *reinterpret_cast<const char* const*>(&key);
}

TreeKey tree_key(const Slice& internal) { return pleiades::internal_key(internal.data(), internal.size()); }

char* allocate(void* from, size_t bytes) {
  return static_cast<rocksdb::Allocator*>(from)->AllocateAligned(bytes);
}

class TreeIterator : public rocksdb::MemTableRep::Iterator {
 public:
  explicit TreeIterator(const Tree* tree) : tree_(tree) {}

  bool Valid() const override { return at_.entry != nullptr; }
  const char* key() const override { return at_.entry; }
  void Next() override { at_ = tree_->next(at_); }
  void Prev() override { at_ = tree_->prev(at_); }
  void Seek(const Slice& internal, const char* entry) override {
    at_ = tree_->at_or_after(entry != nullptr ? pleiades::entry_key(entry) : tree_key(internal));
  }
  void SeekForPrev(const Slice& internal, const char* entry) override {
    const TreeKey k = entry != nullptr ? pleiades::entry_key(entry) : tree_key(internal);
    at_ = tree_->at_or_after(k);
    if (at_.entry == nullptr || pleiades::compare(pleiades::entry_key(at_.entry), k) != 0) at_ = tree_->before(k);
  }
  void SeekToFirst() override { at_ = tree_->first(); }
  void SeekToLast() override { at_ = tree_->last(); }

 private:
  const Tree* const tree_;
  Tree::Place at_;
};

class TreeRep : public rocksdb::MemTableRep {
 public:
  explicit TreeRep(rocksdb::Allocator* allocator)
      : MemTableRep(allocator), tree_(allocate, allocator) {}

  rocksdb::KeyHandle Allocate(size_t len, char** buf) override {
    *buf = allocator_->Allocate(len);
    return *buf;
  }
  void Insert(rocksdb::KeyHandle handle) override { InsertKey(handle); }
  bool InsertKey(rocksdb::KeyHandle handle) override {
    entries_.store(entries_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return tree_.insert(static_cast<const char*>(handle));
  }
  bool InsertKeyWithHint(rocksdb::KeyHandle handle, void**) override { return InsertKey(handle); }

  bool Contains(const char* entry) const override {
    const TreeKey k = pleiades::entry_key(entry);
    const Tree::Place p = tree_.at_or_after(k);
    return p.entry != nullptr && pleiades::compare(pleiades::entry_key(p.entry), k) == 0;
  }

  void Get(const rocksdb::LookupKey& key, void* arg, bool (*fn)(void*, const char*)) override {
    Tree::Place p = tree_.at_or_after(pleiades::entry_key(lookup_entry(key)));
    while (p.entry != nullptr && fn(arg, p.entry)) p = tree_.next(p);
  }

  uint64_t ApproximateNumEntries(const Slice& start, const Slice& end) override {
    const double part = tree_.share(tree_key(end)) - tree_.share(tree_key(start));
    return part <= 0 ? 0 : static_cast<uint64_t>(part * static_cast<double>(entries_.load(std::memory_order_relaxed)));
  }

  // Only the flush into memory, which the engine never turns on, asks for a sample: any entries will do.
  void UniqueRandomSample(uint64_t, uint64_t sample, std::unordered_set<const char*>* entries) override {
    entries->clear();
    for (Tree::Place p = tree_.first(); p.entry != nullptr && entries->size() < sample; p = tree_.next(p)) {
      entries->insert(p.entry);
    }
  }

  size_t ApproximateMemoryUsage() override { return 0; }  // all of it comes from the allocator

  Iterator* GetIterator(rocksdb::Arena* arena) override {
    if (arena == nullptr) return new TreeIterator(&tree_);
    void* place = reinterpret_cast<rocksdb::Allocator*>(arena)->AllocateAligned(sizeof(TreeIterator));
    return new (place) TreeIterator(&tree_);
  }

 private:
  Tree tree_;
  std::atomic<uint64_t> entries_{0};
};

class TreeFactory : public rocksdb::MemTableRepFactory {
 public:
  static const char* kClassName() { return "PleiadesTree"; }
  const char* Name() const override { return kClassName(); }

  using MemTableRepFactory::CreateMemTableRep;
  rocksdb::MemTableRep* CreateMemTableRep(const rocksdb::MemTableRep::KeyComparator&, rocksdb::Allocator* allocator,
                                          const rocksdb::SliceTransform*, rocksdb::Logger*) override {
    return new TreeRep(allocator);
  }
  bool CanHandleDuplicatedKey() const override { return true; }
};

// RocksDB reads the OPTIONS file back after it wrote it, and looks the name up.
void register_factory() {
  static std::once_flag once;
  std::call_once(once, [] {
    rocksdb::ObjectLibrary::Default()->AddFactory<rocksdb::MemTableRepFactory>(
        TreeFactory::kClassName(),
        [](const std::string&, std::unique_ptr<rocksdb::MemTableRepFactory>* made, std::string*) {
          made->reset(new TreeFactory);
          return made->get();
        });
  });
}

struct options_mirror {
  rocksdb::Options rep;
};

}  // namespace

extern "C" void ple_options_set_memtable(void* options) {
  register_factory();
  rocksdb::Options& opts = static_cast<options_mirror*>(options)->rep;
  opts.memtable_factory = std::make_shared<TreeFactory>();
  opts.allow_concurrent_memtable_write = false;
}
