#include "bench/loadtest/session_picker.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace dspool::loadtest {
namespace {

TEST(RoundRobinTest, TakesTurnsUntilEachSessionHasHadItsOperations) {
  RoundRobin picker(3, 2);
  std::vector<std::uint32_t> picked;
  while (const std::optional<std::uint32_t> session = picker.pick(/*counted=*/true)) {
    picked.push_back(*session);
    picker.release(*session);
  }
  EXPECT_EQ(picked, (std::vector<std::uint32_t>{0, 1, 2, 0, 1, 2}));
  EXPECT_EQ(picker.left(), 0U);
}

TEST(RoundRobinTest, PicksNoSessionTwiceBeforeItIsReleased) {
  RoundRobin picker(2, 5);
  EXPECT_EQ(picker.pick(true), 0U);
  EXPECT_EQ(picker.pick(true), 1U);
  EXPECT_EQ(picker.pick(true), std::nullopt);
  picker.release(1);
  EXPECT_EQ(picker.pick(true), 1U);
}

TEST(RoundRobinTest, DoesNotCountAWarmup) {
  RoundRobin picker(1, 1);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(picker.pick(/*counted=*/false), 0U);
    picker.release(0);
  }
  EXPECT_EQ(picker.left(), 1U);
}

TEST(RoundRobinTest, CountsAWarmupWhereSessionsHaveSoManyOperationsAndNoMore) {
  RoundRobin picker(std::vector<std::uint64_t>{1, 0, 2});
  std::vector<std::uint32_t> picked;
  while (const std::optional<std::uint32_t> session = picker.pick(/*counted=*/false)) {
    picked.push_back(*session);
    picker.release(*session);
  }
  EXPECT_EQ(picked, (std::vector<std::uint32_t>{0, 2, 2}));
}

TEST(RoundRobinTest, HasNoLimitWithoutANumber) {
  RoundRobin picker(1, std::nullopt);
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(picker.pick(true), 0U);
    picker.release(0);
  }
  EXPECT_EQ(picker.left(), std::nullopt);
}

TEST(ZipfTest, DrawsInProportion) {
  constexpr int kDraws = 100'000;
  Zipf picker(4, 1.0, std::nullopt, /*seed=*/1);
  std::map<std::uint32_t, int> drawn;
  for (int i = 0; i < kDraws; ++i) ++drawn[picker.draw()];
  const double first = kDraws / (1.0 + 1.0 / 2 + 1.0 / 3 + 1.0 / 4);
  for (const auto& [session, count] : drawn) {
    EXPECT_NEAR(count, first / (session + 1), 0.02 * kDraws) << session;
  }
}

TEST(ZipfTest, IsEvenWithExponentZero) {
  constexpr int kDrawsEach = 10'000;
  Zipf picker(10, 0, std::nullopt, /*seed=*/1);
  std::map<std::uint32_t, int> drawn;
  for (int i = 0; i < 10 * kDrawsEach; ++i) ++drawn[picker.draw()];
  for (const auto& [session, count] : drawn) EXPECT_NEAR(count, kDrawsEach, 500) << session;
}

TEST(ZipfTest, DrawsTheSameForTheSameSeed) {
  Zipf one(1000, 0.9, std::nullopt, 5);
  Zipf same(1000, 0.9, std::nullopt, 5);
  Zipf other(1000, 0.9, std::nullopt, 6);
  int different = 0;
  for (int i = 0; i < 100; ++i) {
    const std::uint32_t drawn = one.draw();
    EXPECT_EQ(drawn, same.draw());
    if (drawn != other.draw()) ++different;
  }
  EXPECT_GT(different, 50);
}

TEST(ZipfTest, PicksEverySessionOnceWhereNoneIsReleased) {
  Zipf picker(20, 3.0, std::nullopt, /*seed=*/1);
  std::map<std::uint32_t, int> picked;
  while (const std::optional<std::uint32_t> session = picker.pick(true)) ++picked[*session];
  EXPECT_EQ(picked.size(), 20U);
}

TEST(ZipfTest, EndsAfterItsTotal) {
  Zipf picker(3, 1.0, 2, /*seed=*/1);
  const auto pick = [&](bool counted) {
    const std::optional<std::uint32_t> session = picker.pick(counted);
    if (session) picker.release(*session);
    return session.has_value();
  };
  EXPECT_TRUE(pick(/*counted=*/false));
  EXPECT_TRUE(pick(true));
  EXPECT_TRUE(pick(true));
  EXPECT_FALSE(pick(true));
  EXPECT_EQ(picker.left(), 0U);
}

}  // namespace
}  // namespace dspool::loadtest
