#include "engine/store/rocksdb_options.h"

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/table.h>

#include <cstdarg>
#include <memory>

#include "engine/store/log_merge.h"

namespace dspool::store {
namespace {

// Reads come from shared memory; L3 is read when a session comes back, once.
constexpr std::size_t kBlockCacheBytes = std::size_t{16} << 20;
constexpr std::size_t kWriteBufferBytes = std::size_t{32} << 20;
constexpr int kMostOpenFiles = 256;
constexpr int kBackgroundThreads = 2;
constexpr double kFilterBitsPerKey = 10;  // one absent key in a hundred is looked for

// Whatever goes wrong is told by a status. A log of its own in a file would, once that file could
// not be written to, end the process: RocksDB asserts that nobody logs after a failure.
class Silence final : public rocksdb::Logger {
 public:
  Silence() : rocksdb::Logger(rocksdb::InfoLogLevel::HEADER_LEVEL) {}
  using rocksdb::Logger::Logv;
  void Logv(const char* /*format*/, va_list /*arguments*/) override {}
};

}  // namespace

rocksdb::Options rocksdb_options(rocksdb::Env* env) {
  rocksdb::BlockBasedTableOptions table;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(kFilterBitsPerKey));
  table.block_cache = rocksdb::NewLRUCache(kBlockCacheBytes);

  rocksdb::Options options;
  if (env != nullptr) options.env = env;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.merge_operator = make_log_merge();
  options.write_buffer_size = kWriteBufferBytes;
  options.max_open_files = kMostOpenFiles;
  options.max_background_jobs = kBackgroundThreads;
  options.level_compaction_dynamic_level_bytes = true;
  // Long values are compressed already; short records gain from their neighbours.
  options.compression = rocksdb::kLZ4Compression;
  options.bottommost_compression = rocksdb::kZSTD;
  // A log that breaks off is read up to there: what comes after was never acknowledged.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  // Whether a write that failed has happened is decided in one place, RocksDbStore::recover.
  options.max_bgerror_resume_count = 0;
  options.info_log = std::make_shared<Silence>();
  return options;
}

}  // namespace dspool::store
