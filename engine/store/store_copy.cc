// A copy of a store that an engine may be using: read as RocksDB's secondary does, which follows
// another process's database without a lock, and written to a new one.
#include <fmt/format.h>
#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <system_error>

#include "dspool/store.h"
#include "engine/store/backup.h"
#include "engine/store/rocksdb_options.h"
#include "engine/store/store_reader.h"

namespace dspool {
namespace {

constexpr std::size_t kBatchBytes = std::size_t{1} << 20;
// The other side may take away a file between the moment at which it is named and that at which it
// is opened. Each try begins with what is there then.
constexpr int kMostTries = 20;

// A directory that is gone when it is not needed any more, or was renamed.
class Scratch {
 public:
  explicit Scratch(std::filesystem::path path) : path_(std::move(path)) {}
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  const std::filesystem::path path_;
};

rocksdb::Status open_beside(const std::filesystem::path& directory,
                            const std::filesystem::path& scratch,
                            std::unique_ptr<rocksdb::DB>& database) {
  rocksdb::Options options = store::rocksdb_options(nullptr);
  options.max_open_files = -1;  // all at once: what is open cannot be taken away
  rocksdb::Status status;
  for (int tries = 0; tries < kMostTries; ++tries) {
    rocksdb::DB* opened = nullptr;
    status = rocksdb::DB::OpenAsSecondary(options, directory.string(), scratch.string(), &opened);
    database.reset(opened);
    if (status.ok()) break;
  }
  return status;
}

class Copy {
 public:
  Copy(rocksdb::DB& from, rocksdb::DB& to, const StoreProgress& progress)
      : from_(from), to_(to), progress_(progress) {
    from.GetIntProperty("rocksdb.estimate-num-keys", &expected_keys_);
    unlogged_.disableWAL = true;  // all of it is flushed at the end
  }

  // All keys but those of parked sessions, as they are at one moment.
  rocksdb::Status run() {
    const std::unique_ptr<rocksdb::Iterator> at(from_.NewIterator(rocksdb::ReadOptions()));
    const std::string parked = store::first_key(store::RecordKind::kParked);
    const std::string terms = store::first_key(store::RecordKind::kTerms);
    for (at->SeekToFirst(); at->Valid(); at->Next()) {
      if (at->key().starts_with(parked)) continue;
      if (at->key().starts_with(terms)) ++sessions_;
      rocksdb::Status status = batch_.Put(at->key(), at->value());
      if (status.ok() && batch_.GetDataSize() >= kBatchBytes) status = write();
      if (!status.ok()) return status;
      if (++keys_ % 1'024 == 0 && progress_ && !progress_(keys_ / 2, expected())) {
        return rocksdb::Status::Incomplete("it was stopped");
      }
    }
    if (!at->status().ok()) return at->status();
    const rocksdb::Status written = write();
    return written.ok() ? to_.Flush(rocksdb::FlushOptions()) : written;
  }

  [[nodiscard]] std::uint64_t sessions() const noexcept { return sessions_; }

 private:
  [[nodiscard]] std::uint64_t expected() const { return std::max(keys_, expected_keys_) / 2; }

  rocksdb::Status write() {
    rocksdb::Status written = to_.Write(unlogged_, &batch_);
    batch_.Clear();
    return written;
  }

  rocksdb::DB& from_;
  rocksdb::DB& to_;
  const StoreProgress& progress_;
  rocksdb::WriteOptions unlogged_;
  rocksdb::WriteBatch batch_;
  std::uint64_t keys_ = 0;
  std::uint64_t expected_keys_ = 0;
  std::uint64_t sessions_ = 0;
};

}  // namespace

Result<std::uint64_t> StoreAtRest::backup(const std::filesystem::path& directory,
                                          const std::filesystem::path& to,
                                          const StoreProgress& progress) {
  std::error_code error;
  if (std::filesystem::exists(to, error)) return tl::unexpected(store::backup_exists(to));
  if (!std::filesystem::exists(directory / "CURRENT", error)) {
    return tl::unexpected(Error{.category = ErrorCategory::kInitialization,
                                .code = "store_unreadable",
                                .message = fmt::format("there is no store in {}: name a store's "
                                                       "directory",
                                                       directory.string())});
  }
  const std::string unfinished = fmt::format("{}.{}", to.string(), ::getpid());
  const Scratch secondary(unfinished + ".reading");
  const Scratch copy(unfinished + ".writing");
  std::unique_ptr<rocksdb::DB> from;
  rocksdb::Status status = open_beside(directory, secondary.path(), from);
  if (!status.ok()) return tl::unexpected(store::backup_failed(to, status.ToString()));
  const auto format = store::read_format(*from, directory.string());
  if (!format) return tl::unexpected(format.error());

  rocksdb::Options options = store::rocksdb_options(nullptr);
  options.create_if_missing = true;
  options.error_if_exists = true;
  rocksdb::DB* opened = nullptr;
  status = rocksdb::DB::Open(options, copy.path().string(), &opened);
  std::unique_ptr<rocksdb::DB> target(opened);
  if (!status.ok()) return tl::unexpected(store::backup_failed(to, status.ToString()));
  Copy copying(*from, *target, progress);
  status = copying.run();
  if (status.ok()) status = target->Close();
  target.reset();
  if (!status.ok()) return tl::unexpected(store::backup_failed(to, status.ToString()));
  std::filesystem::rename(copy.path(), to, error);
  if (error) return tl::unexpected(store::backup_failed(to, error.message()));
  if (progress) progress(copying.sessions(), copying.sessions());
  return copying.sessions();
}

}  // namespace dspool
