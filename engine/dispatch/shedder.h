// When a pool is asked for more than it can do, and what it should refuse then: CoDel, by the time
// that sessions wait for a slot, scaled to the time that a command takes.
//
// A queue is there to take up bursts. Overload is a wait that does not fall below `onset` for a
// whole `interval`; while it lasts, nobody is let wait for longer than `bound`, because a caller
// that is told soon can go elsewhere, and what is served is served in time.
#pragma once

#include <chrono>

#include "engine/session/time_point.h"

namespace dspool::dispatch {

class Shedder {
 public:
  using Nanoseconds = std::chrono::nanoseconds;

  // `service` is how long a command takes; 0: not known.
  [[nodiscard]] static Nanoseconds onset(Nanoseconds service) noexcept;
  [[nodiscard]] static Nanoseconds interval(Nanoseconds service) noexcept;
  [[nodiscard]] static Nanoseconds bound(Nanoseconds service) noexcept;

  // A session got a slot after this wait.
  void served(Nanoseconds wait, Nanoseconds service, session::TimePoint now) noexcept;
  [[nodiscard]] bool overloaded() const noexcept { return overloaded_; }
  // Whether it wants to know of those that need not wait, too.
  [[nodiscard]] bool watches() const noexcept { return overloaded_ || high_since_ != kNever; }

 private:
  static constexpr session::TimePoint kNever{};

  bool overloaded_ = false;
  session::TimePoint high_since_ = kNever;  // all have waited for longer than the onset since
  session::TimePoint last_high_ = kNever;   // while overloaded: one had still to wait
};

}  // namespace dspool::dispatch
