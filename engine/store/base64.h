// RFC 4648, with padding: bytes in a line of JSON.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace dspool::store {

[[nodiscard]] std::string to_base64(std::string_view bytes);
// Nothing: this is not base64.
[[nodiscard]] std::optional<std::string> from_base64(std::string_view text);

}  // namespace dspool::store
