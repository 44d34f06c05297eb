#include "engine/resilience/backoff.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace dspool::resilience {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

std::vector<std::int64_t> series_ms(Backoff kind, std::uint32_t count, const RetryConfig& config) {
  std::vector<std::int64_t> series;
  series.reserve(count);
  for (std::uint32_t retry = 1; retry <= count; ++retry) {
    series.push_back(pause_in_series(kind, retry, config).count());
  }
  return series;
}

TEST(BackoffTest, LinearIsTheBaseTimesTheRetry) {
  EXPECT_EQ(series_ms(Backoff::kLinear, 4, {}), (std::vector<std::int64_t>{100, 200, 300, 400}));
}

TEST(BackoffTest, ExponentialDoubles) {
  EXPECT_EQ(series_ms(Backoff::kExponential, 5, {}),
            (std::vector<std::int64_t>{100, 200, 400, 800, 1600}));
}

TEST(BackoffTest, IsCappedHoweverLateTheRetry) {
  const RetryConfig config{.base_delay = std::chrono::hours(7 * 24),
                           .max_delay = std::chrono::hours(7 * 24)};
  for (const Backoff kind : {Backoff::kLinear, Backoff::kExponential}) {
    for (const std::uint32_t retry : {1U, 2U, 31U, 32U, 33U, 64U, 65U, UINT32_MAX}) {
      EXPECT_EQ(pause_in_series(kind, retry, config), config.max_delay) << retry;
    }
    EXPECT_EQ(pause_in_series(kind, UINT32_MAX, {}), milliseconds(5'000));
  }
}

TEST(BackoffTest, WithoutJitterIsTheSeriesItself) {
  std::minstd_rand random(1);
  RetryConfig config;
  config.jitter = false;
  const Pauses pauses{.kind = Backoff::kExponential};
  for (const auto& [retry, ms] : {std::pair(1U, 100), {2U, 200}, {3U, 400}, {9U, 5'000}}) {
    EXPECT_EQ(draw_pause(pauses, retry, config, random), milliseconds(ms)) << retry;
  }
}

TEST(BackoffTest, FullJitterIsAnywhereFromNothingToTheSeries) {
  std::minstd_rand random(1);
  nanoseconds least = std::chrono::hours(1);
  nanoseconds most{0};
  nanoseconds sum{0};
  constexpr int kDraws = 10'000;
  for (int i = 0; i < kDraws; ++i) {
    const nanoseconds pause = draw_pause({}, 2, {}, random);
    least = std::min(least, pause);
    most = std::max(most, pause);
    sum += pause;
  }
  EXPECT_GE(least, nanoseconds(0));
  EXPECT_LT(least, milliseconds(1));
  EXPECT_LE(most, milliseconds(200));
  EXPECT_GT(most, milliseconds(199));
  EXPECT_NEAR(static_cast<double>((sum / kDraws).count()), 100e6, 5e6);
}

TEST(BackoffTest, OfTheCallersOwnIsNeitherJitteredNorCapped) {
  std::minstd_rand random(1);
  const RetryConfig config;
  const auto ask = [](std::uint32_t retry) { return milliseconds(retry * 15'000 - 15'000); };
  const Pauses pauses = choose_pauses(BackoffFunction(ask), 3, config);
  for (const auto& [retry, ms] : {std::pair(1U, 0), {2U, 15'000}, {3U, 30'000}, {4U, 30'000}}) {
    EXPECT_EQ(draw_pause(pauses, retry, config, random), milliseconds(ms)) << retry;
  }
}

TEST(BackoffTest, AsksTheFunctionForAsManyAsThereCanBe) {
  std::vector<std::uint32_t> asked;
  const BackoffFunction ask = [&](std::uint32_t retry) {
    asked.push_back(retry);
    return milliseconds(-1);
  };
  EXPECT_EQ(choose_pauses(ask, 2, {}).given,
            (std::vector<milliseconds>{milliseconds(0), milliseconds(0)}));
  EXPECT_EQ(asked, (std::vector<std::uint32_t>{1, 2}));
  EXPECT_EQ(choose_pauses(ask, UINT32_MAX, {}).given.size(), kMostPauses);
  EXPECT_TRUE(choose_pauses(ask, 0, {}).given.empty());
}

TEST(BackoffTest, IsTheConfiguredOneWhereTheCallDoesNotChoose) {
  RetryConfig config;
  config.backoff = Backoff::kExponential;
  EXPECT_EQ(choose_pauses({}, 3, config).kind, Backoff::kExponential);
  EXPECT_EQ(choose_pauses(BackoffFunction(), 3, config).kind, Backoff::kExponential);
  EXPECT_EQ(choose_pauses(Backoff::kLinear, 3, config).kind, Backoff::kLinear);
}

}  // namespace
}  // namespace dspool::resilience
