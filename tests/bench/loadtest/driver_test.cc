#include "bench/loadtest/driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "bench/loadtest/settle.h"
#include "tests/bench/loadtest/fake_pool.h"

namespace dspool::loadtest {
namespace {

using Fault = FakePool::Fault;
using std::chrono::milliseconds;

constexpr std::uint32_t kSessions = 4;
constexpr std::uint64_t kOps = 25;
constexpr std::uint32_t kConcurrency = 3;

class DriverTest : public testing::Test {
 protected:
  Workload increments(std::unique_ptr<Schedule> schedule) {
    Workload workload;
    for (std::uint32_t i = 0; i < kSessions; ++i) {
      workload.session_ids.push_back("session-" + std::to_string(i));
    }
    workload.command = "increment";
    workload.args = [](const Start&) { return Value(); };
    workload.check = Check::kCounter;
    workload.schedule = std::move(schedule);
    return workload;
  }

  std::unique_ptr<Schedule> closed_loop(Window window = {}) {
    return std::make_unique<ClosedLoop>(
        std::make_unique<RoundRobin>(std::vector<std::uint64_t>(kSessions, kOps)), kSessions,
        kConcurrency, window);
  }

  std::unique_ptr<Schedule> open_loop(double rate) {
    return std::make_unique<OpenLoop>(std::make_unique<RoundRobin>(kSessions, kOps), kSessions,
                                      rate, Window{}, /*seed=*/1);
  }

  Tally run(Workload workload) {
    Driver driver(pool_, workload, checker_, options_);
    Tally tally = driver.run(stop_);
    unsettled_ = settle(pool_, workload, checker_);
    verdicts_ = checker_.finish();
    return tally;
  }

  void expect(const Verdicts& expected) const {
    EXPECT_EQ(verdicts_.lost, expected.lost);
    EXPECT_EQ(verdicts_.duplicated, expected.duplicated);
    EXPECT_EQ(verdicts_.out_of_order, expected.out_of_order);
    EXPECT_EQ(verdicts_.crossed, expected.crossed);
    EXPECT_EQ(unsettled_, 0U);
  }

  FakePool pool_;
  OrderChecker checker_{OrderChecker::Rule::kEachCountsOne, kSessions};
  DriverOptions options_;
  std::atomic<bool> stop_ = false;
  Verdicts verdicts_;
  std::uint64_t unsettled_ = 0;
};

TEST_F(DriverTest, GivesEachSessionItsOperationsInAClosedLoop) {
  const Tally tally = run(increments(closed_loop()));
  EXPECT_EQ(tally.successes, kSessions * kOps);
  EXPECT_EQ(tally.failures, 0U);
  EXPECT_EQ(tally.latencies.count(), kSessions * kOps);
  EXPECT_GT(tally.duration.count(), 0);
  for (const auto& [id, session] : pool_.sessions()) EXPECT_EQ(session.increments, kOps) << id;
  expect({});
}

TEST_F(DriverTest, KeepsOneOfASessionAndSoManyInAllOutstandingInAClosedLoop) {
  pool_.stall(milliseconds(20));
  run(increments(closed_loop()));
  EXPECT_EQ(pool_.most_outstanding(), kConcurrency);
  EXPECT_EQ(pool_.most_outstanding_in_a_session(), 1U);
}

TEST_F(DriverTest, SubmitsWithoutWaitingInAnOpenLoop) {
  pool_.stall(milliseconds(50));
  const Tally tally = run(increments(open_loop(/*rate=*/100'000)));
  EXPECT_EQ(tally.successes, kSessions * kOps);
  EXPECT_GT(pool_.most_outstanding_in_a_session(), 1U);
  expect({});
}

// The pool stands still at first. An open loop's operations arrive all the same, and the time that
// they wait is theirs.
TEST_F(DriverTest, CountsLatencyFromTheIntendedStartInAnOpenLoop) {
  pool_.stall(milliseconds(200));
  const Tally tally = run(increments(open_loop(/*rate=*/10'000)));
  EXPECT_GT(tally.latencies.percentile(0.1), milliseconds(50));
}

TEST_F(DriverTest, ChecksButDoesNotMeasureTheWarmup) {
  pool_.break_at(10, Fault::kLoseEffect);
  const Tally tally = run(increments(closed_loop({.warmup = std::chrono::hours(1)})));
  EXPECT_EQ(tally.successes + tally.failures, 0U);
  EXPECT_EQ(tally.latencies.count(), 0U);
  EXPECT_EQ(tally.duration.count(), 0);
  expect({.lost = 1});
}

TEST_F(DriverTest, StopsEarlyWhenToldTo) {
  stop_ = true;
  const Tally tally = run(increments(closed_loop()));
  EXPECT_EQ(tally.successes, 0U);
}

TEST_F(DriverTest, TellsHowEachOperationEnded) {
  std::map<std::uint32_t, std::uint64_t> next;  // of each session
  options_.on_ended = [&](const Start& start, const Result<Answer>& result) {
    EXPECT_EQ(start.index, next[start.session]++);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->value["value"].as_int64(), static_cast<std::int64_t>(start.index + 1));
  };
  run(increments(closed_loop()));
  EXPECT_EQ(next.size(), kSessions);
}

TEST_F(DriverTest, NamesEachOperationOnceWhereItMayBeRepeated) {
  options_.call.max_retries = 1;
  options_.seed = 7;
  run(increments(closed_loop()));
  const std::multiset<std::string> keys = pool_.idempotency_keys();
  EXPECT_EQ(keys.size(), kSessions * kOps);
  EXPECT_EQ(std::set(keys.begin(), keys.end()).size(), keys.size());
  EXPECT_TRUE(keys.contains("7-0"));
}

TEST_F(DriverTest, NamesNoOperationWhereNoneIsRepeated) {
  run(increments(closed_loop()));
  EXPECT_EQ(pool_.idempotency_keys().count(""), kSessions * kOps);
}

// Each of these is a pool with one broken promise.

TEST_F(DriverTest, FindsALostEffect) {
  pool_.break_at(50, Fault::kLoseEffect);
  EXPECT_EQ(run(increments(closed_loop())).failures, 0U);
  expect({.lost = 1});
}

TEST_F(DriverTest, FindsAnEffectThatIsLostAtTheEnd) {
  pool_.break_at(kSessions * kOps - 1, Fault::kLoseEffect);
  run(increments(closed_loop()));
  expect({.lost = 1});
}

TEST_F(DriverTest, FindsADuplicatedEffect) {
  pool_.break_at(50, Fault::kApplyTwice);
  run(increments(closed_loop()));
  expect({.duplicated = 1});
}

TEST_F(DriverTest, FindsAnOvertaking) {
  // The next operation is one of the same session, where there is only one.
  Workload workload = increments(
      std::make_unique<OpenLoop>(std::make_unique<RoundRobin>(1, kOps), 1, 1e5, Window{}, 1));
  pool_.break_at(10, Fault::kOvertake);
  run(std::move(workload));
  expect({.out_of_order = 1});
}

TEST_F(DriverTest, FindsACrossedAnswer) {
  pool_.break_at(50, Fault::kAnswerForAnother);
  run(increments(closed_loop()));
  expect({.crossed = 1});
}

TEST_F(DriverTest, CountsFailuresByCategoryAndCode) {
  pool_.break_at(10, Fault::kFailUnapplied);
  pool_.break_at(20, Fault::kFailApplied);
  pool_.break_at(30, Fault::kFailUnknown);
  const Tally tally = run(increments(closed_loop()));
  EXPECT_EQ(tally.failures, 3U);
  EXPECT_EQ(tally.successes, kSessions * kOps - 3);
  EXPECT_EQ(tally.latencies.count(), kSessions * kOps - 3);
  ASSERT_EQ(tally.errors.size(), 1U);
  const auto& [kind, failures] = *tally.errors.begin();
  EXPECT_EQ(kind.first, ErrorCategory::kTimeout);
  EXPECT_EQ(kind.second, "deadline");
  EXPECT_EQ(failures.count, 3U);
  EXPECT_EQ(failures.example, "told to fail");
  expect({});
}

TEST_F(DriverTest, CountsAnAnswerWithoutAValueAsAFailure) {
  pool_.break_at(50, Fault::kAnswerNothing);
  const Tally tally = run(increments(closed_loop()));
  EXPECT_EQ(tally.failures, 1U);
  EXPECT_EQ(tally.errors.begin()->first.second, "unexpected_answer");
  expect({});
}

TEST_F(DriverTest, DoesNotWaitForeverForACallThatDoesNotEnd) {
  pool_.break_at(50, Fault::kNeverEnd);
  options_.patience = milliseconds(50);
  const Tally tally = run(increments(closed_loop()));
  EXPECT_EQ(tally.failures, 1U);
  EXPECT_EQ(tally.errors.begin()->first.second, "never_ended");
}

}  // namespace
}  // namespace dspool::loadtest
