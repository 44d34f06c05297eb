#include "engine/resilience/sliding_tally.h"

namespace dspool::resilience {

void SlidingTally::clear() noexcept {
  steps_ = {};
  sum_ = {};
}

void SlidingTally::go_on(TimePoint now) noexcept {
  const std::int64_t passed = (now - step_ends_) / step_ + 1;
  if (passed >= static_cast<std::int64_t>(kSteps)) {
    clear();
    step_ends_ = now + step_;
    return;
  }
  for (std::int64_t i = 0; i < passed; ++i) {
    at_ = (at_ + 1) % kSteps;
    sum_.all -= steps_[at_].all;
    sum_.marked -= steps_[at_].marked;
    steps_[at_] = {};
  }
  step_ends_ += passed * step_;
}

}  // namespace dspool::resilience
