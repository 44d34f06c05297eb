// How many of the calls that ended lately ended with an error, and whether that is too many: a
// state machine without a clock. It is fed with what counters say from time to time, so that it
// costs a call nothing.
//
// It is too many from the moment when the share passes `threshold`, of `least_calls` at least,
// until it is at most half of that, or so few calls are left that they say nothing: so a share that
// lies at the threshold is told once.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>

#include "engine/session/time_point.h"

namespace dspool::dispatch {

using session::TimePoint;

class ErrorRate {
 public:
  struct Terms {
    double threshold = 0.05;                   // 0 to 1
    std::chrono::milliseconds window{60'000};  // how far back it looks, give or take a sample
    std::uint64_t least_calls = 20;
  };

  explicit ErrorRate(const Terms& terms) noexcept : terms_(terms) {}

  // What the counters say now: how many calls have ended since the start, and of these with errors.
  // Since they are not read at one moment, either may be a little behind.
  void sample(TimePoint now, std::uint64_t calls, std::uint64_t errors);

  // Of the calls within the window; 0: there are none.
  [[nodiscard]] double rate() const noexcept;
  [[nodiscard]] std::uint64_t calls() const noexcept;
  [[nodiscard]] bool is_too_high() const noexcept { return is_too_high_; }

 private:
  struct Sample {
    TimePoint at;
    std::uint64_t calls = 0;
    std::uint64_t errors = 0;
  };

  const Terms terms_;
  std::deque<Sample> samples_;  // the first is the last one before the window
  bool is_too_high_ = false;
};

}  // namespace dspool::dispatch
