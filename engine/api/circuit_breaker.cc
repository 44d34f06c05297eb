#include "dspool/circuit_breaker.h"

namespace dspool {

std::string_view to_string(BreakerState state) noexcept {
  switch (state) {
    case BreakerState::kClosed:
      return "closed";
    case BreakerState::kOpen:
      return "open";
    case BreakerState::kHalfOpen:
      return "half_open";
    case BreakerState::kIsolated:
      return "isolated";
  }
  return "unknown";
}

}  // namespace dspool
