// What stands in a store beside logs: terms and times, as fixed little-endian bytes.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/store/durable_store.h"

namespace dspool::store {

[[nodiscard]] std::string encode_terms(const StoredTerms& terms);
[[nodiscard]] std::optional<StoredTerms> decode_terms(std::string_view bytes);

[[nodiscard]] std::string encode_time(std::chrono::system_clock::time_point time);
[[nodiscard]] std::optional<std::chrono::system_clock::time_point> decode_time(
    std::string_view bytes);

[[nodiscard]] std::string encode_number(std::uint64_t number);
[[nodiscard]] std::optional<std::uint64_t> decode_number(std::string_view bytes);

}  // namespace dspool::store
