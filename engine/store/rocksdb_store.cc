#include "engine/store/rocksdb_store.h"

#include <fmt/format.h>

#include <system_error>
#include <utility>

#include "engine/store/backup.h"
#include "engine/store/batch.h"
#include "engine/store/database.h"
#include "engine/store/holder.h"
#include "engine/store/store_key.h"
#include "engine/store/store_reader.h"
#include "engine/store/store_value.h"

namespace dspool::store {
namespace {

Error not_made(const std::filesystem::path& directory, const std::error_code& why) {
  return {.category = ErrorCategory::kInitialization,
          .code = "store_unreadable",
          .message = fmt::format("the store's directory {} cannot be made ({}): see that it may be "
                                 "written, or name another one",
                                 directory.string(), why.message())};
}

rocksdb::Status not_open() {
  return rocksdb::Status::Aborted("it could not be opened again after a failure");
}

}  // namespace

RocksDbStore::RocksDbStore(const std::filesystem::path& directory, Holder holder,
                           std::unique_ptr<Database> database, const Options& options)
    : directory_(directory.string()),
      holder_(std::make_unique<Holder>(std::move(holder))),
      database_(std::move(database)),
      now_(options.now) {}

RocksDbStore::~RocksDbStore() = default;

Result<std::unique_ptr<RocksDbStore>> RocksDbStore::open(const std::filesystem::path& directory,
                                                         const Options& options) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) return tl::unexpected(not_made(directory, error));
  Result<Holder> holder = Holder::take(directory, Holder::Use::kAlone);
  if (!holder) return tl::unexpected(std::move(holder.error()));
  auto database = Database::open(directory, options.env);
  if (!database) return tl::unexpected(std::move(database.error()));
  std::unique_ptr<RocksDbStore> store(
      new RocksDbStore(directory, std::move(*holder), std::move(*database), options));
  if (Result<void> checked = store->check_format(); !checked) {
    return tl::unexpected(std::move(checked.error()));
  }
  return store;
}

Result<void> RocksDbStore::check_format() {
  const auto format =
      database_->read([this](rocksdb::DB* database) { return read_format(*database, directory_); });
  if (!format) return tl::unexpected(format.error());
  if (format->has_value()) return {};
  Batch batch;
  batch.put(RecordKind::kMeta, kFormatKey, encode_number(kStoreFormat));
  return commit(batch, Sync::kYes);
}

Error RocksDbStore::failed(std::string_view why) const {
  return {
      .category = ErrorCategory::kSystemError,
      .code = "store_failed",
      .message = fmt::format("the store {} failed ({}): see whether its disk is full or broken; "
                             "it is written again as soon as that is possible",
                             directory_, why),
      .retryable = true};
}

bool RocksDbStore::too_old(std::chrono::system_clock::time_point expired) const {
  return now_() - expired >= kTombstoneLife;
}

Result<void> RocksDbStore::check_owner(OwnerEpoch owner) const {
  if (owner == epoch_ && owner != 0) return {};
  return tl::unexpected(Error{
      .category = ErrorCategory::kSystemError,
      .code = "stale_owner",
      .message = fmt::format("the store {} has a later owner (epoch {}, and this is of epoch {}): "
                             "this engine must stop",
                             directory_, epoch_.load(), owner)});
}

Result<void> RocksDbStore::commit(Batch& batch, Sync sync) {
  if (failed_)
    return tl::unexpected(failed("a write failed before, and nothing has mended it yet"));
  const rocksdb::Status written = batch.commit(*database_, sync);
  if (written.ok()) return {};
  failed_ = true;
  return tl::unexpected(failed(written.ToString()));
}

Result<OwnerEpoch> RocksDbStore::own() {
  Batch batch;
  std::string epoch;
  const rocksdb::Status read = database_->read([&](rocksdb::DB* database) {
    if (database == nullptr) return not_open();
    rocksdb::Status status =
        database->Get(rocksdb::ReadOptions(), store_key(RecordKind::kMeta, kEpochKey), &epoch);
    if (!status.ok() && !status.IsNotFound()) return status;
    // Only where there is something: a range that is erased is looked at by every later read.
    status = walk(*database, RecordKind::kParked, {}, [&](const auto&, std::string_view) {
      batch.erase_all(RecordKind::kParked);
      return false;
    });
    if (!status.ok()) return status;
    return walk(*database, RecordKind::kTombstone, {},
                [&](const std::string& id, std::string_view value) {
                  const auto expired = decode_time(value);
                  if (!expired || too_old(*expired)) batch.erase(RecordKind::kTombstone, id);
                  return true;
                });
  });
  if (!read.ok()) return tl::unexpected(failed(read.ToString()));
  const OwnerEpoch next = decode_number(epoch).value_or(0) + 1;
  batch.put(RecordKind::kMeta, kEpochKey, encode_number(next));
  if (Result<void> done = commit(batch, Sync::kYes); !done) {
    return tl::unexpected(std::move(done.error()));
  }
  database_->forget_parked();
  epoch_ = next;
  return next;
}

Result<void> RocksDbStore::write(OwnerEpoch owner, std::span<const Write> writes, Sync sync) {
  if (Result<void> checked = check_owner(owner); !checked) return checked;
  Batch batch;
  for (const Write& write : writes) batch.add(write, now_());
  return commit(batch, sync);
}

Result<void> RocksDbStore::recover() {
  const rocksdb::Status recovered = database_->recover();
  failed_ = !recovered.ok();
  if (recovered.ok()) return {};
  return tl::unexpected(failed(recovered.ToString()));
}

tl::expected<std::optional<StoredSession>, rocksdb::Status> RocksDbStore::find(
    std::string_view id) const {
  auto found = database_->read([id](rocksdb::DB* database) -> Found {
    if (database == nullptr) return tl::unexpected(not_open());
    return read_session(*database, id);
  });
  if (!found || found->has_value()) return found;
  auto saved = database_->saved_parked(id);
  if (saved) *found = StoredSession{.terms = std::nullopt, .log = std::move(*saved)};
  return found;
}

Result<std::optional<StoredSession>> RocksDbStore::read(std::string_view id) {
  Found found = find(id);
  if (found && (found->has_value() || !is_set_aside(id))) return std::move(*found);
  const std::string why = found ? "it was set aside" : found.error().ToString();
  if (!found && !found.error().IsCorruption()) return tl::unexpected(failed(why));
  return tl::unexpected(
      Error{.category = ErrorCategory::kSession,
            .code = "session_corrupted",
            .message = fmt::format("what the store {} has of the session cannot be read ({}): end "
                                   "the session, or take it from a backup",
                                   directory_, why)});
}

Result<void> RocksDbStore::set_aside(OwnerEpoch owner, std::string_view id) {
  if (Result<void> checked = check_owner(owner); !checked) return checked;
  const Found found = find(id);
  Batch batch;
  // What RocksDB itself cannot read stays where it is: another time, or tool, may read it.
  if (found && found->has_value()) {
    batch.remove(id);
    batch.put(RecordKind::kSetAside, id, (*found)->log);
  } else if (!found) {
    batch.put(RecordKind::kSetAside, id, {});
  }
  return commit(batch, Sync::kYes);
}

bool RocksDbStore::is_set_aside(std::string_view id) const {
  return database_
      ->read([&](rocksdb::DB* database) {
        std::string ignored;
        const std::string key = store_key(RecordKind::kSetAside, id);
        return database != nullptr ? database->Get(rocksdb::ReadOptions(), key, &ignored)
                                   : not_open();
      })
      .ok();
}

rocksdb::Status RocksDbStore::walk_all(
    RecordKind kind, const IdRange& range,
    const std::function<bool(std::string, std::string_view)>& each) const {
  return database_->read([&](rocksdb::DB* database) {
    return database == nullptr ? not_open() : walk(*database, kind, range, each);
  });
}

std::vector<std::string> RocksDbStore::list_set_aside() {
  std::vector<std::string> ids;
  walk_all(RecordKind::kSetAside, {}, [&](std::string id, std::string_view) {
    ids.push_back(std::move(id));
    return true;
  }).PermitUncheckedError();  // there is no other answer than those that can be read
  return ids;
}

std::optional<std::chrono::system_clock::time_point> RocksDbStore::expired(std::string_view id) {
  std::string text;
  const bool found = database_->read([&](rocksdb::DB* database) {
    const std::string key = store_key(RecordKind::kTombstone, id);
    return database != nullptr && database->Get(rocksdb::ReadOptions(), key, &text).ok();
  });
  const auto time = found ? decode_time(text) : std::nullopt;
  return time && !too_old(*time) ? time : std::nullopt;
}

Result<std::vector<DurableStore::Listed>> RocksDbStore::list(std::string_view after,
                                                             std::size_t limit,
                                                             std::string_view prefix) {
  std::vector<Listed> listed;
  if (limit == 0) return listed;
  const rocksdb::Status read =
      walk_all(RecordKind::kTerms, {after, prefix}, [&](std::string id, std::string_view value) {
        // Damaged terms hide no session: whoever reads it is told.
        listed.push_back(
            {.id = std::move(id), .terms = decode_terms(value).value_or(StoredTerms{})});
        return listed.size() < limit;
      });
  if (!read.ok()) return tl::unexpected(failed(read.ToString()));
  return listed;
}

Result<std::vector<DurableStore::Tombstone>> RocksDbStore::list_expired(std::string_view after,
                                                                        std::size_t limit) {
  std::vector<Tombstone> listed;
  if (limit == 0) return listed;
  const rocksdb::Status read =
      walk_all(RecordKind::kTombstone, {after, {}}, [&](std::string id, std::string_view value) {
        const auto expired = decode_time(value);
        if (!expired || too_old(*expired)) return true;
        listed.push_back({.id = std::move(id), .expired = *expired});
        return listed.size() < limit;
      });
  if (!read.ok()) return tl::unexpected(failed(read.ToString()));
  return listed;
}

Result<void> RocksDbStore::backup(const std::filesystem::path& to) {
  return database_->read([&](rocksdb::DB* database) -> Result<void> {
    if (database == nullptr) return tl::unexpected(backup_failed(to, not_open().ToString()));
    return back_up(*database, to);
  });
}

}  // namespace dspool::store
