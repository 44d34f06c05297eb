// Looking again and again before sleeping, for as long as that has paid off of late. A sleeper is
// woken in 6 to 30 us, a spinner sees what it waits for at once, but takes a core from whoever
// would have produced it.
//
// First it pauses between looks, for at most kPauseLimit, which is longer than a peer needs that
// works on a core of its own; from then on it yields the core, which costs a system call a look.
// Success restores the whole limit. The first failure after it makes the next spin a long one, of
// kLongSpin limits; each further one halves what is spent next time, down to nothing. A yield that
// does not come back in time ends the spinning at once, found or not: on a core with other work the
// scheduler takes a whole slice for it (1.5 ms measured), while a sleeper is woken ahead of that
// work.
// After that, now and then a wait is a long one to find out whether times have changed: every
// kShortestProbeInterval-th, rarer with every probe in vain.
//
// Why long ones: where waking takes longer than the limit, two sides that wait for each other and
// have both fallen asleep would go on sleeping for ever, as each waits for the other's waking.
// What a long spin finds late is worth as much again the next time, until nobody sleeps.
//
// Threads: one.
#pragma once

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

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
  static constexpr int kLongSpin = 3;
  static constexpr Duration kPauseLimit = std::chrono::microseconds{2};
  static constexpr std::uint32_t kShortestProbeInterval = 64;
  static constexpr std::uint32_t kLongestProbeInterval = 16384;

  // The longest spin. 0: `spin` looks once.
  void set_limit(Duration limit) noexcept {
    limit_ = limit;
    budget_ = limit;
    failed_ = false;
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
    const Outcome outcome = look_for(ready, kLongSpin * limit_);
    learn(outcome);
    plan_next_probe();
    return outcome.found;
  }

 private:
  struct Outcome {
    bool found;
    bool core_was_taken;
    Duration spent;  // 0 when found while pausing
  };

  template <typename Ready>
  [[nodiscard]] Outcome look_for(Ready& ready, Duration budget) const {
    constexpr int kLooksPerClockReading = 8;
    const auto start = OnCore::now();
    const auto pause_limit = std::min(budget, kPauseLimit);
    Duration spent{0};
    do {
      for (int look = 0; look < kLooksPerClockReading; ++look) {
        OnCore::pause();
        if (ready()) return {.found = true, .core_was_taken = false, .spent = Duration{0}};
      }
      spent = OnCore::now() - start;
    } while (spent < pause_limit);
    while (spent < budget) {
      OnCore::yield();
      const bool found = ready();
      const Duration before = std::exchange(spent, OnCore::now() - start);
      const bool core_was_taken = spent - before > 2 * limit_;
      if (found || core_was_taken) {
        return {.found = found, .core_was_taken = core_was_taken, .spent = spent};
      }
    }
    return {.found = false, .core_was_taken = false, .spent = spent};
  }

  void learn(const Outcome& outcome) noexcept {
    const bool failed_before = std::exchange(failed_, !outcome.found || outcome.core_was_taken);
    if (outcome.core_was_taken) {
      budget_ = Duration{0};
    } else if (outcome.found) {
      budget_ = std::clamp(2 * outcome.spent, limit_, kLongSpin * limit_);
    } else if (!failed_before) {
      budget_ = kLongSpin * limit_;
    } else {
      const Duration half = std::min(budget_, limit_) / 2;
      budget_ = half < kPauseLimit ? Duration{0} : half;
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
  bool failed_ = false;  // in the last spin
  std::uint32_t waits_since_probe_ = 0;
  std::uint32_t probe_interval_ = kShortestProbeInterval;
};

using AdaptiveSpin = BasicAdaptiveSpin<Core>;

}  // namespace dspool::ipc
