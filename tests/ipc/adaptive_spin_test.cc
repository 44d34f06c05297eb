#include "ipc/adaptive_spin.h"

#include <gtest/gtest.h>

namespace dspool::ipc {
namespace {

using std::chrono::microseconds;
using std::chrono::nanoseconds;

constexpr auto kLong = BasicAdaptiveSpin<Core>::kLongSpin * BasicAdaptiveSpin<Core>::kDefaultLimit;
constexpr auto kNever = [] { return false; };

// Its time passes while it pauses and yields, and at no other time.
struct ScriptedCore {
  using Clock = std::chrono::steady_clock;

  static Clock::time_point now() { return time; }
  static void pause() { time += nanoseconds{40}; }
  static void yield() {
    ++yields;
    time += yield_takes;
  }

  static inline Clock::time_point time;
  static inline nanoseconds yield_takes;
  static inline int yields;
};

class AdaptiveSpinTest : public testing::Test {
 protected:
  using Spin = BasicAdaptiveSpin<ScriptedCore>;

  AdaptiveSpinTest() {
    ScriptedCore::yield_takes = nanoseconds{500};
    ScriptedCore::yields = 0;
  }

  // How often a spin in vain looks.
  int looks() {
    int count = 0;
    EXPECT_FALSE(spin_.spin([&] {
      ++count;
      return false;
    }));
    return count;
  }

  void unlearn() {
    while (spin_.budget().count() > 0) EXPECT_FALSE(spin_.spin(kNever));
  }

  // Up to the next wait that looks more than once, in vain.
  std::uint32_t waits_until_a_probe() {
    std::uint32_t waits = 1;
    while (looks() == 1) ++waits;
    return waits;
  }

  // Finds what it waits for at its `n`-th yield.
  bool spin_until_yield(int n) {
    const int found_at = ScriptedCore::yields + n;
    return spin_.spin([found_at] { return ScriptedCore::yields == found_at; });
  }

  Spin spin_;
};

TEST_F(AdaptiveSpinTest, SpendsNothingOnWhatIsThereAlready) {
  unlearn();
  const auto before = ScriptedCore::time;
  EXPECT_TRUE(spin_.spin([] { return true; }));
  EXPECT_EQ(ScriptedCore::time, before);
  EXPECT_EQ(spin_.budget().count(), 0) << "nothing was learned, either";
}

TEST_F(AdaptiveSpinTest, PausesAtFirstAndThenYieldsForAsLongAsItsBudget) {
  const auto before = ScriptedCore::time;
  EXPECT_FALSE(spin_.spin(kNever));
  const nanoseconds spent = ScriptedCore::time - before;
  EXPECT_GE(spent, Spin::kDefaultLimit);
  EXPECT_LE(spent, Spin::kDefaultLimit + ScriptedCore::yield_takes);
  const nanoseconds paused = spent - ScriptedCore::yields * ScriptedCore::yield_takes;
  EXPECT_GE(paused, Spin::kPauseLimit);
  EXPECT_LE(paused, 2 * Spin::kPauseLimit);
}

TEST_F(AdaptiveSpinTest, LooksOnceWhenItsLimitIsZero) {
  spin_.set_limit(nanoseconds{0});
  for (std::uint32_t wait = 0; wait < 2 * Spin::kShortestProbeInterval; ++wait) {
    EXPECT_EQ(looks(), 1);
  }
}

TEST_F(AdaptiveSpinTest, HalvesItsBudgetWithEveryFailureButTheFirst) {
  EXPECT_FALSE(spin_.spin(kNever));
  EXPECT_EQ(spin_.budget(), kLong);
  EXPECT_FALSE(spin_.spin(kNever));
  EXPECT_EQ(spin_.budget(), Spin::kDefaultLimit / 2);
  EXPECT_FALSE(spin_.spin(kNever));
  EXPECT_EQ(spin_.budget(), Spin::kDefaultLimit / 4);
}

TEST_F(AdaptiveSpinTest, RestoresItsBudgetWithASuccess) {
  for (int spin = 0; spin < 3; ++spin) EXPECT_FALSE(spin_.spin(kNever));
  EXPECT_TRUE(spin_until_yield(3));
  EXPECT_EQ(spin_.budget(), Spin::kDefaultLimit);
}

// What it waits for comes from somebody who has to be woken, after 30 us: with the limit alone it
// would be asleep by then, and so on for ever.
TEST_F(AdaptiveSpinTest, GoesOnLookingForWhatIsFoundLate) {
  EXPECT_FALSE(spin_.spin(kNever));
  for (int wait = 0; wait < 3; ++wait) {
    EXPECT_TRUE(spin_until_yield(60));
    EXPECT_GT(spin_.budget(), 2 * Spin::kDefaultLimit);
    EXPECT_LE(spin_.budget(), kLong);
  }
  EXPECT_TRUE(spin_until_yield(3)) << "nobody sleeps any more";
  EXPECT_EQ(spin_.budget(), Spin::kDefaultLimit);
}

TEST_F(AdaptiveSpinTest, FindsOutByAProbeThatItsPeerSleepsOnlyAsItSleepsItself) {
  unlearn();
  for (std::uint32_t wait = 1; wait < Spin::kShortestProbeInterval; ++wait) ASSERT_EQ(looks(), 1);
  EXPECT_TRUE(spin_until_yield(60));
  EXPECT_GT(spin_.budget(), 2 * Spin::kDefaultLimit);
}

// What a yield looks like that gave the core to somebody with much to do.
TEST_F(AdaptiveSpinTest, GivesUpAtOnceWhenAYieldTakesTooLong) {
  ScriptedCore::yield_takes = microseconds{1500};
  EXPECT_TRUE(spin_until_yield(1)) << "what came meanwhile is taken";
  EXPECT_EQ(spin_.budget().count(), 0);

  spin_.set_limit(Spin::kDefaultLimit);
  ScriptedCore::yields = 0;
  EXPECT_FALSE(spin_.spin(kNever));
  EXPECT_EQ(ScriptedCore::yields, 1);
  EXPECT_EQ(spin_.budget().count(), 0);
}

TEST_F(AdaptiveSpinTest, LearnsAgainFromAProbe) {
  unlearn();
  EXPECT_EQ(waits_until_a_probe(), Spin::kShortestProbeInterval);
  for (std::uint32_t wait = 1; wait < 2 * Spin::kShortestProbeInterval; ++wait) {
    ASSERT_EQ(looks(), 1);
  }
  EXPECT_TRUE(spin_until_yield(2)) << "this one is a probe";
  EXPECT_EQ(spin_.budget(), Spin::kDefaultLimit);
}

TEST_F(AdaptiveSpinTest, ProbesMoreSeldomAfterEachProbeInVain) {
  unlearn();
  std::uint32_t expected = Spin::kShortestProbeInterval;
  for (int probe = 0; probe < 12; ++probe) {
    ASSERT_EQ(waits_until_a_probe(), expected);
    expected = std::min(2 * expected, Spin::kLongestProbeInterval);
  }
}

}  // namespace
}  // namespace dspool::ipc
