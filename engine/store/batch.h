// One write to a store: what it comes to in RocksDB's keys, all of it at once.
#pragma once

#include <rocksdb/write_batch.h>

#include <chrono>
#include <string_view>
#include <vector>

#include "engine/store/durable_store.h"
#include "engine/store/store_key.h"

namespace dspool::store {

class Database;

class Batch {
 public:
  // `write`'s views live until the batch is committed. `now`: when what expires has expired.
  void add(const Write& write, std::chrono::system_clock::time_point now);

  void put(RecordKind kind, std::string_view id, std::string_view value);
  void erase(RecordKind kind, std::string_view id);
  void erase_all(RecordKind kind);
  // A session's terms and state.
  void remove(std::string_view id);

  rocksdb::Status commit(Database& database, Sync sync);

 private:
  rocksdb::WriteBatch batch_;
  std::vector<std::string_view> parked_;
  bool logged_ = false;  // there is more in it than parked sessions
};

}  // namespace dspool::store
