// A store in a directory, and short words for what is done to it.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/store/rocksdb_store.h"

namespace dspool::store {

class StoreIn {
 public:
  explicit StoreIn(const std::filesystem::path& directory,
                   const RocksDbStore::Options& options = {})
      : directory_(directory), options_(options) {
    open();
  }

  void open() {
    auto opened = RocksDbStore::open(directory_, options_);
    ASSERT_TRUE(opened) << opened.error().describe();
    store_ = std::move(*opened);
    const auto owned = store_->own();
    ASSERT_TRUE(owned) << owned.error().describe();
    owner_ = *owned;
  }
  void close() { store_.reset(); }
  void reopen() {
    close();
    open();
  }

  RocksDbStore& operator*() { return *store_; }
  RocksDbStore* operator->() { return store_.get(); }
  [[nodiscard]] OwnerEpoch owner() const noexcept { return owner_; }

  Result<void> begin(std::string_view id) {
    const StoredTerms terms{.ttl = std::chrono::milliseconds(5'000), .created = kCreated};
    return write({{.kind = Write::Kind::kBegin, .session = id, .records = {}, .terms = &terms}});
  }
  Result<void> append(std::string_view id, std::string_view records, Sync sync = Sync::kYes) {
    return write({of(Write::Kind::kAppend, id, records)}, sync);
  }
  Result<void> park(std::string_view id, std::string_view records) {
    return write({of(Write::Kind::kPark, id, records)}, Sync::kNo);
  }
  Result<void> write(const std::vector<Write>& writes, Sync sync = Sync::kYes) {
    return store_->write(owner_, writes, sync);
  }
  // Nothing: no such session, or it cannot be read.
  std::optional<std::string> log(std::string_view id) {
    auto found = store_->read(id);
    if (!found || !*found) return std::nullopt;
    return std::move((*found)->log);
  }

  static Write of(Write::Kind kind, std::string_view id, std::string_view records = {}) {
    return {.kind = kind,
            .session = id,
            .records = std::as_bytes(std::span(records)),
            .terms = nullptr};
  }

  static constexpr std::chrono::system_clock::time_point kCreated{
      std::chrono::seconds(1'700'000'000)};

 private:
  const std::filesystem::path directory_;
  const RocksDbStore::Options options_;
  std::unique_ptr<RocksDbStore> store_;
  OwnerEpoch owner_ = 0;
};

}  // namespace dspool::store
