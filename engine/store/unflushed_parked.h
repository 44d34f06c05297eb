// Which parked sessions are in RocksDB's memory only: they are written without a write-ahead log,
// so that a database that has to be closed without being flushed would lose them.
//
// Thread-safe. Bounded by what RocksDB keeps in memory.
#pragma once

#include <rocksdb/listener.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace dspool::store {

class UnflushedParked final : public rocksdb::EventListener {
 public:
  // `sequence`: RocksDB's after the write.
  void parked(std::string_view id, std::uint64_t sequence);
  [[nodiscard]] std::vector<std::string> ids() const;
  void clear();

  // NOLINTNEXTLINE(readability-identifier-naming)
  void OnFlushCompleted(rocksdb::DB* database, const rocksdb::FlushJobInfo& flushed) override;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::uint64_t, std::less<>> ids_;
};

}  // namespace dspool::store
