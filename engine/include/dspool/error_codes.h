// All codes that errors of dspool have: why each comes, and what to do. `dspool errors` prints
// them. Commands may raise codes of their own (python/...), which stand in no table.
#pragma once

#include <span>
#include <string_view>

#include "dspool/error.h"

namespace dspool {

struct ErrorCode {
  ErrorCategory category;
  std::string_view code;
  std::string_view cause;
  std::string_view cure;
};

// Sorted by category, in the order of ErrorCategory, then by code. A code may stand in several.
[[nodiscard]] std::span<const ErrorCode> error_codes() noexcept;

}  // namespace dspool
