// Looking again and again before sleeping, for as long as that has paid off of late. A sleeper is
// woken in 6 to 9 us, a spinner sees what it waits for at once, but takes a core from whoever
// would have produced it.
//
// First it pauses between looks, for at most kPauseLimit, which is longer than a peer needs that
// works on a core of its own; from then on it yields the core, which costs a system call a look.
// Success restores the whole limit, failure halves what is spent next time, down to nothing. A
// yield that does not come back in time ends the spinning at once, found or not: on a core with
// other work the scheduler takes a whole slice for it (1.5 ms measured), while a sleeper is woken
// ahead of that work.
// After that, now and then a wait spends the whole limit to find out whether times have changed:
// every kShortestProbeInterval-th, rarer with every probe in vain.
//
// Threads: one.
#pragma once

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace dspool::ipc {

// The core that a thread runs on: its clock, and the two ways to leave it to others for a while.
struct Core {
  using Clock = std::chrono::steady_clock;

  static Clock::time_point now() noexcept { return Clock::now(); }
  static void yield() noexcept { ::sched_yield(); }
  static void pause() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }
};

// `OnCore` is `Core`, or a test's.
template <typename OnCore>
class BasicAdaptiveSpin {
 public:
  using Clock = typename OnCore::Clock;
  using Duration = std::chrono::nanoseconds;

  static constexpr Duration kDefaultLimit = std::chrono::microseconds{20};
  static constexpr Duration kPauseLimit = std::chrono::microseconds{2};
  static constexpr std::uint32_t kShortestProbeInterval = 64;
  static constexpr std::uint32_t kLongestProbeInterval = 16384;

  // The longest spin. 0: `spin` looks once.
  void set_limit(Duration limit) noexcept {
    limit_ = limit;
    budget_ = limit;
  }

  // What the next spin may spend, unless it is a probe.
  [[nodiscard]] Duration budget() const noexcept { return budget_; }

  // Looks until `ready()`; false when the budget was spent in vain.
  template <typename Ready>
  [[nodiscard]] bool spin(Ready&& ready) {
    if (ready()) return true;
    if (budget_.count() > 0) {
      const Outcome outcome = look_for(ready, budget_);
      learn(outcome);
      return outcome.found;
    }
    if (limit_.count() <= 0 || ++waits_since_probe_ < probe_interval_) return false;
    const Outcome outcome = look_for(ready, limit_);
    learn(outcome);
    plan_next_probe();
    return outcome.found;
  }

 private:
  struct Outcome {
    bool found;
    Duration spent;  // 0 when found while pausing
  };

  template <typename Ready>
  [[nodiscard]] static Outcome look_for(Ready& ready, Duration budget) {
    constexpr int kLooksPerClockReading = 8;
    const auto start = OnCore::now();
    const auto pause_limit = std::min(budget, kPauseLimit);
    Duration spent{0};
    do {
      for (int look = 0; look < kLooksPerClockReading; ++look) {
        OnCore::pause();
        if (ready()) return {.found = true, .spent = Duration{0}};
      }
      spent = OnCore::now() - start;
    } while (spent < pause_limit);
    while (spent < budget) {
      OnCore::yield();
      const bool found = ready();
      spent = OnCore::now() - start;
      if (found) return {.found = true, .spent = spent};
    }
    return {.found = false, .spent = spent};
  }

  void learn(const Outcome& outcome) noexcept {
    const bool core_was_taken = outcome.spent > 2 * limit_;
    if (outcome.found && !core_was_taken) {
      budget_ = limit_;
    } else {
      budget_ = core_was_taken || budget_ / 2 < kPauseLimit ? Duration{0} : budget_ / 2;
    }
  }

  void plan_next_probe() noexcept {
    const bool paid_off = budget_.count() > 0;
    waits_since_probe_ = 0;
    probe_interval_ = std::clamp(paid_off ? probe_interval_ / 2 : probe_interval_ * 2,
                                 kShortestProbeInterval, kLongestProbeInterval);
  }

  Duration limit_ = kDefaultLimit;
  Duration budget_ = kDefaultLimit;
  std::uint32_t waits_since_probe_ = 0;
  std::uint32_t probe_interval_ = kShortestProbeInterval;
};

using AdaptiveSpin = BasicAdaptiveSpin<Core>;

}  // namespace dspool::ipc
