#include "engine/load/latency_recorder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "tests/support/seed.h"

namespace dspool::load {
namespace {

using std::chrono::nanoseconds;

TEST(LatencyRecorderTest, IsZeroWithoutValues) {
  const LatencyRecorder recorder;
  EXPECT_EQ(recorder.count(), 0U);
  EXPECT_EQ(recorder.percentile(0.5), nanoseconds(0));
  EXPECT_EQ(recorder.max(), nanoseconds(0));
}

TEST(LatencyRecorderTest, KeepsOneValueAtEachPercentile) {
  LatencyRecorder recorder;
  recorder.record(nanoseconds(200));
  for (const double fraction : {0.0, 0.5, 0.999, 1.0}) {
    EXPECT_EQ(recorder.percentile(fraction), nanoseconds(200)) << fraction;
  }
}

TEST(LatencyRecorderTest, TakesTheValueThatSoManyDoNotExceed) {
  LatencyRecorder recorder;
  for (int value = 1; value <= 100; ++value) recorder.record(nanoseconds(value));
  EXPECT_EQ(recorder.percentile(0.5), nanoseconds(50));
  EXPECT_EQ(recorder.percentile(0.9), nanoseconds(90));
  EXPECT_EQ(recorder.percentile(0.99), nanoseconds(99));
  EXPECT_EQ(recorder.percentile(0.999), nanoseconds(100));
}

TEST(LatencyRecorderTest, IsWithinAHundredthOfEveryValue) {
  const std::uint64_t seed = test::test_seed();
  std::mt19937_64 random(seed);
  std::uniform_real_distribution<double> exponent(0, 62);
  for (int i = 0; i < 5'000; ++i) {
    const auto value = static_cast<std::int64_t>(std::exp2(exponent(random)));
    LatencyRecorder recorder;
    recorder.record(nanoseconds(value));
    recorder.record(nanoseconds::max());  // so that the maximum does not help
    const auto recorded = static_cast<double>(recorder.percentile(0.5).count());
    ASSERT_NEAR(recorded, static_cast<double>(value), 0.01 * static_cast<double>(value)) << seed;
  }
}

TEST(LatencyRecorderTest, IsWithinAHundredthOfEveryPercentile) {
  const std::uint64_t seed = test::test_seed();
  std::mt19937_64 random(seed);
  std::lognormal_distribution<double> latency(std::log(200'000.0), 1.5);
  LatencyRecorder recorder;
  std::vector<double> values;
  for (int i = 0; i < 200'000; ++i) {
    values.push_back(std::floor(latency(random)));
    recorder.record(nanoseconds(static_cast<std::int64_t>(values.back())));
  }
  std::ranges::sort(values);
  for (const double fraction : {0.01, 0.5, 0.9, 0.99, 0.999}) {
    const auto rank =
        static_cast<std::size_t>(std::ceil(fraction * static_cast<double>(values.size())));
    const double exact = values[rank - 1];
    EXPECT_NEAR(static_cast<double>(recorder.percentile(fraction).count()), exact, 0.01 * exact)
        << fraction << ", seed " << seed;
  }
  EXPECT_EQ(static_cast<double>(recorder.max().count()), values.back());
}

TEST(LatencyRecorderTest, HasABucketForTheLongestTime) {
  LatencyRecorder recorder;
  recorder.record(nanoseconds::max());
  EXPECT_EQ(recorder.max(), nanoseconds::max());
}

TEST(LatencyRecorderTest, CountsANegativeTimeAsZero) {
  LatencyRecorder recorder;
  recorder.record(nanoseconds(-5));
  EXPECT_EQ(recorder.max(), nanoseconds(0));
  EXPECT_EQ(recorder.count(), 1U);
}

}  // namespace
}  // namespace dspool::load
