// How many calls may be repeated of late: a part of those that came, or so many a second where that
// is more. When everything fails, each call is then executed 1.2 times instead of `max_retries`
// times, and what failed under load is not given more of it.
//
// It looks at the last ten seconds, and not at each one: a worker that dies with all that it had in
// hand asks for many retries at once.
#pragma once

#include <chrono>
#include <cstdint>

#include "dspool/retry.h"
#include "engine/resilience/sliding_tally.h"

namespace dspool::resilience {

class RetryBudget {
 public:
  static constexpr std::chrono::seconds kWindow{10};

  explicit RetryBudget(const RetryConfig& config) noexcept
      : percent_(config.budget_percent),
        least_(std::uint64_t{config.budget_per_second} *
               static_cast<std::uint64_t>(kWindow.count())) {}

  void note_call(TimePoint now) noexcept { calls_and_retries_.add({.all = 1}, now); }
  // Takes a retry out of the budget; false: there is none left.
  [[nodiscard]] bool try_take(TimePoint now) noexcept;

 private:
  std::uint64_t percent_;
  std::uint64_t least_;
  SlidingTally calls_and_retries_{kWindow};  // `all`: calls; `marked`: retries
};

}  // namespace dspool::resilience
