// L3 in a directory of its own, with RocksDB: no server, and many sessions' commits share one sync.
//
// Invariants
//   I1  What one `write` is given lies in one batch of RocksDB: all of it is there, or none.
//   I2  The epoch only grows, and is synced before own() returns.
//   I3  After a failed write all others fail, until recover() has succeeded.
//
// Crash: what was synced is there at the next start. The write-ahead log is read up to where it
// breaks off, so what was not synced is there up to some write, and from there on not.
// Parked sessions are written without the log (I1 then holds for as long as the process lives).
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/store/durable_store.h"
#include "engine/store/store_key.h"

namespace rocksdb {
class Env;
class Status;
}  // namespace rocksdb

namespace dspool::store {

class Batch;
class Database;
class Holder;
struct IdRange;

class RocksDbStore final : public DurableStore {
 public:
  struct Options {
    rocksdb::Env* env = nullptr;  // where the files are; null: the operating system
    std::function<std::chrono::system_clock::time_point()> now = std::chrono::system_clock::now;
  };

  // How long it is known that a session has expired.
  static constexpr std::chrono::hours kTombstoneLife{1};

  // Makes the directory where there is none. Errors (initialization): "store_in_use", by whom;
  // "store_unreadable"; "schema_too_new".
  static Result<std::unique_ptr<RocksDbStore>> open(const std::filesystem::path& directory,
                                                    const Options& options);
  static Result<std::unique_ptr<RocksDbStore>> open(const std::filesystem::path& directory) {
    return open(directory, Options());
  }
  ~RocksDbStore() override;

  Result<OwnerEpoch> own() override;
  Result<void> write(OwnerEpoch owner, std::span<const Write> writes, Sync sync) override;
  Result<void> recover() override;
  Result<std::optional<StoredSession>> read(std::string_view id) override;
  Result<void> set_aside(OwnerEpoch owner, std::string_view id) override;
  std::vector<std::string> list_set_aside() override;
  std::optional<std::chrono::system_clock::time_point> expired(std::string_view id) override;
  Result<std::vector<Listed>> list(std::string_view after, std::size_t limit,
                                   std::string_view prefix) override;
  Result<std::vector<Tombstone>> list_expired(std::string_view after, std::size_t limit) override;
  Result<void> backup(const std::filesystem::path& to) override;

 private:
  RocksDbStore(const std::filesystem::path& directory, Holder holder,
               std::unique_ptr<Database> database, const Options& options);

  Result<void> check_format();
  Result<void> check_owner(OwnerEpoch owner) const;
  Result<void> commit(Batch& batch, Sync sync);
  // Parked ones too, wherever they are.
  [[nodiscard]] tl::expected<std::optional<StoredSession>, rocksdb::Status> find(
      std::string_view id) const;
  [[nodiscard]] bool is_set_aside(std::string_view id) const;
  // Calls `each` with ids and values, until it says false.
  rocksdb::Status walk_all(RecordKind kind, const IdRange& range,
                           const std::function<bool(std::string, std::string_view)>& each) const;
  [[nodiscard]] Error failed(std::string_view why) const;
  [[nodiscard]] bool too_old(std::chrono::system_clock::time_point expired) const;

  const std::string directory_;
  const std::unique_ptr<Holder> holder_;  // for as long as there is a database
  const std::unique_ptr<Database> database_;
  const std::function<std::chrono::system_clock::time_point()> now_;
  std::atomic<OwnerEpoch> epoch_{0};
  std::atomic<bool> failed_{false};
};

}  // namespace dspool::store
