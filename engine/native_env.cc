#include "native_env.h"

#include <fcntl.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/options.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>

namespace {

// StoreFileSystem adds two syncs that RocksDB leaves out.
//
// Links: its import of a family links table files into the store's directory and then syncs a manifest
// that names them, without syncing the directory: after a power failure the manifest could name a file
// that is not there.
//
// Logs: when it goes on to the next write-ahead log, unsynced writes in the last one stay unsynced. A
// power failure could take them and spare later ones in the next log, and recovery would not notice:
// the loss would not be at the end, as the engine promises, but in the middle.
class StoreFileSystem : public rocksdb::FileSystemWrapper {
 public:
  StoreFileSystem(const std::shared_ptr<rocksdb::FileSystem>& base, std::string dir)
      : FileSystemWrapper(base), dir_(std::move(dir)) {}

  const char* Name() const override { return "PleiadesStore"; }

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* dbg) override {
    if (!IsLog(name)) return target()->NewWritableFile(name, options, file, dbg);
    std::lock_guard<std::mutex> hold(mu_);
    // RocksDB lets nobody write while it makes a log: the last one is complete.
    rocksdb::IOStatus st = SyncFile(last_log_);
    if (st.ok() && !last_log_.empty()) st = SyncDir(options.io_options, dbg);
    if (st.ok()) st = target()->NewWritableFile(name, options, file, dbg);
    if (st.ok()) last_log_ = name;
    return st;
  }

  rocksdb::IOStatus LinkFile(const std::string& from, const std::string& to,
                             const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* dbg) override {
    rocksdb::IOStatus st = target()->LinkFile(from, to, options, dbg);
    size_t slash = to.rfind('/');
    if (!st.ok() || slash == std::string::npos || to.compare(0, slash, dir_) != 0) return st;
    return SyncDir(options, dbg);
  }

 private:
  bool IsLog(const std::string& name) const {
    static const std::string kSuffix = ".log";
    size_t slash = name.rfind('/');
    return slash != std::string::npos && name.compare(0, slash, dir_) == 0 &&
           name.size() > kSuffix.size() &&
           name.compare(name.size() - kSuffix.size(), kSuffix.size(), kSuffix) == 0;
  }

  rocksdb::IOStatus SyncDir(const rocksdb::IOOptions& options, rocksdb::IODebugContext* dbg) {
    std::unique_ptr<rocksdb::FSDirectory> dir;
    rocksdb::IOStatus st = target()->NewDirectory(dir_, options, &dir, dbg);
    if (st.ok()) st = dir->Fsync(options, dbg);
    return st;
  }

  // SyncFile makes a file's contents durable; one that is gone needs it no more.
  static rocksdb::IOStatus SyncFile(const std::string& name) {
    if (name.empty()) return rocksdb::IOStatus::OK();
    int fd = open(name.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) return rocksdb::IOStatus::OK();
    int err = fd < 0 || fdatasync(fd) != 0 ? errno : 0;
    if (fd >= 0) close(fd);
    if (err == 0) return rocksdb::IOStatus::OK();
    const std::string text = "sync of " + name + ": " + strerror(err);
    return err == ENOSPC ? rocksdb::IOStatus::NoSpace(text) : rocksdb::IOStatus::IOError(text);
  }

  const std::string dir_;
  std::mutex mu_;
  std::string last_log_;  // guarded by mu_
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
  auto fs = std::make_shared<StoreFileSystem>(rocksdb::FileSystem::Default(), dir);
  return new ple_env{rocksdb::NewCompositeEnv(fs)};
}

void ple_env_free(ple_env* env) { delete env; }

void ple_options_set_env(void* options, ple_env* env) {
  static_cast<options_mirror*>(options)->rep.env = env->rep.get();
}

}  // extern "C"
