// A call that is tried again: when, how often, and what its session does meanwhile.
#include <gmock/gmock.h>

#include "ipc/state_segment.h"
#include "tests/engine/dispatch/stepped_pool.h"

namespace dspool::dispatch {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

Error passing_error() {
  return {.category = ErrorCategory::kPython,
          .code = "exception",
          .message = "later",
          .retryable = true};
}

Limits without_jitter() {
  Limits limits;
  limits.retry.jitter = false;
  return limits;
}

class RetryTest : public testing::Test {
 protected:
  void arrive(SteppedCall& call, std::string_view session, std::uint32_t max_retries,
              const BackoffChoice& backoff = {}, milliseconds timeout = std::chrono::hours(1)) {
    pool_.prepare(call, session, CallKind::kExecute, timeout);
    call.max_retries = max_retries;
    call.pauses = resilience::choose_pauses(backoff, max_retries, limits_.retry);
    ASSERT_TRUE(pool_.dispatcher().arrive(call, pool_.now()));
  }
  // Fails each attempt of the call as soon as it is sent; the pauses before its retries.
  std::vector<std::int64_t> pauses_ms(SteppedCall& call, const Error& error = passing_error()) {
    std::vector<std::int64_t> pauses;
    TimePoint failed = pool_.now();
    for (int ms = 0; ms < 60'000 && call.times_ended == 0; ++ms) {
      if (call.request_id != 0) {
        if (call.attempts > 1) {
          pauses.push_back(std::chrono::round<milliseconds>(pool_.now() - failed).count());
        }
        failed = pool_.now();
        pool_.fail(call, error);
      } else {
        pool_.advance(milliseconds(1));
      }
    }
    return pauses;
  }

  ipc::StateSegment segment_{std::size_t{64} << 20};
  Limits limits_ = without_jitter();
  SteppedPool pool_{segment_, nullptr, 1024, 2, limits_};
};

TEST_F(RetryTest, LinearBackoffIsTheSeriesOfTheManual) {
  SteppedCall call;
  arrive(call, "a", 4);
  EXPECT_THAT(pauses_ms(call), ElementsAre(100, 200, 300, 400));
  EXPECT_EQ(call.code(), "exception");
  EXPECT_EQ(call.result->error().attempts, 5U);
  EXPECT_EQ(pool_.metrics().retries.value(), 4U);
}

TEST_F(RetryTest, ExponentialBackoffDoublesUpToTheCap) {
  SteppedCall call;
  arrive(call, "a", 8, Backoff::kExponential);
  EXPECT_THAT(pauses_ms(call), ElementsAre(100, 200, 400, 800, 1'600, 3'200, 5'000, 5'000));
}

TEST_F(RetryTest, APauseIsAtLeastAsLongAsTheErrorAsksFor) {
  Error error = passing_error();
  error.retry_after = milliseconds(250);
  SteppedCall call;
  arrive(call, "a", 4);
  EXPECT_THAT(pauses_ms(call, error), ElementsAre(250, 250, 300, 400));
  EXPECT_EQ(call.result->error().retry_after, milliseconds(250));
}

TEST_F(RetryTest, PatienceThatTheDeadlineDoesNotLeaveIsTheCallers) {
  Error error = passing_error();
  error.retry_after = milliseconds(5'000);
  SteppedCall call;
  arrive(call, "a", 4, {}, milliseconds(4'000));
  EXPECT_THAT(pauses_ms(call, error), ElementsAre());
  EXPECT_EQ(call.code(), "exception");
  EXPECT_EQ(call.result->error().retry_after, milliseconds(5'000));
}

TEST_F(RetryTest, TheCallersOwnFunctionDecides) {
  SteppedCall call;
  arrive(call, "a", 3, BackoffFunction([](std::uint32_t retry) {
           return milliseconds(retry == 2 ? 0 : retry * 150);
         }));
  EXPECT_THAT(pauses_ms(call), ElementsAre(150, 0, 450));
}

TEST_F(RetryTest, OnlyWhatTheErrorSaysIsRetryable) {
  SteppedCall call;
  arrive(call, "a", 3);
  Error error = passing_error();
  error.retryable = false;
  pool_.fail(call, error);
  EXPECT_EQ(call.code(), "exception");
  EXPECT_EQ(call.result->error().attempts, 1U);
}

TEST_F(RetryTest, WithoutConsentNothingIsRepeated) {
  SteppedCall& call = pool_.call("a");
  pool_.fail(call, passing_error());
  EXPECT_EQ(call.code(), "exception");
}

TEST_F(RetryTest, ItsSessionWaitsWithItAndOthersDoNot) {
  SteppedCall first;
  arrive(first, "a", 1);
  SteppedCall& second = pool_.call("a");
  pool_.fail(first, passing_error());
  EXPECT_EQ(pool_.dispatcher().in_flight(), 0U) << "it holds no slot";
  EXPECT_EQ(pool_.dispatcher().waiting_calls(), 2U);
  SteppedCall& other = pool_.call("b");
  pool_.answer(other, 1);
  EXPECT_EQ(other.code(), "ok");
  pool_.advance(milliseconds(50));
  EXPECT_EQ(second.attempts, 0U);
  pool_.advance(milliseconds(51));
  ASSERT_NE(first.request_id, 0U);
  pool_.answer(first, 1);
  EXPECT_EQ(first.code(), "ok");
  EXPECT_EQ(first.result->value().attempts, 2U);
  pool_.answer(second, 2);
  EXPECT_EQ(second.result->value().version, 2U);
}

TEST_F(RetryTest, AfterAWorkersDeathToo) {
  SteppedCall call;
  arrive(call, "a", 1);
  pool_.replace(call.worker);
  EXPECT_EQ(call.request_id, 0U);
  pool_.advance(milliseconds(99));
  EXPECT_EQ(call.request_id, 0U);
  pool_.advance(milliseconds(3));
  ASSERT_NE(call.request_id, 0U);
  pool_.answer(call, 1);
  EXPECT_EQ(call.code(), "ok");
}

TEST_F(RetryTest, NoPauseGoesPastTheDeadline) {
  SteppedCall call;
  arrive(call, "a", 5, Backoff::kLinear, milliseconds(350));
  EXPECT_THAT(pauses_ms(call), ElementsAre(100, 200)) << "300 more would be too late";
  EXPECT_EQ(call.code(), "exception") << "what it met, not that its deadline passed";
  EXPECT_LT(pool_.now(), call.deadline);
}

TEST_F(RetryTest, IsCancelledWhileItBacksOff) {
  SteppedCall first;
  arrive(first, "a", 1);
  SteppedCall& second = pool_.call("a");
  pool_.fail(first, passing_error());
  pool_.dispatcher().cancel(first, pool_.now());
  EXPECT_EQ(first.code(), "cancelled");
  ASSERT_NE(second.request_id, 0U) << "its turn has come";
  pool_.answer(second, 1);
  pool_.advance(milliseconds(200));
  EXPECT_EQ(first.times_ended, 1U);
  EXPECT_EQ(pool_.dispatcher().waiting_calls(), 0U);
}

TEST_F(RetryTest, EndsWithThePoolWhileItBacksOff) {
  SteppedCall first;
  arrive(first, "a", 1);
  SteppedCall& second = pool_.call("a");
  pool_.fail(first, passing_error());
  pool_.dispatcher().stop(pool_.now());
  EXPECT_EQ(first.code(), "stopping");
  EXPECT_EQ(second.code(), "stopping");
}

TEST_F(RetryTest, AnEndOfItsSessionWaitsForIt) {
  SteppedCall call;
  arrive(call, "a", 1);
  SteppedCall& end = pool_.call("a", CallKind::kEndSession);
  pool_.fail(call, passing_error());
  EXPECT_EQ(end.code(), "under way");
  pool_.advance(milliseconds(102));
  pool_.answer(call, 1);
  EXPECT_EQ(call.code(), "ok");
  EXPECT_EQ(end.code(), "ok");
}

// Every call fails and may be repeated ten times: an outage. The workers get at most 1.2 times the
// calls, or 3 retries a second.
TEST_F(RetryTest, AnOutageIsNotMultiplied) {
  constexpr std::uint32_t kCalls = 1'000;
  std::deque<SteppedCall> calls(kCalls);
  std::uint32_t attempts = 0;
  const auto fail_all = [&] {
    for (SteppedCall& call : calls) {
      if (call.request_id == 0) continue;
      ++attempts;
      pool_.fail(call, passing_error());
    }
  };
  for (std::uint32_t i = 0; i < kCalls; ++i) {
    arrive(calls[i], "s" + std::to_string(i), 10);
    fail_all();
    pool_.advance(milliseconds(1));
  }
  for (int i = 0; i < 6'000; ++i) {
    pool_.advance(milliseconds(1));
    fail_all();
  }
  EXPECT_LE(attempts, kCalls + kCalls / 5);
  EXPECT_GE(attempts, kCalls + 30);
  EXPECT_EQ(pool_.metrics().retries.value(), attempts - kCalls);
  EXPECT_GT(pool_.metrics().retries_over_budget.value(), 0U);
  for (const SteppedCall& call : calls) ASSERT_EQ(call.code(), "exception");
  EXPECT_THAT(calls.back().result->error().message, HasSubstr("retry.budget_percent"));
  EXPECT_TRUE(calls.back().result->error().retryable) << "by the caller, later";
}

TEST(SwitchedOffRetryTest, RepeatsNothing) {
  ipc::StateSegment segment{std::size_t{64} << 20};
  Limits limits;
  limits.retry.enabled = false;
  SteppedPool pool(segment, nullptr, 16, 1, limits);
  SteppedCall& call = pool.call("a");
  call.max_retries = 5;
  pool.fail(call, passing_error());
  EXPECT_EQ(call.code(), "exception");
  EXPECT_THAT(call.result->error().message, Not(HasSubstr("budget")));
}

TEST(JitteredRetryTest, ComesBackWithinTheSeries) {
  ipc::StateSegment segment{std::size_t{64} << 20};
  SteppedPool pool(segment, nullptr, 16);
  std::int64_t sum = 0;
  for (int i = 0; i < 25; ++i) {
    SteppedCall& call = pool.call("a");
    call.max_retries = 1;
    pool.fail(call, passing_error());
    const TimePoint failed = pool.now();
    while (call.request_id == 0) {
      pool.advance(milliseconds(1));
      ASSERT_LE(pool.now() - failed, milliseconds(102));
    }
    sum += std::chrono::round<milliseconds>(pool.now() - failed).count();
    pool.answer(call, 1);
  }
  EXPECT_GT(sum, 25 * 20);
  EXPECT_LT(sum, 25 * 80);
}

}  // namespace
}  // namespace dspool::dispatch
