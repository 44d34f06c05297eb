#include "engine/store/store_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "engine/store/store_value.h"

namespace dspool::store {
namespace {

Error not_a_store(const std::string& directory) {
  return {
      .category = ErrorCategory::kInitialization,
      .code = "store_unreadable",
      .message = fmt::format("{} has a RocksDB in it that is not a store of dspool: name another "
                             "directory",
                             directory)};
}

Error damaged_store(const std::string& directory, std::string_view why) {
  return {.category = ErrorCategory::kInitialization,
          .code = "store_unreadable",
          .message = fmt::format("the store {} is damaged where it tells its format ({}): take it "
                                 "from a backup, or save what can be read with `dspool store "
                                 "export`",
                                 directory, why)};
}

}  // namespace

Result<std::optional<std::uint64_t>> read_format(rocksdb::DB& database,
                                                 const std::string& directory) {
  std::string text;
  const rocksdb::Status read =
      database.Get(rocksdb::ReadOptions(), store_key(RecordKind::kMeta, kFormatKey), &text);
  if (read.IsNotFound()) {
    const std::unique_ptr<rocksdb::Iterator> any(database.NewIterator(rocksdb::ReadOptions()));
    any->SeekToFirst();
    if (!any->Valid() && any->status().ok()) return std::nullopt;
    return tl::unexpected(not_a_store(directory));
  }
  const auto format = decode_number(text);
  if (!read.ok() || !format) {
    return tl::unexpected(damaged_store(directory, read.ToString()));
  }
  if (*format <= kStoreFormat) return format;
  return tl::unexpected(
      Error{.category = ErrorCategory::kInitialization,
            .code = "schema_too_new",
            .message = fmt::format("the store {} has format {}, and this dspool reads no later one "
                                   "than {}: use the dspool that wrote it",
                                   directory, *format, kStoreFormat)});
}

Found read_session(rocksdb::DB& database, std::string_view id) {
  const std::array<std::string, 3> names = {store_key(RecordKind::kTerms, id),
                                            store_key(RecordKind::kLog, id),
                                            store_key(RecordKind::kParked, id)};
  const std::array<rocksdb::Slice, 3> keys = {names[0], names[1], names[2]};
  std::array<rocksdb::PinnableSlice, 3> values;
  std::array<rocksdb::Status, 3> statuses;
  database.MultiGet(rocksdb::ReadOptions(), database.DefaultColumnFamily(), keys.size(),
                    keys.data(), values.data(), statuses.data());  // all as of one moment
  for (const rocksdb::Status& status : statuses) {
    if (!status.ok() && !status.IsNotFound()) return tl::unexpected(status);
  }
  const auto& [terms, log, parked] = values;
  if (statuses[0].ok()) {
    const auto decoded = decode_terms(terms.ToStringView());
    if (!decoded) return tl::unexpected(rocksdb::Status::Corruption("its terms are damaged"));
    return StoredSession{.terms = decoded, .log = log.ToString()};
  }
  if (statuses[2].ok()) return StoredSession{.terms = std::nullopt, .log = parked.ToString()};
  if (statuses[1].ok()) return tl::unexpected(rocksdb::Status::Corruption("it has no terms"));
  return std::nullopt;
}

rocksdb::Status walk(rocksdb::DB& database, RecordKind kind, const IdRange& range,
                     const std::function<bool(std::string id, std::string_view value)>& each) {
  const std::string end = end_key(kind);
  const rocksdb::Slice upper_bound = end;
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &upper_bound;
  const std::unique_ptr<rocksdb::Iterator> at(database.NewIterator(options));
  const std::string_view from = std::max(range.after, range.prefix);
  const std::string start = from.empty() ? first_key(kind) : store_key(kind, from);
  for (at->Seek(start); at->Valid(); at->Next()) {
    std::string id = id_of_key(at->key().ToStringView());
    if (!id.starts_with(range.prefix)) break;
    if (id == range.after) continue;
    if (!each(std::move(id), at->value().ToStringView())) break;
  }
  return at->status();
}

}  // namespace dspool::store
