#include "engine/worker/restart_intensity.h"

namespace dspool::worker {

void RestartIntensity::died(TimePoint now, std::uint32_t wanted) {
  if (terms_.most == 0) return;
  deaths_.push_back(now);
  while (deaths_.front() + terms_.window <= now) deaths_.pop_front();
  const std::uint64_t bound = std::uint64_t{terms_.most} * std::max(wanted, 1U);
  if (is_exhausted_ || deaths_.size() < bound) return;
  is_exhausted_ = true;
  next_try_ = now + terms_.window;
}

void RestartIntensity::started(TimePoint now) noexcept {
  if (is_exhausted_) next_try_ = now + terms_.window;
}

void RestartIntensity::ask_again() noexcept {
  is_exhausted_ = false;
  deaths_.clear();
}

}  // namespace dspool::worker
