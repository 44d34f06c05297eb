#include "bench/offline_lm/latency.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace dspool::offline_lm {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

TEST(LatencyTest, IsAFunctionOfSeedAndPrompt) {
  const Latency latency(milliseconds(100), 0.5, /*seed=*/1);
  EXPECT_EQ(latency.of(7), Latency(milliseconds(100), 0.5, 1).of(7));
  EXPECT_NE(latency.of(7), latency.of(8));
  EXPECT_NE(latency.of(7), Latency(milliseconds(100), 0.5, 2).of(7));
}

TEST(LatencyTest, IsLogNormalAroundItsMedian) {
  const Latency latency(milliseconds(100), 0.5, /*seed=*/1);
  std::vector<nanoseconds> times;
  for (std::uint64_t prompt = 0; prompt < 100'000; ++prompt) times.push_back(latency.of(prompt));
  std::ranges::sort(times);
  const auto at = [&](double fraction) {
    const double index = fraction * static_cast<double>(times.size());
    return static_cast<double>(times[static_cast<std::size_t>(index)].count()) / 1e6;
  };
  EXPECT_NEAR(at(0.5), 100, 2);
  EXPECT_NEAR(at(0.8413), 100 * 1.6487, 4);  // a standard deviation above: e^0.5
  EXPECT_NEAR(at(0.1587), 100 / 1.6487, 2);
  EXPECT_NEAR(at(0.99), 320, 15);
}

TEST(LatencyTest, IsTheMedianWithoutSpread) {
  EXPECT_EQ(Latency(milliseconds(100), 0, 1).of(7), milliseconds(100));
}

TEST(LatencyTest, IsNothingWithoutAMedian) {
  EXPECT_EQ(Latency(milliseconds(0), 0.5, 1).of(7), nanoseconds(0));
}

TEST(LatencyTest, IsAtMostAMinute) {
  const Latency latency(milliseconds(60'000), 5, /*seed=*/1);
  for (std::uint64_t prompt = 0; prompt < 1'000; ++prompt) {
    EXPECT_LE(latency.of(prompt), std::chrono::minutes(1));
  }
}

}  // namespace
}  // namespace dspool::offline_lm
