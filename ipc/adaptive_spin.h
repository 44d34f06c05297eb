// Looking again and again before sleeping, for as long as that has paid off of late. A sleeper is
// woken in 6 to 9 us, a spinner sees what it waits for at once, but takes a core from whoever
// would have produced it.
//
// First it pauses between looks, for at most kPauseLimit; from then on it yields the core.
// Success restores the whole limit, failure halves what is spent next time, down to nothing; then
// every kProbeInterval-th wait spends the whole limit, to find out whether times have changed.
//
// Threads: one.
#pragma once

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace dspool::ipc {

class AdaptiveSpin {
 public:
  using Clock = std::chrono::steady_clock;

  static constexpr std::chrono::nanoseconds kDefaultLimit = std::chrono::microseconds{20};
  static constexpr std::chrono::nanoseconds kPauseLimit = std::chrono::microseconds{1};
  static constexpr std::uint32_t kProbeInterval = 64;

  // The longest spin. 0: `spin` looks once.
  void set_limit(std::chrono::nanoseconds limit) noexcept {
    limit_ = limit;
    budget_ = limit;
  }

  // What the next spin may spend, unless it is a probe.
  [[nodiscard]] std::chrono::nanoseconds budget() const noexcept { return budget_; }

  // Looks until `ready()`; false when the budget was spent in vain.
  template <typename Ready>
  [[nodiscard]] bool spin(Ready&& ready) {
    if (ready()) return true;
    const auto budget = next_budget();
    if (budget.count() <= 0) return false;
    if (look_for(ready, budget)) {
      budget_ = limit_;
      return true;
    }
    budget_ = budget_ / 2 < kPauseLimit ? std::chrono::nanoseconds{0} : budget_ / 2;
    return false;
  }

 private:
  [[nodiscard]] std::chrono::nanoseconds next_budget() noexcept {
    if (budget_.count() > 0) return budget_;
    return ++waits_without_ % kProbeInterval == 0 ? limit_ : budget_;
  }

  template <typename Ready>
  [[nodiscard]] static bool look_for(Ready& ready, std::chrono::nanoseconds budget) {
    constexpr int kLooksPerClockReading = 8;
    const auto start = Clock::now();
    const auto pause_end = start + std::min(budget, kPauseLimit);
    do {
      for (int look = 0; look < kLooksPerClockReading; ++look) {
        pause();
        if (ready()) return true;
      }
    } while (Clock::now() < pause_end);
    while (Clock::now() < start + budget) {
      ::sched_yield();
      if (ready()) return true;
    }
    return false;
  }

  static void pause() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
  }

  std::chrono::nanoseconds limit_ = kDefaultLimit;
  std::chrono::nanoseconds budget_ = kDefaultLimit;
  std::uint32_t waits_without_ = 0;
};

}  // namespace dspool::ipc
