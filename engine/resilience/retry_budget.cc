#include "engine/resilience/retry_budget.h"

#include <algorithm>

namespace dspool::resilience {

bool RetryBudget::try_take(TimePoint now) noexcept {
  const Tally of_late = calls_and_retries_.sum(now);
  if (of_late.marked >= std::max(of_late.all * percent_ / 100, least_)) return false;
  calls_and_retries_.add({.marked = 1}, now);
  return true;
}

}  // namespace dspool::resilience
