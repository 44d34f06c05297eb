#include "ipc/adaptive_spin.h"

#include <gtest/gtest.h>

namespace dspool::ipc {
namespace {

constexpr auto kNever = [] { return false; };

class AdaptiveSpinTest : public testing::Test {
 protected:
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

  AdaptiveSpin spin_;
};

TEST_F(AdaptiveSpinTest, SpendsNothingOnWhatIsThereAlready) {
  unlearn();
  EXPECT_TRUE(spin_.spin([] { return true; }));
  EXPECT_EQ(spin_.budget().count(), 0) << "nothing was learned, either";
}

TEST_F(AdaptiveSpinTest, LooksMoreThanOnce) { EXPECT_GT(looks(), 1); }

TEST_F(AdaptiveSpinTest, LooksOnceWhenItsLimitIsZero) {
  spin_.set_limit(AdaptiveSpin::Duration{0});
  for (std::uint32_t wait = 0; wait < 2 * AdaptiveSpin::kShortestProbeInterval; ++wait) {
    EXPECT_EQ(looks(), 1);
  }
}

TEST_F(AdaptiveSpinTest, HalvesItsBudgetWithEveryFailure) {
  EXPECT_FALSE(spin_.spin(kNever));
  EXPECT_EQ(spin_.budget(), AdaptiveSpin::kDefaultLimit / 2);
  EXPECT_FALSE(spin_.spin(kNever));
  EXPECT_EQ(spin_.budget(), AdaptiveSpin::kDefaultLimit / 4);
}

TEST_F(AdaptiveSpinTest, RestoresItsBudgetWithASuccess) {
  EXPECT_FALSE(spin_.spin(kNever));
  int count = 0;
  EXPECT_TRUE(spin_.spin([&] { return ++count == 2; }));
  EXPECT_EQ(spin_.budget(), AdaptiveSpin::kDefaultLimit);
}

// What a yield looks like that gave the core to somebody with much to do.
TEST_F(AdaptiveSpinTest, GivesUpAtOnceWhenAYieldTakesTooLong) {
  const auto start = AdaptiveSpin::Clock::now();
  const auto spend_until = [&](AdaptiveSpin::Duration since_start) {
    while (AdaptiveSpin::Clock::now() - start < since_start) continue;
  };
  EXPECT_TRUE(spin_.spin([&] {
    const bool pauses = AdaptiveSpin::Clock::now() - start < 2 * AdaptiveSpin::kPauseLimit;
    if (!pauses) spend_until(3 * AdaptiveSpin::kDefaultLimit);
    return !pauses;
  }));
  EXPECT_EQ(spin_.budget().count(), 0);
}

TEST_F(AdaptiveSpinTest, LearnsAgainFromAProbe) {
  unlearn();
  EXPECT_EQ(waits_until_a_probe(), AdaptiveSpin::kShortestProbeInterval);
  for (std::uint32_t wait = 1; wait < 2 * AdaptiveSpin::kShortestProbeInterval; ++wait) {
    ASSERT_EQ(looks(), 1);
  }
  int count = 0;
  EXPECT_TRUE(spin_.spin([&] { return ++count == 2; })) << "this one is a probe";
  EXPECT_EQ(spin_.budget(), AdaptiveSpin::kDefaultLimit);
}

TEST_F(AdaptiveSpinTest, ProbesMoreSeldomAfterEachProbeInVain) {
  unlearn();
  std::uint32_t expected = AdaptiveSpin::kShortestProbeInterval;
  for (int probe = 0; probe < 12; ++probe) {
    ASSERT_EQ(waits_until_a_probe(), expected);
    expected = std::min(2 * expected, AdaptiveSpin::kLongestProbeInterval);
  }
}

}  // namespace
}  // namespace dspool::ipc
