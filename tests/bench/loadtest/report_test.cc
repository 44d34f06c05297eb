#include "bench/loadtest/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dspool/value.h"

namespace dspool::loadtest {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using testing::HasSubstr;
using testing::Not;

constexpr milliseconds kLatency{7};

Report sample() {
  Report report;
  for (int i = 0; i < 3; ++i) report.tally.succeeded(microseconds(100));
  report.tally.failed({.category = ErrorCategory::kTimeout, .code = "a", .message = "too late"},
                      kLatency);
  report.tally.duration = milliseconds(1500);
  report.verdicts = {.lost = 1, .duplicated = 2, .out_of_order = 3, .crossed = 4};
  report.worker_restarts = 5;
  return report;
}

TEST(ReportTest, IsOneJsonObjectWithTheKeysThatToolsRelyOn) {
  const std::string json = to_json(sample());
  EXPECT_THAT(json, Not(HasSubstr("\n")));
  const Result<Value> value = Value::parse_json(json);
  ASSERT_TRUE(value) << value.error().message;
  EXPECT_EQ(value->size(), 21U);
  EXPECT_EQ((*value)["total_operations"].as_int64(), 4);
  EXPECT_EQ((*value)["successes"].as_int64(), 3);
  EXPECT_EQ((*value)["failures"].as_int64(), 1);
  EXPECT_EQ((*value)["errors_by_category"].size(), 1U);
  EXPECT_EQ((*value)["errors_by_category"]["timeout"].as_int64(), 1);
  EXPECT_DOUBLE_EQ((*value)["duration_ms"].as_double(), 1500);
  EXPECT_DOUBLE_EQ((*value)["ops_per_second"].as_double(), 2);
  EXPECT_DOUBLE_EQ((*value)["success_rate"].as_double(), 0.75);
  const ValueView latency = (*value)["latency_us"];
  EXPECT_EQ(latency.size(), 5U);
  for (const char* const key : {"p50", "p90", "p99", "p999", "max"}) {
    EXPECT_NEAR(latency[key].as_double(), 100, 1) << key;
  }
  EXPECT_EQ((*value)["refusal_us"]["max"].as_double(), 0);
  EXPECT_TRUE((*value)["capacity_per_second"].is_null());
  EXPECT_EQ((*value)["lost"].as_int64(), 1);
  EXPECT_EQ((*value)["duplicated"].as_int64(), 2);
  EXPECT_EQ((*value)["out_of_order"].as_int64(), 3);
  EXPECT_EQ((*value)["crossed"].as_int64(), 4);
  EXPECT_EQ((*value)["damaged"].as_int64(), 0);
  EXPECT_EQ((*value)["worker_restarts"].as_int64(), 5);
}

TEST(ReportTest, TellsOfChangesWhereThereWereAny) {
  Report report = sample();
  EXPECT_THAT(to_table(report), Not(HasSubstr("changes")));
  report.changes = Changes{.done = {1, 2, 3, 4, 5}, .refused = 6};
  EXPECT_THAT(to_table(report), HasSubstr("resize 1   drain 2   evacuate 3   migrate 4   "));
  const Result<Value> value = Value::parse_json(to_json(report));
  EXPECT_EQ((*value)["changes"]["rebalance"].as_int64(), 5);
  EXPECT_EQ((*value)["changes"]["refused"].as_int64(), 6);
}

TEST(Report, TellsOfARecovery) {
  Report report;
  EXPECT_THAT(to_json(report), HasSubstr("\"recovery_ms\":null"));
  EXPECT_THAT(to_table(report), Not(HasSubstr("recovery")));
  report.recovery = Recovery{.killed = 3};
  EXPECT_THAT(to_json(report), HasSubstr("\"killed_at_once\":3"));
  EXPECT_THAT(to_json(report), HasSubstr("\"recovery_ms\":null"));
  EXPECT_THAT(to_table(report), HasSubstr("not to be seen"));
  report.recovery->after = std::chrono::milliseconds(450);
  EXPECT_THAT(to_json(report), HasSubstr("\"recovery_ms\":450"));
  EXPECT_THAT(to_table(report), HasSubstr("450 ms after 3 workers"));
}

TEST(ReportTest, AddsUpCodesOfOneCategory) {
  Report report = sample();
  report.tally.failed({.category = ErrorCategory::kTimeout, .code = "b"}, kLatency);
  report.tally.failed({.category = ErrorCategory::kPython, .code = "exception"}, kLatency);
  const Result<Value> value = Value::parse_json(to_json(report));
  EXPECT_EQ((*value)["errors_by_category"]["timeout"].as_int64(), 2);
  EXPECT_EQ((*value)["errors_by_category"]["python"].as_int64(), 1);
}

TEST(ReportTest, TellsHowSoonThePoolRefusedAndWhatItCouldHaveDone) {
  Report report = sample();
  report.tally.failed({.category = ErrorCategory::kResourceError, .code = "overloaded"}, kLatency);
  report.capacity_per_second = 4;
  const Result<Value> value = Value::parse_json(to_json(report));
  for (const char* const key : {"p50", "p99", "max"}) {
    EXPECT_NEAR((*value)["refusal_us"][key].as_double(), 7'000, 30) << key;
  }
  EXPECT_DOUBLE_EQ((*value)["capacity_per_second"].as_double(), 4);
  EXPECT_THAT(to_table(report), HasSubstr("50.0 % of the 4 that the pool's slots have time for"));
  EXPECT_THAT(to_table(report), HasSubstr("refused      p50 7"));
}

TEST(ReportTest, DividesNothingByZero) {
  const Report nothing;
  EXPECT_EQ(nothing.success_rate(), 0);
  EXPECT_EQ(nothing.ops_per_second(), 0);
  const Result<Value> value = Value::parse_json(to_json(nothing));
  ASSERT_TRUE(value);
  EXPECT_EQ((*value)["errors_by_category"].kind(), Kind::kMap);
}

TEST(ReportTest, TellsPeopleWhatFailedAndWhatIsNotProved) {
  Report report = sample();
  EXPECT_THAT(to_table(report), HasSubstr("1 x timeout/a: too late"));
  EXPECT_THAT(to_table(report), HasSubstr("lost 1   duplicated 2   out of order 3   crossed 4"));
  EXPECT_EQ(unproved(report), "");
  report.sessions = 3;
  report.unsettled_sessions = 2;
  EXPECT_THAT(unproved(report), HasSubstr("2 of 3 sessions did not tell their version"));
  report.check = Check::kCounter;
  EXPECT_THAT(unproved(report), HasSubstr("2 of 3 sessions did not answer 'read'"));
}

TEST(ReportTest, WritesTimesForPeople) {
  EXPECT_EQ(readable(std::chrono::nanoseconds(850)), "0.85 µs");
  EXPECT_EQ(readable(microseconds(57)), "57 µs");
  EXPECT_EQ(readable(microseconds(1234)), "1.23 ms");
  EXPECT_EQ(readable(milliseconds(2500)), "2.50 s");
}

}  // namespace
}  // namespace dspool::loadtest
