#include "engine/session/timer_wheel.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <utility>

namespace dspool::session {

TimerWheel::~TimerWheel() {
  const auto disarm_all = [](Timer*& first) {
    while (first != nullptr) {
      Timer& timer = *std::exchange(first, first->next_);
      timer.link_ = nullptr;
    }
  };
  std::ranges::for_each(slots_, disarm_all);
  disarm_all(visiting_);
}

void TimerWheel::arm(Timer& timer, TimePoint due) noexcept {
  if (timer.armed()) unlink(timer);
  std::uint64_t tick = 0;
  if (due > start_) {  // rounded up
    tick =
        static_cast<std::uint64_t>((due - start_ - std::chrono::nanoseconds(1)) / tick_length_) + 1;
  }
  tick = std::max(tick, swept_to_ + 1);  // I3
  assert(tick <= kMostTicks);
  timer.tick_ = tick & kMostTicks;
  link(timer);
}

void TimerWheel::disarm(Timer& timer) noexcept {
  if (timer.armed()) unlink(timer);
}

std::optional<TimePoint> TimerWheel::next_due_hint(TimePoint now) const noexcept {
  if (sweeping()) return now;
  const auto tick = next_occupied(swept_to_ + 1);
  if (!tick) return std::nullopt;
  return std::max(now, start_ + static_cast<std::int64_t>(*tick) * tick_length_);
}

std::uint64_t TimerWheel::elapsed_ticks(TimePoint now) const noexcept {
  return now > start_ ? static_cast<std::uint64_t>((now - start_) / tick_length_) : 0;
}

Timer* TimerWheel::take_due(TimePoint now, std::size_t& work) noexcept {
  while (true) {
    while (visiting_ != nullptr) {
      if (work == 0) return nullptr;
      --work;
      Timer& timer = *visiting_;
      unlink(timer);
      if (timer.tick_ <= swept_to_) return &timer;
      link(timer);  // its round is still to come
    }
    if (!sweeping()) {
      const std::uint64_t elapsed = elapsed_ticks(now);
      if (elapsed <= swept_to_) return nullptr;
      next_to_visit_ = swept_to_ + 1;
      swept_to_ = elapsed;
      // After a whole round there is no slot left that was not visited.
      sweep_end_ = std::min(elapsed, next_to_visit_ + kSlots - 1);
    }
    const auto tick = next_occupied(next_to_visit_);
    if (tick && *tick <= sweep_end_) {
      visit(*tick % kSlots);
      next_to_visit_ = *tick + 1;
    } else {
      next_to_visit_ = sweep_end_ + 1;
    }
  }
}

std::optional<std::uint64_t> TimerWheel::next_occupied(std::uint64_t tick) const noexcept {
  const std::size_t slot = tick % kSlots;
  const std::size_t word = slot / kWordBits;
  const std::size_t bit = slot % kWordBits;
  if (const std::uint64_t rest = occupied_[word] >> bit; rest != 0) {
    return tick + static_cast<std::uint64_t>(std::countr_zero(rest));
  }
  // Other words, the nearest first; at the very end this one again, for the bits before `bit`.
  const std::uint64_t others = std::rotr(occupied_words_, static_cast<int>(word + 1));
  if (others == 0) return std::nullopt;
  const auto words_ahead = static_cast<std::size_t>(std::countr_zero(others)) + 1;
  const std::uint64_t found = occupied_[(word + words_ahead) % kWords];
  return tick - bit + words_ahead * kWordBits + static_cast<std::uint64_t>(std::countr_zero(found));
}

void TimerWheel::visit(std::size_t slot) noexcept {
  visiting_ = std::exchange(slots_[slot], nullptr);
  visiting_->link_ = &visiting_;
  mark_if_empty(slot);
}

void TimerWheel::link(Timer& timer) noexcept {
  const std::size_t slot = timer.tick_ % kSlots;
  Timer*& head = slots_[slot];
  timer.next_ = head;
  timer.link_ = &head;
  if (head != nullptr) head->link_ = &timer.next_;
  head = &timer;
  occupied_[slot / kWordBits] |= std::uint64_t{1} << slot % kWordBits;
  occupied_words_ |= std::uint64_t{1} << slot / kWordBits;
}

void TimerWheel::unlink(Timer& timer) noexcept {
  *timer.link_ = timer.next_;
  if (timer.next_ != nullptr) timer.next_->link_ = timer.link_;
  timer.link_ = nullptr;
  mark_if_empty(timer.tick_ % kSlots);
}

void TimerWheel::mark_if_empty(std::size_t slot) noexcept {
  if (slots_[slot] != nullptr) return;
  std::uint64_t& word = occupied_[slot / kWordBits];
  word &= ~(std::uint64_t{1} << slot % kWordBits);
  if (word == 0) occupied_words_ &= ~(std::uint64_t{1} << slot / kWordBits);
}

}  // namespace dspool::session
