#include "engine/dispatch/error_rate.h"

#include <algorithm>

namespace dspool::dispatch {

void ErrorRate::sample(TimePoint now, std::uint64_t calls, std::uint64_t errors) {
  samples_.push_back({.at = now, .calls = calls, .errors = errors});
  while (samples_.size() > 1 && samples_[1].at + terms_.window <= now) samples_.pop_front();
  if (is_too_high_) {
    is_too_high_ = this->calls() >= terms_.least_calls && 2 * rate() > terms_.threshold;
  } else {
    is_too_high_ = this->calls() >= terms_.least_calls && rate() > terms_.threshold;
  }
}

double ErrorRate::rate() const noexcept {
  if (calls() == 0) return 0;
  const std::uint64_t before = samples_.front().errors;
  const std::uint64_t errors = std::max(samples_.back().errors, before) - before;
  return static_cast<double>(errors) / static_cast<double>(calls());
}

std::uint64_t ErrorRate::calls() const noexcept {
  return samples_.empty() ? 0 : samples_.back().calls - samples_.front().calls;
}

}  // namespace dspool::dispatch
