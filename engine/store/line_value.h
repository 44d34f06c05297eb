// Texts and values as they stand in a session's line.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "dspool/value.h"

namespace dspool::store {

// Whether it is UTF-8.
[[nodiscard]] bool is_text(std::string_view bytes) noexcept;

void append_line_value(std::string& line, const Value& value);
// Nothing: it says that it is a FlexBuffer, and is none.
[[nodiscard]] std::optional<Value> value_in_line(const ValueView& value);

}  // namespace dspool::store
