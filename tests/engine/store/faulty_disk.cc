#include "tests/engine/store/faulty_disk.h"

#include <string>
#include <string_view>
#include <utility>

namespace dspool::store {

struct Faults {
  std::atomic<Fault> now{Fault::kNone};
  std::atomic<bool> only_log{false};

  [[nodiscard]] Fault of(bool log) const { return log || !only_log ? now.load() : Fault::kNone; }
};

namespace {

using rocksdb::FSRandomAccessFile;
using rocksdb::FSWritableFile;
using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

// NOLINTBEGIN(readability-identifier-naming): RocksDB's names
class WritableFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  WritableFile(std::unique_ptr<FSWritableFile> file, std::shared_ptr<Faults> faults, bool log)
      : FSWritableFileOwnerWrapper(std::move(file)), faults_(std::move(faults)), log_(log) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* context) override {
    switch (faults_->of(log_)) {
      case Fault::kAppend:
        return IOStatus::IOError("injected: nothing can be written");
      case Fault::kNoSpace:
        return IOStatus::NoSpace("injected: the disk is full");
      case Fault::kTornAppend: {
        const Slice half(data.data(), data.size() / 2);
        const IOStatus written = FSWritableFileOwnerWrapper::Append(half, options, context);
        return written.ok() ? IOStatus::IOError("injected: only half was written") : written;
      }
      default:
        return FSWritableFileOwnerWrapper::Append(data, options, context);
    }
  }
  IOStatus Append(const Slice& data, const IOOptions& options,
                  const rocksdb::DataVerificationInfo& /*verification*/,
                  IODebugContext* context) override {
    return Append(data, options, context);
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* context) override {
    if (faults_->of(log_) == Fault::kSync) return IOStatus::IOError("injected: sync failed");
    return FSWritableFileOwnerWrapper::Sync(options, context);
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* context) override {
    if (faults_->of(log_) == Fault::kSync) return IOStatus::IOError("injected: sync failed");
    return FSWritableFileOwnerWrapper::Fsync(options, context);
  }

 private:
  const std::shared_ptr<Faults> faults_;
  const bool log_;
};

class ReadableFile final : public rocksdb::FSRandomAccessFileOwnerWrapper {
 public:
  ReadableFile(std::unique_ptr<FSRandomAccessFile> file, std::shared_ptr<Faults> faults)
      : FSRandomAccessFileOwnerWrapper(std::move(file)), faults_(std::move(faults)) {}

  IOStatus Read(std::uint64_t offset, std::size_t length, const IOOptions& options, Slice* result,
                char* scratch, IODebugContext* context) const override {
    if (faults_->now == Fault::kRead) return IOStatus::IOError("injected: it cannot be read");
    return FSRandomAccessFileOwnerWrapper::Read(offset, length, options, result, scratch, context);
  }
  IOStatus MultiRead(rocksdb::FSReadRequest* requests, std::size_t count, const IOOptions& options,
                     IODebugContext* context) override {
    if (faults_->now == Fault::kRead) return IOStatus::IOError("injected: it cannot be read");
    return FSRandomAccessFileOwnerWrapper::MultiRead(requests, count, options, context);
  }

 private:
  const std::shared_ptr<Faults> faults_;
};

}  // namespace

class FaultyDisk::Files final : public rocksdb::FileSystemWrapper {
 public:
  Files() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}

  [[nodiscard]] const char* Name() const override { return "dspool.test.FaultyDisk"; }

  IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                           std::unique_ptr<FSWritableFile>* file,
                           IODebugContext* context) override {
    const bool log = std::string_view(name).ends_with(".log");
    if (faults->of(log) == Fault::kNoSpace) return IOStatus::NoSpace("injected: the disk is full");
    IOStatus status = FileSystemWrapper::NewWritableFile(name, options, file, context);
    if (status.ok()) *file = std::make_unique<WritableFile>(std::move(*file), faults, log);
    return status;
  }
  IOStatus NewRandomAccessFile(const std::string& name, const rocksdb::FileOptions& options,
                               std::unique_ptr<FSRandomAccessFile>* file,
                               IODebugContext* context) override {
    IOStatus status = FileSystemWrapper::NewRandomAccessFile(name, options, file, context);
    if (status.ok()) *file = std::make_unique<ReadableFile>(std::move(*file), faults);
    return status;
  }

  const std::shared_ptr<Faults> faults = std::make_shared<Faults>();
};
// NOLINTEND(readability-identifier-naming)

FaultyDisk::FaultyDisk()
    : files_(std::make_shared<Files>()), env_(rocksdb::NewCompositeEnv(files_)) {}

FaultyDisk::~FaultyDisk() = default;

void FaultyDisk::fail(Fault fault, bool only_log) {
  files_->faults->only_log = only_log;
  files_->faults->now = fault;
}

}  // namespace dspool::store
