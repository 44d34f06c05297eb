#include "engine/dispatch/error_rate.h"

#include <gtest/gtest.h>

namespace dspool::dispatch {
namespace {

using std::chrono::seconds;

// The counters of a pool, looked at once a second; its bound is 10 % of at least 20 calls within a
// minute.
class ErrorRateTest : public testing::Test {
 protected:
  ErrorRateTest() { rate_.sample(now_, 0, 0); }

  // So many calls end within the next second, `errors` of them with one.
  void second(std::uint64_t calls, std::uint64_t errors) {
    now_ += seconds(1);
    rate_.sample(now_, calls_ += calls, errors_ += errors);
  }

  TimePoint now_{std::chrono::hours(1)};
  std::uint64_t calls_ = 0;
  std::uint64_t errors_ = 0;
  ErrorRate rate_{{.threshold = 0.1, .window = seconds(60), .least_calls = 20}};
};

TEST_F(ErrorRateTest, IsTheShareOfErrorsAmongCallsThatEnded) {
  EXPECT_EQ(rate_.rate(), 0);
  second(10, 1);
  second(10, 2);
  EXPECT_DOUBLE_EQ(rate_.rate(), 0.15);
  EXPECT_EQ(rate_.calls(), 20U);
}

TEST_F(ErrorRateTest, IsTooHighAboveTheThreshold) {
  second(20, 2);
  EXPECT_FALSE(rate_.is_too_high()) << "as much as may be";
  second(20, 3);
  EXPECT_TRUE(rate_.is_too_high());
}

TEST_F(ErrorRateTest, OfFewCallsSaysNothing) {
  second(19, 19);
  EXPECT_FALSE(rate_.is_too_high());
  second(1, 0);
  EXPECT_TRUE(rate_.is_too_high());
}

TEST_F(ErrorRateTest, OneAtTheThresholdIsToldOnce) {
  second(100, 11);
  int changes = 0;
  for (std::uint64_t i = 0; i < 200; ++i) {
    const bool before = rate_.is_too_high();
    second(10, i % 2);
    if (rate_.is_too_high() != before) ++changes;
  }
  EXPECT_LE(changes, 1);
}

TEST_F(ErrorRateTest, RecoversWhenTheErrorsAreHalfOfWhatMayBe) {
  second(100, 20);
  ASSERT_TRUE(rate_.is_too_high());
  second(200, 0);
  EXPECT_TRUE(rate_.is_too_high()) << rate_.rate();
  second(100, 0);
  EXPECT_FALSE(rate_.is_too_high()) << rate_.rate();
}

TEST_F(ErrorRateTest, RecoversWhenTheWindowHasPassed) {
  second(100, 100);
  ASSERT_TRUE(rate_.is_too_high());
  for (int i = 0; i < 59; ++i) second(0, 0);
  EXPECT_TRUE(rate_.is_too_high());
  second(0, 0);
  EXPECT_FALSE(rate_.is_too_high());
  EXPECT_EQ(rate_.calls(), 0U);
}

// Counters of many threads are not read at one moment.
TEST_F(ErrorRateTest, ErrorsThatWereReadTooSoonAreNoFlood) {
  second(100, 5);
  errors_ -= 2;
  second(0, 0);
  for (int i = 0; i < 60; ++i) {
    second(1, 0);
    EXPECT_LE(rate_.rate(), 1);
  }
}

}  // namespace
}  // namespace dspool::dispatch
