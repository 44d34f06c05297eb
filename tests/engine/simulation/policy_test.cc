// What the engine's policy is worth: sixteen workers, 2,000 sessions of which some are popular, a
// simulated hour at 80 % load. An hour has 920,000 calls.
#include <gtest/gtest.h>

#include "engine/simulation/simulate.h"

namespace dspool::simulation {
namespace {

double p99_of_wait_ms(Policy policy, double miss_ms, double service_cv) {
  Options options;
  options.workers = 16;
  options.service_ms = 50;
  options.service_cv = service_cv;
  options.miss_ms = miss_ms;
  options.policies = {policy};
  options.sessions = 2'000;
  options.zipf = 0.6;
  options.load = 0.8;
  options.duration_seconds = 3'600;
  const auto reports = simulate(options, [](double) { return true; });
  EXPECT_TRUE(reports);
  EXPECT_EQ(reports->front().refused, 0U);
  return reports->front().wait.percentile_ms(0.99);
}

// Of service times that are all alike, and of such that vary a lot.
class PolicyTest : public testing::TestWithParam<double> {};

TEST_P(PolicyTest, WaitsForNoMoreThanATenthOfPinnedWhereMissesAreCheap) {
  EXPECT_LE(p99_of_wait_ms(Policy::kDspool, 2, GetParam()),
            0.1 * p99_of_wait_ms(Policy::kPinned, 2, GetParam()));
}

TEST_P(PolicyTest, ComesNearAQueueWithoutMissesWhereTheyAreCheap) {
  EXPECT_LE(p99_of_wait_ms(Policy::kDspool, 2, GetParam()),
            1.5 * p99_of_wait_ms(Policy::kCentral, 2, GetParam()));
}

INSTANTIATE_TEST_SUITE_P(ServiceCv, PolicyTest, testing::Values(0.0, 1.0));

TEST(DearMissPolicyTest, WaitsForNoMoreThanATenthOfPinned) {
  EXPECT_LE(p99_of_wait_ms(Policy::kDspool, 20, 1), 0.1 * p99_of_wait_ms(Policy::kPinned, 20, 1));
}

}  // namespace
}  // namespace dspool::simulation
