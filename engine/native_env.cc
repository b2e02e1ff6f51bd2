#include "native_env.h"

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/options.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "native_status.h"

namespace {

// StoreFileSystem is what RocksDB sees of the file system. It adds two syncs that RocksDB leaves out, and
// keeps two kinds of failure from it that it does not survive well.
//
// Links: its import of a family links table files into the store's directory and then syncs a manifest
// that names them, without syncing the directory: after a power failure the manifest could name a file
// that is not there.
//
// Logs: when it goes on to the next write-ahead log, unsynced writes in the last one stay unsynced. A
// power failure could take them and spare later ones in the next log, and recovery would not notice:
// the loss would not be at the end, as the engine promises, but in the middle.
//
// A log that fails: RocksDB 7.8 loses count of its families when it can't go on to the next log with
// several memtables full (DBImpl::ScheduleFlushes), and a second flush after one that failed there, or a
// synced write beside a sync that failed, meets an assertion. Builds with assertions abort. So going on
// to the next log never fails: it may get one in which every write fails. And errors of a log are handed
// on as "busy", by which RocksDB does not condemn the file; what really happened is reported to the
// engine, which stops. From then on nothing is written to any log, and nothing new can be made in
// the directory: what the memtables hold stays in the logs.
//
// A manifest that fails: when RocksDB could not write or sync that new tables belong to the store, it
// removes them. But the manifest may name them all the same after a crash, and the store would not open.
// So tables stay until another manifest is in force; the next opening removes what none names.
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
                                    rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus LinkFile(const std::string& from, const std::string& to,
                             const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus DeleteFile(const std::string& name, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* dbg) override;

  // LogFailed takes down that an operation on a log has failed, and returns what RocksDB is told.
  rocksdb::IOStatus LogFailed(const rocksdb::IOStatus& why);
  // LogsFailed says whether one has, and Failure how.
  bool LogsFailed() const { return failed_.load(std::memory_order_relaxed); }
  rocksdb::IOStatus Failure();
  static rocksdb::IOStatus Busy() {
    return rocksdb::IOStatus::Busy("a write-ahead log has failed");
  }
  void LogGone(rocksdb::FSWritableFile* log);
  void ManifestFailed() { doubt_.store(true); }

 private:
  // Base returns the name of a file in the store's directory, without it; empty for others.
  std::string Base(const std::string& path) const {
    size_t slash = path.rfind('/');
    if (slash == std::string::npos || path.compare(0, slash, dir_) != 0) return "";
    return path.substr(slash + 1);
  }
  static bool Ends(const std::string& name, const std::string& end) {
    return name.size() > end.size() && name.compare(name.size() - end.size(), end.size(), end) == 0;
  }
  rocksdb::IOStatus NewLog(const std::string& name, const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* file,
                           rocksdb::IODebugContext* dbg);
  rocksdb::IOStatus SyncDir(const rocksdb::IOOptions& options, rocksdb::IODebugContext* dbg) {
    std::unique_ptr<rocksdb::FSDirectory> dir;
    rocksdb::IOStatus st = target()->NewDirectory(dir_, options, &dir, dbg);
    if (st.ok()) st = dir->Fsync(options, dbg);
    return st;
  }

  const std::string dir_;
  ple_events* const events_;
  std::atomic<bool> opened_{false};
  std::atomic<bool> doubt_{false};   // the last manifest may hold more than RocksDB knows
  std::atomic<bool> failed_{false};  // set after failure_
  std::mutex failure_mu_;
  rocksdb::IOStatus failure_;  // guarded by failure_mu_
  std::mutex log_mu_;          // held during a sync of the last log; taken before failure_mu_
  class LogFile* last_log_ = nullptr;  // RocksDB's, while it is open; guarded by log_mu_
};

// LogFile is a log, or what RocksDB gets for one that could not be made. A flush syncs the logs behind the
// current one again, for which there is nothing to do: they are complete and synced.
class LogFile : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  LogFile(std::unique_ptr<rocksdb::FSWritableFile>&& file, StoreFileSystem* fs)
      : FSWritableFileOwnerWrapper(std::move(file)), fs_(fs) {}
  ~LogFile() override { fs_->LogGone(this); }

  // Complete syncs the file. Nobody may write to it meanwhile.
  rocksdb::IOStatus Complete(const rocksdb::IOOptions& options, rocksdb::IODebugContext* dbg) {
    rocksdb::IOStatus st = target()->Sync(options, dbg);
    if (st.ok()) complete_.store(true);
    return st;
  }

  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* dbg) override {
    complete_.store(false, std::memory_order_relaxed);
    return fs_->LogsFailed() ? fs_->Busy() : Told(target()->Append(data, options, dbg));
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo&,
                           rocksdb::IODebugContext* dbg) override {
    return Append(data, options, dbg);
  }
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* dbg) override {
    if (complete_.load()) return rocksdb::IOStatus::OK();
    return fs_->LogsFailed() ? fs_->Busy() : Told(target()->Sync(options, dbg));
  }
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* dbg) override {
    if (complete_.load()) return rocksdb::IOStatus::OK();
    return fs_->LogsFailed() ? fs_->Busy() : Told(target()->Fsync(options, dbg));
  }

 private:
  rocksdb::IOStatus Told(const rocksdb::IOStatus& st) { return st.ok() ? st : fs_->LogFailed(st); }

  StoreFileSystem* const fs_;
  std::atomic<bool> complete_{false};
};

// NoFile is what a log that could not be made writes to: it is never reached.
class NoFile : public rocksdb::FSWritableFile {
 public:
  using FSWritableFile::Append;
  rocksdb::IOStatus Append(const rocksdb::Slice&, const rocksdb::IOOptions&,
                           rocksdb::IODebugContext*) override {
    return rocksdb::IOStatus::IOError("no file");
  }
  rocksdb::IOStatus Sync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
    return rocksdb::IOStatus::IOError("no file");
  }
  rocksdb::IOStatus Flush(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
    return rocksdb::IOStatus::OK();
  }
  rocksdb::IOStatus Close(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
    return rocksdb::IOStatus::OK();
  }
  bool IsSyncThreadSafe() const override { return true; }  // or SyncWAL is "not supported"
};

// ManifestFile notices when a manifest may hold more than RocksDB knows.
class ManifestFile : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  ManifestFile(std::unique_ptr<rocksdb::FSWritableFile>&& file, StoreFileSystem* fs)
      : FSWritableFileOwnerWrapper(std::move(file)), fs_(fs) {}

  using FSWritableFileOwnerWrapper::Append;
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* dbg) override {
    return Seen(target()->Append(data, options, dbg));
  }
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* dbg) override {
    return Seen(target()->Sync(options, dbg));
  }
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* dbg) override {
    return Seen(target()->Fsync(options, dbg));
  }

 private:
  rocksdb::IOStatus Seen(const rocksdb::IOStatus& st) {
    if (!st.ok()) fs_->ManifestFailed();
    return st;
  }

  StoreFileSystem* const fs_;
};

rocksdb::IOStatus StoreFileSystem::NewWritableFile(const std::string& name,
                                                   const rocksdb::FileOptions& options,
                                                   std::unique_ptr<rocksdb::FSWritableFile>* file,
                                                   rocksdb::IODebugContext* dbg) {
  const std::string base = Base(name);
  if (base.empty()) return target()->NewWritableFile(name, options, file, dbg);
  if (Ends(base, ".log")) {
    rocksdb::IOStatus st = NewLog(name, options, file, dbg);
    if (st.ok() || !opened_.load()) return st;
    LogFailed(st);
    file->reset(new LogFile(std::make_unique<NoFile>(), this));
    return rocksdb::IOStatus::OK();
  }
  if (LogsFailed()) return Failure();
  rocksdb::IOStatus st = target()->NewWritableFile(name, options, file, dbg);
  if (st.ok() && base.compare(0, 9, "MANIFEST-") == 0) {
    file->reset(new ManifestFile(std::move(*file), this));
  }
  return st;
}

rocksdb::IOStatus StoreFileSystem::NewLog(const std::string& name,
                                          const rocksdb::FileOptions& options,
                                          std::unique_ptr<rocksdb::FSWritableFile>* file,
                                          rocksdb::IODebugContext* dbg) {
  std::lock_guard<std::mutex> hold(log_mu_);
  if (LogsFailed()) return Failure();
  rocksdb::IOStatus st;
  if (last_log_ != nullptr) {
    // RocksDB lets nobody write while it makes a log: the last one is complete.
    st = last_log_->Complete(options.io_options, dbg);
    if (st.ok()) st = SyncDir(options.io_options, dbg);
  }
  std::unique_ptr<rocksdb::FSWritableFile> made;
  if (st.ok()) st = target()->NewWritableFile(name, options, &made, dbg);
  if (!st.ok()) return st;
  last_log_ = new LogFile(std::move(made), this);
  file->reset(last_log_);
  return st;
}

rocksdb::IOStatus StoreFileSystem::LogFailed(const rocksdb::IOStatus& why) {
  if (!opened_.load()) return why;  // the opening fails by it
  std::lock_guard<std::mutex> hold(failure_mu_);
  if (failure_.ok()) {
    failure_ = why;
    failed_.store(true);
    ple_events_fail(events_, why);
  }
  return Busy();
}

rocksdb::IOStatus StoreFileSystem::Failure() {
  std::lock_guard<std::mutex> hold(failure_mu_);
  return failure_;
}

void StoreFileSystem::LogGone(rocksdb::FSWritableFile* log) {
  std::lock_guard<std::mutex> hold(log_mu_);
  if (last_log_ == log) last_log_ = nullptr;
}

rocksdb::IOStatus StoreFileSystem::LinkFile(const std::string& from, const std::string& to,
                                            const rocksdb::IOOptions& options,
                                            rocksdb::IODebugContext* dbg) {
  rocksdb::IOStatus st = target()->LinkFile(from, to, options, dbg);
  return st.ok() && !Base(to).empty() ? SyncDir(options, dbg) : st;
}

rocksdb::IOStatus StoreFileSystem::RenameFile(const std::string& from, const std::string& to,
                                              const rocksdb::IOOptions& options,
                                              rocksdb::IODebugContext* dbg) {
  rocksdb::IOStatus st = target()->RenameFile(from, to, options, dbg);
  if (st.ok() && doubt_.load() && Base(to) == "CURRENT") {
    st = SyncDir(options, dbg);
    if (st.ok()) doubt_.store(false);
  }
  return st;
}

rocksdb::IOStatus StoreFileSystem::DeleteFile(const std::string& name,
                                              const rocksdb::IOOptions& options,
                                              rocksdb::IODebugContext* dbg) {
  if (doubt_.load() && Ends(Base(name), ".sst")) {
    return rocksdb::IOStatus::Busy("kept until another manifest is in force: ", name);
  }
  return target()->DeleteFile(name, options, dbg);
}

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
