// How many there were of late, and how many of them were marked. What is older than the window
// falls out of it a tenth of the window at a time. Time is passed in, and never goes back.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "engine/session/time_point.h"

namespace dspool::resilience {

using session::TimePoint;

struct Tally {
  std::uint64_t all = 0;
  std::uint64_t marked = 0;
};

class SlidingTally {
 public:
  // REQUIRES: window >= 10 ns.
  explicit SlidingTally(std::chrono::nanoseconds window) noexcept
      : step_(window / static_cast<std::int64_t>(kSteps)) {}

  void add(Tally what, TimePoint now) noexcept {
    if (now >= step_ends_) go_on(now);
    steps_[at_].all += what.all;
    steps_[at_].marked += what.marked;
    sum_.all += what.all;
    sum_.marked += what.marked;
  }
  [[nodiscard]] Tally sum(TimePoint now) noexcept {
    if (now >= step_ends_) go_on(now);
    return sum_;
  }
  void clear() noexcept;

 private:
  static constexpr std::size_t kSteps = 10;

  void go_on(TimePoint now) noexcept;

  std::chrono::nanoseconds step_;
  TimePoint step_ends_{};
  std::size_t at_ = 0;
  Tally sum_;
  std::array<Tally, kSteps> steps_{};
};

}  // namespace dspool::resilience
