// Strict JSON (RFC 8259) as values: what Value::parse_json() promises.
#pragma once

#include <string_view>

#include "dspool/error.h"
#include "dspool/value.h"

namespace dspool {

[[nodiscard]] Result<Value> read_json(std::string_view text);

}  // namespace dspool
