#include "engine/resilience/circuit_breaker.h"

#include <gtest/gtest.h>

#include <array>
#include <thread>
#include <vector>

namespace dspool::resilience {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr auto kSuccess = CallOutcome::kSuccess;
constexpr auto kFailure = CallOutcome::kFailure;
constexpr auto kUnknown = CallOutcome::kUnknown;

CircuitBreakerConfig with_error_rate() {
  CircuitBreakerConfig config;
  config.error_rate_percent = 50;
  return config;
}

class CircuitBreakerTest : public testing::Test {
 protected:
  // A call of its own that comes to this.
  void call(CallOutcome outcome) {
    auto permit = breaker_.try_acquire(now_);
    ASSERT_TRUE(permit) << "it was refused";
    breaker_.record(*permit, outcome, now_);
  }
  void fail(int times) {
    for (int i = 0; i < times; ++i) call(kFailure);
  }
  [[nodiscard]] BreakerState state() const { return breaker_.state(now_); }

  TimePoint now_{std::chrono::hours(1)};
  CircuitBreaker breaker_{{}};
};

TEST_F(CircuitBreakerTest, OpensAfterFiveFailuresInARow) {
  fail(4);
  EXPECT_EQ(state(), BreakerState::kClosed);
  EXPECT_EQ(breaker_.failures_in_row(), 4U);
  fail(1);
  EXPECT_EQ(state(), BreakerState::kOpen);
  EXPECT_FALSE(breaker_.try_acquire(now_));
  EXPECT_EQ(breaker_.retry_after(now_), seconds(60));
}

TEST_F(CircuitBreakerTest, ASuccessBeginsTheRowAnewAndNothingElseDoes) {
  fail(4);
  call(kUnknown);
  EXPECT_EQ(breaker_.failures_in_row(), 4U);
  call(kSuccess);
  fail(4);
  EXPECT_EQ(state(), BreakerState::kClosed);
}

TEST_F(CircuitBreakerTest, IsHalfOpenAfterItsTimeAndLetsAFewThrough) {
  fail(5);
  now_ += seconds(60) - milliseconds(1);
  EXPECT_FALSE(breaker_.try_acquire(now_));
  EXPECT_EQ(breaker_.retry_after(now_), milliseconds(1));
  now_ += milliseconds(1);
  EXPECT_EQ(state(), BreakerState::kHalfOpen);
  EXPECT_TRUE(breaker_.try_acquire(now_));
  EXPECT_TRUE(breaker_.try_acquire(now_));
  auto third = breaker_.try_acquire(now_);
  ASSERT_TRUE(third);
  EXPECT_FALSE(breaker_.try_acquire(now_)) << "three are out";
  EXPECT_TRUE(breaker_.record(*third, kUnknown, now_));
  EXPECT_TRUE(breaker_.try_acquire(now_)) << "one was given back";
  EXPECT_FALSE(breaker_.try_acquire(now_));
}

TEST_F(CircuitBreakerTest, ThreeSuccessesCloseIt) {
  fail(5);
  now_ += seconds(60);
  call(kSuccess);
  call(kSuccess);
  EXPECT_EQ(state(), BreakerState::kHalfOpen);
  call(kSuccess);
  EXPECT_EQ(state(), BreakerState::kClosed);
  fail(4);
  EXPECT_EQ(state(), BreakerState::kClosed) << "it began at nothing";
}

TEST_F(CircuitBreakerTest, AFailureOfAProbeOpensItForAsLongAgain) {
  fail(5);
  now_ += seconds(60);
  call(kSuccess);
  call(kSuccess);
  call(kFailure);
  EXPECT_EQ(state(), BreakerState::kOpen);
  EXPECT_EQ(breaker_.retry_after(now_), seconds(60));
  now_ += seconds(60);
  call(kSuccess);
  call(kSuccess);
  EXPECT_EQ(state(), BreakerState::kHalfOpen) << "successes of the last time do not count";
}

TEST_F(CircuitBreakerTest, WhatBeganBeforeItOpenedSaysNothingAfterwards) {
  std::vector<Permit> before;
  before.reserve(8);
  for (int i = 0; i < 8; ++i) before.push_back(*breaker_.try_acquire(now_));
  fail(5);
  now_ += seconds(60);
  const auto probe = breaker_.try_acquire(now_);
  ASSERT_TRUE(probe);
  for (std::size_t i = 0; i < 7; ++i) EXPECT_FALSE(breaker_.record(before[i], kSuccess, now_));
  EXPECT_EQ(state(), BreakerState::kHalfOpen);
  EXPECT_FALSE(breaker_.record(before[7], kFailure, now_));
  EXPECT_EQ(state(), BreakerState::kHalfOpen);
}

TEST_F(CircuitBreakerTest, AProbeTellsOnce) {
  fail(5);
  now_ += seconds(60);
  auto probe = breaker_.try_acquire(now_);
  ASSERT_TRUE(probe);
  EXPECT_TRUE(breaker_.record(*probe, kSuccess, now_));
  EXPECT_FALSE(breaker_.record(*probe, kSuccess, now_));
  EXPECT_FALSE(breaker_.record(*probe, kFailure, now_));
  EXPECT_EQ(state(), BreakerState::kHalfOpen);
}

TEST_F(CircuitBreakerTest, IsIsolatedUntilItIsClosedByHand) {
  breaker_.isolate();
  EXPECT_EQ(state(), BreakerState::kIsolated);
  now_ += std::chrono::hours(1'000);
  EXPECT_FALSE(breaker_.try_acquire(now_));
  EXPECT_EQ(breaker_.retry_after(now_), milliseconds(0));
  breaker_.close();
  EXPECT_EQ(state(), BreakerState::kClosed);
  call(kSuccess);
}

TEST_F(CircuitBreakerTest, IsClosedByHandBeforeItsTime) {
  fail(5);
  breaker_.close();
  EXPECT_EQ(breaker_.failures_in_row(), 0U);
  fail(4);
  EXPECT_EQ(state(), BreakerState::kClosed);
}

TEST(SwitchedOffBreakerTest, OpensByHandAlone) {
  CircuitBreakerConfig config;
  config.enabled = false;
  CircuitBreaker breaker(config);
  const TimePoint now{std::chrono::hours(1)};
  for (int i = 0; i < 1'000; ++i) {
    auto permit = breaker.try_acquire(now);
    ASSERT_TRUE(permit);
    breaker.record(*permit, kFailure, now);
  }
  breaker.isolate();
  EXPECT_FALSE(breaker.try_acquire(now));
}

class ErrorRateTest : public testing::Test {
 protected:
  void call(CallOutcome outcome) {
    auto permit = breaker_.try_acquire(now_);
    if (permit) breaker_.record(*permit, outcome, now_);
  }
  TimePoint now_{std::chrono::hours(1)};
  CircuitBreaker breaker_{with_error_rate()};
};

TEST_F(ErrorRateTest, OpensWhenHalfOfThemFailWithoutARow) {
  for (int i = 0; i < 9; ++i) {
    call(kSuccess);
    call(kFailure);
  }
  EXPECT_TRUE(breaker_.is_closed()) << "18 outcomes are too few";
  call(kSuccess);
  call(kFailure);
  EXPECT_EQ(breaker_.state(now_), BreakerState::kOpen);
}

TEST_F(ErrorRateTest, LooksAtTheWindowOnly) {
  for (int i = 0; i < 9; ++i) {
    call(kSuccess);
    call(kFailure);
  }
  now_ += seconds(11);
  for (int i = 0; i < 9; ++i) {
    call(kSuccess);
    call(kFailure);
  }
  EXPECT_TRUE(breaker_.is_closed());
}

TEST_F(ErrorRateTest, BeginsAnewWhenItHasClosed) {
  for (int i = 0; i < 10; ++i) {
    call(kSuccess);
    call(kFailure);
  }
  breaker_.close();
  call(kFailure);
  EXPECT_TRUE(breaker_.is_closed());
}

// One thread tells outcomes, as the dispatcher does; any thread asks for permits. Never are more
// probes out than are allowed.
TEST(BreakerThreadsTest, ProbesAreBoundedWhoeverAsks) {
  CircuitBreakerConfig config;
  config.failure_threshold = 1;
  config.probes = 3;
  CircuitBreaker breaker(config);
  const TimePoint now{std::chrono::hours(1)};
  auto first = breaker.try_acquire(now);
  breaker.record(*first, kFailure, now);
  const TimePoint later = now + seconds(60);
  std::array<int, 4> taken{};
  {
    std::vector<std::jthread> threads;
    threads.reserve(taken.size());
    for (int& count : taken) {
      threads.emplace_back([&] {
        for (int i = 0; i < 1'000; ++i) count += breaker.try_acquire(later) ? 1 : 0;
      });
    }
  }
  EXPECT_EQ(taken[0] + taken[1] + taken[2] + taken[3], 3);
}

}  // namespace
}  // namespace dspool::resilience
