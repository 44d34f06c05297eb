// One open RocksDB that can be brought back after its writes have failed, while it is read.
//
// After a failed write RocksDB may refuse all others until it is opened anew (an fsync that failed
// has left nobody knowing what is on the disk). Opening it anew decides what there is: it reads
// the write-ahead log and writes that down as tables, synced, before it returns. While the cause
// of the failure lasts, a probe file fails as well, and what is open stays open for reading.
//
// Thread-safe; `write` and `recover` by one thread at a time. Reads wait while it is opened anew.
#pragma once

#include <rocksdb/db.h>

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "dspool/error.h"
#include "engine/store/unflushed_parked.h"

namespace dspool::store {

class Database {
 public:
  // `env`: null for the operating system. Errors: initialization / "store_unreadable".
  static Result<std::unique_ptr<Database>> open(const std::filesystem::path& directory,
                                                rocksdb::Env* env);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Calls `use` with the open database. Null: there is none, opening it has failed.
  template <typename Use>
  auto read(Use&& use) const {
    const std::shared_lock lock(mutex_);
    return use(database_.get());
  }
  // `parked`: sessions that the batch parks.
  rocksdb::Status write(rocksdb::WriteBatch& batch, const rocksdb::WriteOptions& options,
                        const std::vector<std::string_view>& parked);
  rocksdb::Status recover();
  // Parked sessions are gone, all of them.
  void forget_parked();

  // A parked session that could be saved from the memory of a database that had to be closed, and
  // not be written to a new one yet.
  [[nodiscard]] std::optional<std::string> saved_parked(std::string_view id) const;

 private:
  Database(const std::filesystem::path& directory, rocksdb::Env* env);

  rocksdb::Status open_for_writing();
  rocksdb::Status resume();
  rocksdb::Status probe();
  rocksdb::Status open_anew();
  void save_parked();
  rocksdb::Status write_saved_parked();

  const std::string directory_;
  const std::shared_ptr<UnflushedParked> unflushed_ = std::make_shared<UnflushedParked>();
  rocksdb::Options options_;

  mutable std::shared_mutex mutex_;  // over what follows: exclusive where database_ changes
  std::unique_ptr<rocksdb::DB> database_;
  bool writable_ = false;
  std::map<std::string, std::string, std::less<>> saved_parked_;
};

}  // namespace dspool::store
