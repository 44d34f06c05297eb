#include "engine/session/timer_wheel.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <random>
#include <vector>

#include "tests/support/seed.h"

namespace dspool::session {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

constexpr TimePoint kStart{std::chrono::seconds(12'345)};
constexpr milliseconds kRound(TimerWheel::kSlots);

// A wheel and numbered timers. Time is told from the wheel's start.
class TimerWheelTest : public testing::Test {
 protected:
  void TearDown() override {
    for (Timer& timer : timers_) wheel_.disarm(timer);
  }

  Timer& timer(std::uint8_t number) {
    while (timers_.size() <= number) {
      timers_.emplace_back(static_cast<std::uint8_t>(timers_.size()), this);
    }
    return timers_[number];
  }
  void arm(std::uint8_t number, nanoseconds due) { wheel_.arm(timer(number), kStart + due); }
  void disarm(std::uint8_t number) { wheel_.disarm(timer(number)); }

  // The numbers of the timers that fire, in order.
  std::vector<int> advance(nanoseconds now, std::size_t max_work = 1'000'000) {
    std::vector<int> fired;
    more_ = wheel_.advance(
        kStart + now,
        [&](Timer& timer) {
          EXPECT_FALSE(timer.armed());
          fired.push_back(timer.kind());
          if (on_fire_) on_fire_(timer.kind());
        },
        max_work);
    return fired;
  }

  [[nodiscard]] std::optional<nanoseconds> hint(nanoseconds now) const {
    const auto due = wheel_.next_due_hint(kStart + now);
    return due ? std::optional(*due - kStart) : std::nullopt;
  }

  TimerWheel wheel_{kStart, milliseconds(1)};
  std::deque<Timer> timers_;
  std::function<void(int)> on_fire_;
  bool more_ = false;
};

TEST_F(TimerWheelTest, FiresOnceAndNeverEarly) {
  arm(0, milliseconds(5));
  arm(1, microseconds(5'001));
  EXPECT_THAT(advance(nanoseconds(4'999'999)), IsEmpty());
  EXPECT_TRUE(timer(0).armed());
  EXPECT_THAT(advance(milliseconds(5)), ElementsAre(0));
  EXPECT_THAT(advance(nanoseconds(5'999'999)), IsEmpty());
  EXPECT_THAT(advance(milliseconds(6)), ElementsAre(1));
  EXPECT_THAT(advance(hours(1)), IsEmpty());
}

TEST_F(TimerWheelTest, TellsWhoseTimerFired) {
  arm(7, milliseconds(1));
  wheel_.advance(kStart + milliseconds(1), [&](const Timer& timer) {
    EXPECT_EQ(timer.kind(), 7);
    EXPECT_EQ(&timer.subject<TimerWheelTest>(), this);
  });
}

TEST_F(TimerWheelTest, ADisarmedTimerDoesNotFire) {
  for (std::uint8_t i = 0; i < 3; ++i) arm(i, milliseconds(5));
  disarm(1);
  disarm(1);
  EXPECT_THAT(advance(milliseconds(5)), UnorderedElementsAre(0, 2));
}

TEST_F(TimerWheelTest, RearmingMovesATimer) {
  arm(0, milliseconds(5));
  arm(0, milliseconds(8));
  EXPECT_THAT(advance(milliseconds(7)), IsEmpty());
  EXPECT_THAT(advance(milliseconds(8)), ElementsAre(0));
  arm(0, milliseconds(20));
  arm(0, milliseconds(10));
  EXPECT_THAT(advance(milliseconds(10)), ElementsAre(0));
}

TEST_F(TimerWheelTest, WhatIsDueAlreadyFiresAtTheNextTick) {
  EXPECT_THAT(advance(milliseconds(50)), IsEmpty());
  arm(0, milliseconds(10));
  arm(1, milliseconds(-10));
  EXPECT_THAT(advance(milliseconds(50)), IsEmpty());
  EXPECT_THAT(advance(milliseconds(51)), UnorderedElementsAre(0, 1));
}

TEST_F(TimerWheelTest, ATimerOfALaterRoundStaysInItsSlot) {
  arm(0, milliseconds(10));
  arm(1, milliseconds(10) + kRound);
  arm(2, milliseconds(10) + 3 * kRound);
  EXPECT_THAT(advance(milliseconds(10)), ElementsAre(0));
  EXPECT_THAT(advance(milliseconds(9) + kRound), IsEmpty());
  EXPECT_THAT(advance(milliseconds(10) + kRound), ElementsAre(1));
  EXPECT_THAT(advance(milliseconds(9) + 3 * kRound), IsEmpty());
  EXPECT_THAT(advance(milliseconds(10) + 3 * kRound), ElementsAre(2));
}

TEST_F(TimerWheelTest, AJumpOfHoursFiresAllThatIsDueAndNothingElse) {
  arm(0, milliseconds(1));
  arm(1, hours(1));
  arm(2, hours(3));
  arm(3, hours(3) + milliseconds(1));
  arm(4, hours(24 * 365));
  EXPECT_THAT(advance(hours(3)), UnorderedElementsAre(0, 1, 2));
  EXPECT_THAT(advance(hours(3) + milliseconds(1)), ElementsAre(3));
  EXPECT_THAT(advance(hours(24 * 365) - milliseconds(1)), IsEmpty());
  EXPECT_THAT(advance(hours(24 * 365)), ElementsAre(4));
}

TEST_F(TimerWheelTest, TheFarthestTimeIsNever) {
  wheel_.arm(timer(0), TimePoint::max());
  EXPECT_THAT(advance(hours(24 * 365)), IsEmpty());
  EXPECT_TRUE(timer(0).armed());
}

TEST_F(TimerWheelTest, TimeThatGoesBackwardsStandsStill) {
  EXPECT_THAT(advance(milliseconds(50)), IsEmpty());
  arm(0, milliseconds(60));
  EXPECT_THAT(advance(milliseconds(-50)), IsEmpty());
  EXPECT_THAT(advance(milliseconds(40)), IsEmpty());
  EXPECT_THAT(advance(milliseconds(60)), ElementsAre(0));
}

TEST_F(TimerWheelTest, ACallbackDisarmsATimerOfTheSameTick) {
  arm(0, milliseconds(5));
  arm(1, milliseconds(5));
  on_fire_ = [&](int number) { disarm(number == 0 ? 1 : 0); };
  EXPECT_EQ(advance(milliseconds(5)).size(), 1U);
  EXPECT_FALSE(timer(0).armed());
  EXPECT_FALSE(timer(1).armed());
}

// However long the jump, and wherever in the round, what a callback arms is not lost behind the
// sweep, and does not keep it from ending.
TEST_F(TimerWheelTest, WhatACallbackArmsAsDueFiresAtTheNextTick) {
  arm(0, milliseconds(100));
  on_fire_ = [&](int) { arm(0, milliseconds(50)); };
  EXPECT_THAT(advance(2 * kRound), ElementsAre(0));
  EXPECT_FALSE(more_);
  EXPECT_THAT(advance(2 * kRound + milliseconds(1)), ElementsAre(0));
}

TEST_F(TimerWheelTest, ACallbackRearmsItsTimerIntoTheSameSlot) {
  arm(0, milliseconds(5));
  on_fire_ = [&](int) { arm(0, milliseconds(5) + kRound); };
  EXPECT_THAT(advance(milliseconds(5)), ElementsAre(0));
  EXPECT_THAT(advance(milliseconds(4) + kRound), IsEmpty());
  on_fire_ = nullptr;
  EXPECT_THAT(advance(milliseconds(5) + kRound), ElementsAre(0));
}

TEST_F(TimerWheelTest, WorkIsBoundedAndTakenUpAgain) {
  for (std::uint8_t i = 0; i < 10; ++i) arm(i, milliseconds(5 + i % 2));
  std::vector<int> all;
  for (int step = 0; step < 5; ++step) {
    const std::vector<int> fired = advance(milliseconds(6), 2);
    EXPECT_EQ(fired.size(), 2U);
    EXPECT_EQ(more_, step < 4);
    all.insert(all.end(), fired.begin(), fired.end());
  }
  EXPECT_THAT(all, UnorderedElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
}

TEST_F(TimerWheelTest, ATimerPassedOverCountsAsWork) {
  arm(0, milliseconds(5) + kRound);
  arm(1, milliseconds(5) + kRound);
  EXPECT_THAT(advance(milliseconds(5), 1), IsEmpty());
  EXPECT_TRUE(more_);
  EXPECT_THAT(advance(milliseconds(5), 1), IsEmpty());
  EXPECT_FALSE(more_);
}

TEST_F(TimerWheelTest, TimeMovesOnDuringASweep) {
  for (std::uint8_t i = 0; i < 4; ++i) arm(i, milliseconds(5));
  EXPECT_THAT(advance(milliseconds(5), 1), testing::SizeIs(1));
  arm(4, milliseconds(7));
  arm(5, milliseconds(9));
  EXPECT_THAT(advance(milliseconds(8)), testing::SizeIs(4));
  EXPECT_FALSE(timer(4).armed());
  EXPECT_THAT(advance(milliseconds(9)), ElementsAre(5));
}

TEST_F(TimerWheelTest, TimersCanBeMovedBetweenTheStepsOfASweep) {
  for (std::uint8_t i = 0; i < 4; ++i) arm(i, milliseconds(5));
  const std::vector<int> first = advance(milliseconds(5), 1);
  ASSERT_EQ(first.size(), 1U);
  const auto moved = static_cast<std::uint8_t>((first[0] + 1) % 4);
  arm(moved, milliseconds(5));  // due, so at the next tick
  EXPECT_THAT(advance(milliseconds(5)), testing::SizeIs(2));
  EXPECT_THAT(advance(milliseconds(6)), ElementsAre(moved));
}

TEST_F(TimerWheelTest, HintsAtTheNextTimer) {
  EXPECT_EQ(hint(milliseconds(0)), std::nullopt);
  arm(0, milliseconds(4'000));
  arm(1, microseconds(1'500));
  EXPECT_EQ(hint(milliseconds(0)), milliseconds(2));
  EXPECT_EQ(hint(milliseconds(3)), milliseconds(3));
  advance(milliseconds(3));
  EXPECT_EQ(hint(milliseconds(3)), milliseconds(4'000));
  disarm(0);
  EXPECT_EQ(hint(milliseconds(3)), std::nullopt);
}

TEST_F(TimerWheelTest, HintsAtNowInTheMiddleOfASweep) {
  arm(0, milliseconds(5));
  arm(1, milliseconds(5));
  advance(milliseconds(5), 1);
  EXPECT_EQ(hint(milliseconds(5)), milliseconds(5));
}

TEST_F(TimerWheelTest, FindsEverySlotFromEverySlot) {
  for (int from = 0; from < 200; ++from) {
    for (const int distance : {1, 2, 63, 64, 65, 127, 128, 4032, 4033, 4095, 4096}) {
      arm(0, milliseconds(from + distance));
      EXPECT_EQ(hint(milliseconds(from)), milliseconds(from + distance));
    }
    disarm(0);
    advance(milliseconds(from + 1));
  }
}

// Random operations, inside and outside of callbacks, against a list of when each timer must fire.
// Between complete sweeps exactly those must fire that the list says; sweeps in small steps fire
// the same timers in the end. DSPOOL_SEED repeats a run.
class Model {
 public:
  explicit Model(std::uint64_t seed) : random_(seed) {
    for (std::size_t i = 0; i < kTimers; ++i) timers_.emplace_back(std::uint8_t{0}, &ticks_[i]);
  }
  ~Model() {
    for (Timer& timer : timers_) wheel_.disarm(timer);
  }

  void run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      for (std::uint64_t n = pick(20); n > 0; --n) change_one();
      advance(random_step());
    }
  }

 private:
  static constexpr std::size_t kTimers = 300;
  static constexpr std::uint64_t kDisarmed = 0;

  std::uint64_t pick(std::uint64_t below) { return random_() % below; }

  nanoseconds random_step() {
    switch (pick(10)) {
      case 0:
        return nanoseconds(0);
      case 1:
        return kRound * static_cast<int>(pick(4)) + milliseconds(static_cast<int>(pick(3)) - 1);
      case 2:
        return hours(pick(10));
      case 3:
        return milliseconds(pick(10'000));
      default:
        return nanoseconds(pick(8'000'000));
    }
  }

  void change_one() {
    const std::size_t i = pick(kTimers);
    if (pick(3) == 0) {
      wheel_.disarm(timers_[i]);
      ticks_[i] = kDisarmed;
    } else {
      const TimePoint due = now_ + random_step() - milliseconds(pick(3));
      wheel_.arm(timers_[i], due);
      const auto tick = std::chrono::ceil<milliseconds>(due - kStart).count();
      ticks_[i] = std::max(static_cast<std::uint64_t>(std::max<std::int64_t>(tick, 0)), swept_ + 1);
    }
  }

  void advance(nanoseconds step) {
    now_ = std::max(now_, now_ + step);
    const auto target = static_cast<std::uint64_t>((now_ - kStart) / milliseconds(1));
    swept_ = target;
    const bool in_steps = pick(2) == 0;
    const auto fired = [&](Timer& timer) {
      auto& tick = timer.subject<std::uint64_t>();
      EXPECT_NE(tick, kDisarmed) << "fired though not armed";
      EXPECT_LE(tick, target) << "fired early";
      tick = kDisarmed;
      if (pick(4) == 0) change_one();
    };
    while (wheel_.advance(now_, fired, in_steps ? pick(5) : 1'000'000)) {
      if (pick(4) == 0) change_one();
    }
    std::optional<std::uint64_t> next;
    for (const std::uint64_t tick : ticks_) {
      if (tick == kDisarmed) continue;
      EXPECT_GT(tick, target) << "did not fire";
      next = std::min(next.value_or(tick), tick);
    }
    const auto hint = wheel_.next_due_hint(now_);
    ASSERT_EQ(hint.has_value(), next.has_value());
    if (next) {
      EXPECT_GE(*hint, now_);
      EXPECT_LE(*hint, kStart + milliseconds(*next));
    }
  }

  std::mt19937_64 random_;
  TimerWheel wheel_{kStart, milliseconds(1)};
  std::array<std::uint64_t, kTimers> ticks_{};  // when each must fire
  std::deque<Timer> timers_;
  TimePoint now_ = kStart;
  std::uint64_t swept_ = 0;
};

TEST(TimerWheelModelTest, FiresWhatAPlainListOfTimersFires) {
  Model(test::test_seed()).run(20'000);
}

}  // namespace
}  // namespace dspool::session
