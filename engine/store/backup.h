// A copy of an open RocksDB as it is now: tables are linked where they can be, not copied.
#pragma once

#include <rocksdb/db.h>

#include <filesystem>

#include "dspool/error.h"

namespace dspool::store {

// `to` must not exist, the directory around it must. Errors: resource_error / "backup_exists";
// system_error / "backup_failed".
Result<void> back_up(rocksdb::DB& database, const std::filesystem::path& to);

// What others who make one say.
[[nodiscard]] Error backup_exists(const std::filesystem::path& to);
[[nodiscard]] Error backup_failed(const std::filesystem::path& to, std::string_view why);

}  // namespace dspool::store
