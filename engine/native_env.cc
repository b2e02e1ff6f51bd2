#include "native_env.h"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/options.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "native_status.h"

namespace {

// BrokenLog is what RocksDB gets for a log that could not be made: all that is done to it fails.
class BrokenLog : public rocksdb::FSWritableFile {
 public:
  explicit BrokenLog(const rocksdb::IOStatus& why) : why_(why) {}

  using FSWritableFile::Append;
  rocksdb::IOStatus Append(const rocksdb::Slice&, const rocksdb::IOOptions&,
                           rocksdb::IODebugContext*) override {
    return why_;
  }
  rocksdb::IOStatus Flush(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
    return why_;
  }
  rocksdb::IOStatus Sync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
    return why_;
  }
  rocksdb::IOStatus Close(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
    return rocksdb::IOStatus::OK();
  }
  bool IsSyncThreadSafe() const override { return true; }  // or SyncWAL is "not supported"

 private:
  const rocksdb::IOStatus why_;
};

// LogFile is a log that knows when it is complete. A flush syncs the logs behind the current one again;
// if that failed while a synced write goes on, builds with assertions would abort
// (WritableFileWriter::AssertFalseAndGetStatusForPrevError). For a log that is complete and synced there
// is nothing to do, and so nothing that fails.
class LogFile : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  // gone is called when the file is closed for good.
  LogFile(std::unique_ptr<rocksdb::FSWritableFile>&& file, std::function<void(LogFile*)> gone)
      : FSWritableFileOwnerWrapper(std::move(file)), gone_(std::move(gone)) {}
  ~LogFile() override { gone_(this); }

  // Complete syncs the file. Nobody may write to it meanwhile.
  rocksdb::IOStatus Complete(const rocksdb::IOOptions& options, rocksdb::IODebugContext* dbg) {
    rocksdb::IOStatus st = target()->Sync(options, dbg);
    if (st.ok()) complete_.store(true);
    return st;
  }

  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* dbg) override {
    complete_.store(false, std::memory_order_relaxed);
    return target()->Append(data, options, dbg);
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo& info,
                           rocksdb::IODebugContext* dbg) override {
    complete_.store(false, std::memory_order_relaxed);
    return target()->Append(data, options, info, dbg);
  }
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* dbg) override {
    return complete_.load() ? rocksdb::IOStatus::OK() : target()->Sync(options, dbg);
  }
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* dbg) override {
    return complete_.load() ? rocksdb::IOStatus::OK() : target()->Fsync(options, dbg);
  }

 private:
  std::atomic<bool> complete_{false};
  const std::function<void(LogFile*)> gone_;
};

// StoreFileSystem adds two syncs that RocksDB leaves out, and takes one failure from it.
//
// Links: its import of a family links table files into the store's directory and then syncs a manifest
// that names them, without syncing the directory: after a power failure the manifest could name a file
// that is not there.
//
// Logs: when it goes on to the next write-ahead log, unsynced writes in the last one stay unsynced. A
// power failure could take them and spare later ones in the next log, and recovery would not notice:
// the loss would not be at the end, as the engine promises, but in the middle.
//
// A log that can't be made: RocksDB 7.8 takes several full memtables, with a reference on the family of
// each, and forgets those behind the first for which it can't go on to the next log
// (DBImpl::ScheduleFlushes). Builds with assertions abort for that when the database is closed. So it
// gets a log in which every write fails, and nothing can be made in the directory any more: what the
// memtables hold stays in the logs that there are.
class StoreFileSystem : public rocksdb::FileSystemWrapper {
 public:
  StoreFileSystem(const std::shared_ptr<rocksdb::FileSystem>& base, std::string dir,
                  ple_events* events)
      : FileSystemWrapper(base), dir_(std::move(dir)), events_(events) {}

  const char* Name() const override { return "PleiadesStore"; }

  // Opened says that the database is open. Until then a log that can't be made makes the opening fail.
  void Opened() { opened_.store(true); }

  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* dbg) override {
    if (!IsOurs(name)) return target()->NewWritableFile(name, options, file, dbg);
    if (!IsLog(name)) {
      rocksdb::IOStatus st = Broken();
      return st.ok() ? target()->NewWritableFile(name, options, file, dbg) : st;
    }
    rocksdb::IOStatus st = NewLog(name, options, file, dbg);
    if (st.ok() || !opened_.load()) return st;
    {
      std::lock_guard<std::mutex> hold(broken_mu_);
      broken_ = st;
    }
    ple_events_fail(events_, st);
    file->reset(new BrokenLog(st));
    return rocksdb::IOStatus::OK();
  }

  rocksdb::IOStatus LinkFile(const std::string& from, const std::string& to,
                             const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* dbg) override {
    rocksdb::IOStatus st = target()->LinkFile(from, to, options, dbg);
    return st.ok() && IsOurs(to) ? SyncDir(options, dbg) : st;
  }

 private:
  bool IsOurs(const std::string& name) const {
    size_t slash = name.rfind('/');
    return slash != std::string::npos && name.compare(0, slash, dir_) == 0;
  }

  static bool IsLog(const std::string& name) {
    static const std::string kSuffix = ".log";
    return name.size() > kSuffix.size() &&
           name.compare(name.size() - kSuffix.size(), kSuffix.size(), kSuffix) == 0;
  }

  rocksdb::IOStatus NewLog(const std::string& name, const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* file,
                           rocksdb::IODebugContext* dbg) {
    std::lock_guard<std::mutex> hold(mu_);
    rocksdb::IOStatus st = Broken();
    // RocksDB lets nobody write while it makes a log: the last one is complete.
    if (st.ok() && last_log_ != nullptr) {
      st = last_log_->Complete(options.io_options, dbg);
      if (st.ok()) st = SyncDir(options.io_options, dbg);
    }
    std::unique_ptr<rocksdb::FSWritableFile> made;
    if (st.ok()) st = target()->NewWritableFile(name, options, &made, dbg);
    if (!st.ok()) return st;
    last_log_ = new LogFile(std::move(made), [this](LogFile* gone) {
      std::lock_guard<std::mutex> hold(mu_);
      if (last_log_ == gone) last_log_ = nullptr;
    });
    file->reset(last_log_);
    return st;
  }

  // Broken returns why a log could not be made.
  rocksdb::IOStatus Broken() {
    std::lock_guard<std::mutex> hold(broken_mu_);
    return broken_;
  }

  rocksdb::IOStatus SyncDir(const rocksdb::IOOptions& options, rocksdb::IODebugContext* dbg) {
    std::unique_ptr<rocksdb::FSDirectory> dir;
    rocksdb::IOStatus st = target()->NewDirectory(dir_, options, &dir, dbg);
    if (st.ok()) st = dir->Fsync(options, dbg);
    return st;
  }

  const std::string dir_;
  ple_events* const events_;
  std::atomic<bool> opened_{false};
  std::mutex mu_;                // held during a sync of the last log; taken before broken_mu_
  LogFile* last_log_ = nullptr;  // RocksDB's, while it is open; guarded by mu_
  std::mutex broken_mu_;
  rocksdb::IOStatus broken_;  // guarded by broken_mu_
};

// The C API's options are a struct of one member; see native.cc.
struct options_mirror {
  rocksdb::Options rep;
};

}  // namespace

struct ple_env {
  std::shared_ptr<StoreFileSystem> fs;
  std::unique_ptr<rocksdb::Env> rep;
};

extern "C" {

ple_env* ple_env_new(const char* dir, ple_events* events) {
  auto fs = std::make_shared<StoreFileSystem>(rocksdb::FileSystem::Default(), dir, events);
  return new ple_env{fs, rocksdb::NewCompositeEnv(fs)};
}

void ple_env_opened(ple_env* env) { env->fs->Opened(); }

void ple_env_free(ple_env* env) { delete env; }

void ple_options_set_env(void* options, ple_env* env) {
  static_cast<options_mirror*>(options)->rep.env = env->rep.get();
}

}  // extern "C"
