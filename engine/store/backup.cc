#include "engine/store/backup.h"

#include <fmt/format.h>
#include <rocksdb/utilities/checkpoint.h>

#include <memory>
#include <system_error>

namespace dspool::store {

Error backup_exists(const std::filesystem::path& to) {
  return {.category = ErrorCategory::kResourceError,
          .code = "backup_exists",
          .message = fmt::format("there is something at {} already: name a place for the backup "
                                 "where there is nothing",
                                 to.string())};
}

Error backup_failed(const std::filesystem::path& to, std::string_view why) {
  return {.category = ErrorCategory::kSystemError,
          .code = "backup_failed",
          .message = fmt::format("the backup to {} failed ({}): see that the directory around it "
                                 "exists, may be written, and has room",
                                 to.string(), why)};
}

Result<void> back_up(rocksdb::DB& database, const std::filesystem::path& to) {
  std::error_code ignored;
  if (std::filesystem::exists(to, ignored)) return tl::unexpected(backup_exists(to));
  rocksdb::Checkpoint* made = nullptr;
  rocksdb::Status status = rocksdb::Checkpoint::Create(&database, &made);
  const std::unique_ptr<rocksdb::Checkpoint> checkpoint(made);
  if (status.ok()) status = checkpoint->CreateCheckpoint(to.string());
  if (status.ok()) return {};
  return tl::unexpected(backup_failed(to, status.ToString()));
}

}  // namespace dspool::store
