// What stands in a store, for those who have its RocksDB open: to write it, or only to look at it.
#pragma once

#include <rocksdb/db.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

#include "engine/store/durable_store.h"
#include "engine/store/store_key.h"

namespace dspool::store {

// The store's layout, as a number that is in it. A later one is not understood.
inline constexpr std::uint64_t kStoreFormat = 1;
inline constexpr std::string_view kFormatKey = "format";  // of RecordKind::kMeta
inline constexpr std::string_view kEpochKey = "epoch";    // the same

// Nothing: it is empty. Errors (initialization): "schema_too_new"; "store_unreadable": it is
// RocksDB, and not a store of ours.
Result<std::optional<std::uint64_t>> read_format(rocksdb::DB& database,
                                                 const std::string& directory);

using Found = tl::expected<std::optional<StoredSession>, rocksdb::Status>;
Found read_session(rocksdb::DB& database, std::string_view id);

// Those that come after `after` and begin with `prefix`.
struct IdRange {
  std::string_view after;
  std::string_view prefix;
};
// Calls `each` with the ids and values of a kind, in the order of the ids, until it says false.
rocksdb::Status walk(rocksdb::DB& database, RecordKind kind, const IdRange& range,
                     const std::function<bool(std::string id, std::string_view value)>& each);

}  // namespace dspool::store
