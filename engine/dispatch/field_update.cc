#include "engine/dispatch/field_update.h"

#include <fmt/format.h>

#include <optional>
#include <set>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/api/flexbuffer.h"
#include "engine/api/value_verifier.h"
#include "engine/dispatch/errors.h"

namespace dspool::dispatch {
namespace {

constexpr std::size_t kMostKeyOfFieldBytes = 1024;

}  // namespace

Result<session::Delta> delta_from(const FieldUpdate& update, std::size_t limit_bytes) {
  session::Delta delta;
  std::set<std::string_view> keys;
  std::size_t bytes = 0;
  std::optional<Error> wrong;
  const auto take = [&](std::string_view key) {
    if (key.size() > kMostKeyOfFieldBytes || key.find('\0') != std::string_view::npos) {
      wrong = errors::invalid_update("a field's key has at most 1024 bytes and no NUL");
    } else if (!keys.insert(key).second) {
      wrong = errors::invalid_update(fmt::format("the field '{}' is named twice", key));
    }
  };
  const auto add = [&](const std::pair<std::string, Value>& field,
                       std::vector<session::Delta::Put>& to) {
    take(field.first);
    const auto value = field.second.is_null()  // then its own bytes are an empty map's
                           ? std::span<const std::uint8_t>(flex::kNullValue)
                           : field.second.bytes();
    bytes += value.size();
    if (!verify_value(value)) {
      wrong = errors::invalid_update(fmt::format(
          "the value of '{}' nests deeper than 64, or refers to itself too often", field.first));
    }
    to.push_back({.key = field.first, .value = value});
  };
  for (const auto& field : update.puts) add(field, delta.puts);
  for (const auto& field : update.appends) add(field, delta.appends);
  for (const std::string& key : update.deletes) {
    take(key);
    delta.deletes.emplace_back(key);
  }
  if (bytes > limit_bytes) return tl::unexpected(errors::value_too_large(bytes, limit_bytes));
  if (wrong) return tl::unexpected(*std::move(wrong));
  return delta;
}

}  // namespace dspool::dispatch
