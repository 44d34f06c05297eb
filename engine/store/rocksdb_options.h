// How a store's RocksDB is set up: the same for those who write one and those who look at one.
#pragma once

#include <rocksdb/options.h>

namespace dspool::store {

// `env`: null for the operating system.
[[nodiscard]] rocksdb::Options rocksdb_options(rocksdb::Env* env);

}  // namespace dspool::store
