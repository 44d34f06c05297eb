#include "engine/resilience/sliding_tally.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>

#include "tests/support/seed.h"

namespace dspool::resilience {
namespace {

using std::chrono::milliseconds;

constexpr TimePoint kTallyStart{std::chrono::hours(1)};

TEST(SlidingTallyTest, ForgetsATenthAtATime) {
  SlidingTally tally(milliseconds(1000));
  tally.add({.all = 4, .marked = 1}, kTallyStart);
  tally.add({.all = 2}, kTallyStart + milliseconds(100));
  EXPECT_EQ(tally.sum(kTallyStart + milliseconds(999)).all, 6U);
  EXPECT_EQ(tally.sum(kTallyStart + milliseconds(999)).marked, 1U);
  EXPECT_EQ(tally.sum(kTallyStart + milliseconds(1000)).all, 2U);
  EXPECT_EQ(tally.sum(kTallyStart + milliseconds(1000)).marked, 0U);
  EXPECT_EQ(tally.sum(kTallyStart + milliseconds(1100)).all, 0U);
}

TEST(SlidingTallyTest, BeginsAnewAfterALongSilence) {
  SlidingTally tally(milliseconds(1000));
  tally.add({.all = 4, .marked = 4}, kTallyStart);
  tally.add({.all = 1}, kTallyStart + std::chrono::hours(1'000));
  EXPECT_EQ(tally.sum(kTallyStart + std::chrono::hours(1'000)).all, 1U);
  EXPECT_EQ(tally.sum(kTallyStart + std::chrono::hours(1'000)).marked, 0U);
}

// Whatever was added within nine tenths of the window is in it, and nothing that is older than it.
TEST(SlidingTallyTest, HoldsTheWindowWheneverItIsAsked) {
  std::minstd_rand random(static_cast<std::uint32_t>(test::test_seed()));
  SlidingTally tally(milliseconds(1000));
  std::deque<TimePoint> added;
  TimePoint now = kTallyStart;
  for (int i = 0; i < 20'000; ++i) {
    now += std::chrono::microseconds(random() % 4 == 0 ? random() % 400'000 : random() % 5'000);
    tally.add({.all = 1, .marked = 1}, now);
    added.push_back(now);
    while (added.front() <= now - milliseconds(1000)) added.pop_front();
    const auto surely = std::ranges::count_if(
        added, [&](TimePoint each) { return each > now - milliseconds(900); });
    const Tally sum = tally.sum(now);
    ASSERT_EQ(sum.all, sum.marked);
    ASSERT_GE(sum.all, static_cast<std::uint64_t>(surely));
    ASSERT_LE(sum.all, added.size());
  }
}

}  // namespace
}  // namespace dspool::resilience
