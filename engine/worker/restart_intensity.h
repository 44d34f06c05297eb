// Whether workers may still be started as the others die, or have done so too often: a state
// machine without a clock.
//
// Only deaths before a worker's first completed request count: those that happen whatever is asked
// of it. With as many of them within `window` as `most` for each worker that is wanted, the
// restarts are exhausted: from then on one worker is tried each `window`, until one is ready, or
// somebody asks for another try.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>

namespace dspool::worker {

class RestartIntensity {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  struct Terms {
    std::uint32_t most = 0;  // of each worker; 0: any number
    std::chrono::milliseconds window{60'000};
  };

  explicit RestartIntensity(const Terms& terms) noexcept : terms_(terms) {}

  // A worker has died so, or could not be started, of `wanted`.
  void died(TimePoint now, std::uint32_t wanted);
  // One is started now.
  void started(TimePoint now) noexcept;
  // One is ready, or another try is asked for (which forgets the deaths).
  void ready() noexcept { is_exhausted_ = false; }
  void ask_again() noexcept;

  [[nodiscard]] bool is_exhausted() const noexcept { return is_exhausted_; }
  // The deaths within the window, as of the last one.
  [[nodiscard]] std::uint32_t deaths() const noexcept {
    return static_cast<std::uint32_t>(deaths_.size());
  }
  // When a worker that is due at `due` may be started.
  [[nodiscard]] TimePoint may_start_at(TimePoint due) const noexcept {
    return is_exhausted_ ? std::max(due, next_try_) : due;
  }

 private:
  const Terms terms_;
  std::deque<TimePoint> deaths_;
  bool is_exhausted_ = false;
  TimePoint next_try_{};
};

}  // namespace dspool::worker
