#include "dspool/error.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace dspool {
namespace {

constexpr std::array<std::string_view, 9> kCategoryNames = {
    "initialization", "connection", "communication", "timeout",     "resource_error",
    "health_check",   "session",    "python",        "system_error"};
static_assert(static_cast<std::size_t>(ErrorCategory::kSystemError) + 1 == kCategoryNames.size());

}  // namespace

std::string_view to_string(ErrorCategory category) noexcept {
  const auto index = static_cast<std::size_t>(category);
  return index < kCategoryNames.size() ? kCategoryNames[index] : "unknown";
}

std::optional<ErrorCategory> error_category_from(std::string_view name) noexcept {
  const auto* const found = std::find(kCategoryNames.begin(), kCategoryNames.end(), name);
  if (found == kCategoryNames.end()) return std::nullopt;
  return static_cast<ErrorCategory>(found - kCategoryNames.begin());
}

std::string_view to_string(StateApplied applied) noexcept {
  switch (applied) {
    case StateApplied::kNo:
      return "no";
    case StateApplied::kYes:
      return "yes";
    case StateApplied::kUnknown:
      return "unknown";
  }
  return "unknown";
}

std::string Error::describe() const {
  std::string text(to_string(category));
  if (!code.empty()) text.append("/").append(code);
  text.append(": ");
  if (!exception_type.empty() && !message.starts_with(exception_type)) {
    text.append(exception_type);
    if (!message.empty()) text.append(": ");
  }
  text.append(message);
  if (!worker.empty()) text.append(" (").append(worker).append(")");
  return text;
}

}  // namespace dspool
