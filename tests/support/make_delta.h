// A delta in one expression. It looks into what it was made from.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <utility>

#include "engine/session/delta.h"

namespace dspool::test {

using NamedValue = std::pair<std::string_view, std::span<const std::uint8_t>>;

inline session::Delta make_delta(std::initializer_list<NamedValue> puts,
                                 std::initializer_list<NamedValue> appends = {},
                                 std::initializer_list<std::string_view> deletes = {}) {
  session::Delta delta;
  for (const auto& [key, value] : puts) delta.puts.push_back({.key = key, .value = value});
  for (const auto& [key, value] : appends) delta.appends.push_back({.key = key, .value = value});
  delta.deletes = deletes;
  return delta;
}

}  // namespace dspool::test
