// What an engine tells by itself when its health changes: to the log, and to who observes it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "dspool/stats.h"

namespace dspool {

// The pool's health has changed.
struct HealthChange {
  HealthStatus from = HealthStatus::kUnhealthy;
  HealthStatus to = HealthStatus::kUnhealthy;
  std::vector<std::string> reasons{};  // for what it is now; empty when healthy
};
using HealthObserver = std::function<void(const HealthChange&)>;

enum class AlertKind : std::uint8_t {
  kErrorRate,          // more calls end with errors than health.error_rate_threshold allows
  kRestartsExhausted,  // workers die before they complete a request, and are hardly started any
                       // more
};
[[nodiscard]] std::string_view to_string(AlertKind kind) noexcept;

// Told once when something begins to be wrong, and once when it is over.
struct Alert {
  AlertKind kind = AlertKind::kErrorRate;
  bool is_raised = false;  // false: it is over
  std::string message{};   // what is so now, in words
};
using AlertObserver = std::function<void(const Alert&)>;

}  // namespace dspool
