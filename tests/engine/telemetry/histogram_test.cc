#include "engine/telemetry/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/seed.h"

namespace dspool::telemetry {
namespace {

constexpr double kPrecision = 1.0 / 64;  // half a bucket's width

TEST(HistogramTest, IsEmptyAtFirst) {
  const Histogram::Snapshot snapshot = Histogram().snapshot();
  EXPECT_EQ(snapshot.count, 0U);
  EXPECT_EQ(snapshot.quantile_ns(0.5), 0);
  EXPECT_EQ(snapshot.mean_ns(), 0);
}

TEST(HistogramTest, TellsEveryDurationWithinItsPrecision) {
  for (double exact = 100; exact < 1e12; exact *= 1.003) {
    const auto ns = static_cast<std::int64_t>(exact);
    Histogram histogram;
    histogram.record(ns);
    const double told = histogram.snapshot().quantile_ns(0.5);
    ASSERT_NEAR(told, static_cast<double>(ns), kPrecision * static_cast<double>(ns)) << ns;
  }
}

TEST(HistogramTest, TellsQuantilesOfManyDurations) {
  std::mt19937_64 random(test::test_seed());
  std::lognormal_distribution<double> durations(12, 2);
  Histogram histogram;
  std::vector<std::int64_t> recorded;
  for (int i = 0; i < 10'000; ++i) {
    recorded.push_back(static_cast<std::int64_t>(std::clamp(durations(random), 100.0, 1e12)));
    histogram.record(recorded.back());
  }
  std::ranges::sort(recorded);
  const Histogram::Snapshot snapshot = histogram.snapshot();
  for (const auto& [q, rank] : {std::pair{0.0, 1}, {0.5, 5'000}, {0.99, 9'900}, {1.0, 10'000}}) {
    const auto exact = static_cast<double>(recorded[static_cast<std::size_t>(rank) - 1]);
    EXPECT_NEAR(snapshot.quantile_ns(q), exact, kPrecision * exact) << q;
  }
}

TEST(HistogramTest, CountsWhatIsTooShortOrTooLong) {
  Histogram histogram;
  histogram.record(-5);
  histogram.record(0);
  histogram.record(std::int64_t{1} << 62);
  const Histogram::Snapshot snapshot = histogram.snapshot();
  EXPECT_EQ(snapshot.count, 3U);
  EXPECT_LT(snapshot.quantile_ns(0.5), 100);
  EXPECT_GT(snapshot.quantile_ns(1), 1e12);
  EXPECT_EQ(snapshot.sum_ns, std::uint64_t{1} << 62);
}

TEST(HistogramTest, AddsUpWhatAllThreadsRecord) {
  constexpr int kThreads = 4;
  constexpr int kRecords = 5'000;
  Histogram histogram;
  {
    std::vector<std::jthread> threads;
    threads.reserve(kThreads);
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        for (int n = 0; n < kRecords; ++n) histogram.record(1'000);
      });
    }
    EXPECT_LE(histogram.snapshot().count, static_cast<std::uint64_t>(kThreads * kRecords));
  }
  const Histogram::Snapshot snapshot = histogram.snapshot();
  EXPECT_EQ(snapshot.count, static_cast<std::uint64_t>(kThreads * kRecords));
  EXPECT_EQ(snapshot.mean_ns(), 1'000);
}

}  // namespace
}  // namespace dspool::telemetry
