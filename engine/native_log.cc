#include "native_log.h"

#include <fcntl.h>
#include <rocksdb/env.h>
#include <rocksdb/options.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>

namespace {

// LogFile is RocksDB's info log. RocksDB's own writes through its file layer, which in builds with
// assertions aborts the process at the second line that a full or failing disk refuses. This one loses
// such lines instead. It keeps one older file, and leaves out the thousands of lines in which RocksDB
// repeats its options at each opening (they are in the OPTIONS file).
class LogFile : public rocksdb::Logger {
 public:
  explicit LogFile(const std::string& path)
      : Logger(rocksdb::InfoLogLevel::WARN_LEVEL), path_(path) {
    Reopen();
  }
  ~LogFile() override {
    if (fd_ >= 0) close(fd_);
  }

  void LogHeader(const char*, va_list) override {}

  using Logger::Logv;
  void Logv(const char* format, va_list args) override {
    char line[kLineBytes];
    struct timeval now;
    gettimeofday(&now, nullptr);
    struct tm t;
    gmtime_r(&now.tv_sec, &t);
    int n = snprintf(line, sizeof line, "%04d-%02d-%02dT%02d:%02d:%02d.%06dZ ", t.tm_year + 1900,
                     t.tm_mon + 1, t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec,
                     static_cast<int>(now.tv_usec));
    int more = vsnprintf(line + n, sizeof line - n - 1, format, args);
    if (more > 0) n = std::min(n + more, static_cast<int>(sizeof line) - 2);
    if (line[n - 1] != '\n') line[n++] = '\n';
    std::lock_guard<std::mutex> hold(mu_);
    if (size_ + n > kFileBytes) Reopen();
    if (fd_ < 0) return;
    ssize_t written = write(fd_, line, n);  // nobody to tell if it fails
    if (written > 0) size_ += written;
  }

  size_t GetLogFileSize() const override { return size_; }

 private:
  static constexpr int kLineBytes = 4096;
  static constexpr size_t kFileBytes = 16 << 20;

  // Reopen goes on with the file, or begins a new one when it is full.
  void Reopen() {
    if (fd_ >= 0) close(fd_);
    struct stat st;
    if (stat(path_.c_str(), &st) == 0 && static_cast<size_t>(st.st_size) > kFileBytes / 2) {
      rename(path_.c_str(), (path_ + ".old").c_str());
      st.st_size = 0;
    }
    fd_ = open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    size_ = fd_ >= 0 && fstat(fd_, &st) == 0 ? st.st_size : 0;
  }

  const std::string path_;
  std::mutex mu_;
  int fd_ = -1;      // guarded by mu_, as is size_
  size_t size_ = 0;
};

// The C API's options are a struct of one member; see native.cc.
struct options_mirror {
  rocksdb::Options rep;
};

}  // namespace

extern "C" void ple_options_log_to(void* options, const char* path) {
  auto& opts = static_cast<options_mirror*>(options)->rep;
  opts.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  opts.info_log = std::make_shared<LogFile>(path);
}
