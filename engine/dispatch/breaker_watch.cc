#include "engine/dispatch/breaker_watch.h"

#include <fmt/format.h>

namespace dspool::dispatch {
namespace {

// "open: <the last failure>"; what somebody has isolated needs no failure.
std::string state_and_cause(const BreakerInfo& breaker) {
  const bool has_cause =
      !breaker.last_failure.empty() &&
      (breaker.state == BreakerState::kOpen || breaker.state == BreakerState::kHalfOpen);
  return fmt::format("{}{}{}", to_string(breaker.state), has_cause ? ": " : "",
                     has_cause ? breaker.last_failure : "");
}

}  // namespace

std::vector<BreakerWatch::Change> BreakerWatch::look(const std::vector<BreakerInfo>& breakers) {
  std::vector<Change> changes;
  for (const BreakerInfo& breaker : breakers) {
    const auto known = states_.find(breaker.name);
    const BreakerState before = known != states_.end() ? known->second : BreakerState::kClosed;
    if (breaker.state == before) continue;
    const bool is_well = breaker.state == BreakerState::kClosed;
    changes.push_back({.level = is_well ? LogLevel::kInfo : LogLevel::kWarning,
                       .text = fmt::format("circuit breaker {} was {}, and is {}", breaker.name,
                                           to_string(before), state_and_cause(breaker))});
    if (is_well) {
      states_.erase(known);
    } else {
      states_[breaker.name] = breaker.state;
    }
  }
  return changes;
}

std::vector<std::string> reasons_of(const std::vector<BreakerInfo>& breakers) {
  std::vector<std::string> reasons;
  for (const BreakerInfo& breaker : breakers) {
    if (breaker.state == BreakerState::kClosed) continue;
    reasons.push_back(
        fmt::format("circuit breaker {} is {}", breaker.name, state_and_cause(breaker)));
  }
  return reasons;
}

}  // namespace dspool::dispatch
