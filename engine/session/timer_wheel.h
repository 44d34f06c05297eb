// Deadlines by the hundred thousand: arming and disarming a timer costs a few nanoseconds,
// whatever else is armed, and allocates nothing.
//
// A hashed wheel: kSlots lists of intrusive timers, one for each tick of a round. A timer further
// ahead than a round lies in its slot and is passed over until its round comes: a tick should be
// long enough that few are. A bitmap of two levels finds the next slot that is not empty.
//
// Invariants
//   I1  an armed timer is in slots_[tick % kSlots] or, while that slot is visited, in visiting_.
//   I2  occupied_ has a slot's bit set if and only if its list is not empty; occupied_words_ has
//       a word's bit set if and only if the word is not 0.
//   I3  a timer is armed for a tick after swept_to_: whatever a sweep is for was armed before it
//       began. It visits no slot twice, so it ends, whatever callbacks arm.
//
// A timer's due time is rounded up to the next tick: it never fires early, and at most a tick late
// when advance() is called in time. One that is due already fires at the next tick.
//
// Not thread-safe: the owner's lock covers it. Callbacks may arm, disarm and destroy any timer,
// the one that fires too.
#pragma once

#include <array>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

#include "engine/session/time_point.h"

namespace dspool::session {

// One alarm of one owner, usually a member of it. `kind` tells an owner's timers apart, and owners
// of different types; the wheel does not look at either.
class Timer {
 public:
  Timer(std::uint8_t kind, void* subject) noexcept : subject_(subject), kind_(kind) {}
  ~Timer() { assert(!armed()); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  [[nodiscard]] bool armed() const noexcept { return link_ != nullptr; }
  [[nodiscard]] std::uint8_t kind() const noexcept { return static_cast<std::uint8_t>(kind_); }
  template <typename T>
  [[nodiscard]] T& subject() const noexcept {
    return *static_cast<T*>(subject_);
  }

 private:
  friend class TimerWheel;

  Timer* next_ = nullptr;
  Timer** link_ = nullptr;  // what points to this timer; null: not armed
  void* subject_;
  std::uint64_t tick_ : 56 = 0;
  std::uint64_t kind_ : 8;
};

class TimerWheel {
 public:
  static constexpr std::size_t kSlots = 4096;

  // `tick`, at least a microsecond: how exactly timers fire.
  TimerWheel(TimePoint start, std::chrono::nanoseconds tick) noexcept
      : start_(start), tick_length_(tick) {}
  // Disarms what is armed.
  ~TimerWheel();
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // An armed timer is moved. REQUIRES: it is armed on no other wheel.
  void arm(Timer& timer, TimePoint due) noexcept;
  // Does nothing to a timer that is not armed.
  void disarm(Timer& timer) noexcept;

  // Calls `fired(timer)` for each timer that is due, disarmed by then, in no particular order.
  // Looks at no more than `max_work` timers. Returns whether there is more to look at. Time that
  // goes backwards stands still.
  template <typename Fired>
  bool advance(TimePoint now, Fired&& fired,
               std::size_t max_work = std::numeric_limits<std::size_t>::max()) {
    while (Timer* timer = take_due(now, max_work)) fired(*timer);
    return sweeping() || swept_to_ < elapsed_ticks(now);
  }

  // When advance() is worth calling next: no later than any timer is due, at times earlier, never
  // before `now`. Nothing if no timer is armed.
  [[nodiscard]] std::optional<TimePoint> next_due_hint(TimePoint now) const noexcept;

 private:
  static constexpr std::uint64_t kMostTicks = (std::uint64_t{1} << 56) - 1;
  static constexpr std::size_t kWordBits = 64;
  static constexpr std::size_t kWords = kSlots / kWordBits;
  static_assert(kWords == kWordBits, "occupied_words_ is one word");

  [[nodiscard]] std::uint64_t elapsed_ticks(TimePoint now) const noexcept;  // rounded down
  [[nodiscard]] bool sweeping() const noexcept {
    return visiting_ != nullptr || next_to_visit_ <= sweep_end_;
  }
  // Unlinks and returns the next timer that is due, if there is one within `work`.
  Timer* take_due(TimePoint now, std::size_t& work) noexcept;
  // The next tick from `tick` on, and less than a round ahead, whose slot is not empty.
  [[nodiscard]] std::optional<std::uint64_t> next_occupied(std::uint64_t tick) const noexcept;
  void visit(std::size_t slot) noexcept;  // REQUIRES: the slot is not empty
  void link(Timer& timer) noexcept;
  void unlink(Timer& timer) noexcept;
  void mark_if_empty(std::size_t slot) noexcept;

  TimePoint start_;  // tick 0
  std::chrono::nanoseconds tick_length_;
  std::uint64_t swept_to_ = 0;       // the tick that the last sweep, done or under way, is for
  std::uint64_t next_to_visit_ = 1;  // that sweep's next slot, as a tick
  std::uint64_t sweep_end_ = 0;      // its last; at most a round after its first
  Timer* visiting_ = nullptr;        // what is left of the slot that it visits
  std::array<Timer*, kSlots> slots_{};
  std::array<std::uint64_t, kWords> occupied_{};
  std::uint64_t occupied_words_ = 0;
};

}  // namespace dspool::session
