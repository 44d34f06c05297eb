// RocksDB's way to append to a log without reading it: what is written stands after what is there.
#pragma once

#include <rocksdb/merge_operator.h>

#include <memory>

namespace dspool::store {

[[nodiscard]] std::shared_ptr<rocksdb::MergeOperator> make_log_merge();

}  // namespace dspool::store
