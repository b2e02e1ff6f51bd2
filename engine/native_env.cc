#include "native_env.h"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/options.h>

#include <memory>
#include <string>

namespace {

// SyncedLinks makes hard links in one directory durable at once. RocksDB's import of a family links
// table files into the store's directory and then syncs a manifest that names them, without syncing
// the directory: after a power failure the manifest could name a file that is not there.
class SyncedLinks : public rocksdb::FileSystemWrapper {
 public:
  SyncedLinks(const std::shared_ptr<rocksdb::FileSystem>& base, std::string dir)
      : FileSystemWrapper(base), dir_(std::move(dir)) {}

  const char* Name() const override { return "PleiadesSyncedLinks"; }

  rocksdb::IOStatus LinkFile(const std::string& from, const std::string& to,
                             const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* dbg) override {
    rocksdb::IOStatus st = target()->LinkFile(from, to, options, dbg);
    size_t slash = to.rfind('/');
    if (!st.ok() || slash == std::string::npos || to.compare(0, slash, dir_) != 0) return st;
    std::unique_ptr<rocksdb::FSDirectory> dir;
    st = target()->NewDirectory(dir_, options, &dir, dbg);
    if (st.ok()) st = dir->Fsync(options, dbg);
    return st;
  }

 private:
  const std::string dir_;
};

// The C API's options are a struct of one member; see native.cc.
struct options_mirror {
  rocksdb::Options rep;
};

}  // namespace

struct ple_env {
  std::unique_ptr<rocksdb::Env> rep;
};

extern "C" {

ple_env* ple_env_new(const char* dir) {
  auto fs = std::make_shared<SyncedLinks>(rocksdb::FileSystem::Default(), dir);
  return new ple_env{rocksdb::NewCompositeEnv(fs)};
}

void ple_env_free(ple_env* env) { delete env; }

void ple_options_set_env(void* options, ple_env* env) {
  static_cast<options_mirror*>(options)->rep.env = env->rep.get();
}

}  // extern "C"
