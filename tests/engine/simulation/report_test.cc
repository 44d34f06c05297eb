#include "engine/simulation/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>

#include "dspool/value.h"

namespace dspool::simulation {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

Report some_report() {
  Report report{.policy = Policy::kPinned,
                .load = 0.8,
                .workers = 4,
                .duration = seconds(10),
                .calls = 1'000,
                .refused = 3,
                .busy = seconds(30),
                .warm = 75,
                .cold = 25};
  for (int i = 0; i < 1'000; ++i) {
    report.wait.record(milliseconds(i));
    report.latency.record(milliseconds(i + 50));
  }
  return report;
}

TEST(SimulationReportTest, IsOneJsonObject) {
  const Result<Value> json = Value::parse_json(to_json(some_report()));
  ASSERT_TRUE(json) << json.error().message;
  EXPECT_EQ((*json)["policy"].as_string(), "pinned");
  EXPECT_EQ((*json)["workers"].as_int64(), 4);
  EXPECT_EQ((*json)["load"].as_double(), 0.8);
  EXPECT_EQ((*json)["duration_s"].as_double(), 10);
  EXPECT_EQ((*json)["calls"].as_int64(), 1'000);
  EXPECT_EQ((*json)["refused"].as_int64(), 3);
  EXPECT_EQ((*json)["utilisation"].as_double(), 0.75);
  EXPECT_EQ((*json)["hit_rate"].as_double(), 0.75);
  EXPECT_NEAR((*json)["wait_ms"]["mean"].as_double(), 499.5, 0.001);
  EXPECT_NEAR((*json)["wait_ms"]["p50"].as_double(), 499, 2);
  EXPECT_NEAR((*json)["wait_ms"]["p99"].as_double(), 989, 4);
  EXPECT_NEAR((*json)["wait_ms"]["p999"].as_double(), 998, 4);
  EXPECT_EQ((*json)["wait_ms"]["max"].as_double(), 999);
  EXPECT_NEAR((*json)["latency_ms"]["p99"].as_double(), 1'039, 5);
  EXPECT_FALSE(json->contains("sustain_p99_ms"));
}

TEST(SimulationReportTest, SaysWhatTheLoadWasToSustain) {
  Report report = some_report();
  report.sustain_p99_ms = 200;
  const Result<Value> json = Value::parse_json(to_json(report));
  ASSERT_TRUE(json);
  EXPECT_EQ((*json)["sustain_p99_ms"].as_double(), 200);
}

TEST(SimulationReportTest, IsATableWithAColumnForEachPolicy) {
  std::array reports = {some_report(), some_report()};
  reports[1].policy = Policy::kDspool;
  reports[1].load = 0;
  const std::string table = to_table(reports);
  EXPECT_THAT(table, HasSubstr("                         pinned         dspool\n"));
  EXPECT_THAT(table, HasSubstr("load                     80.0 %           none\n"));
  EXPECT_THAT(table, HasSubstr("hit rate                 75.0 %         75.0 %\n"));
  EXPECT_THAT(table, HasSubstr("refused                       3              3\n"));
}

TEST(SimulationReportTest, WritesTimesWithThreeDigits) {
  Report report;
  report.wait.record(std::chrono::microseconds(7'300'000));
  report.latency.record(milliseconds(12));
  const std::string table = to_table({&report, 1});
  EXPECT_THAT(table, HasSubstr("wait     mean            7.30 s\n"));
  EXPECT_THAT(table, HasSubstr("latency  mean           12.0 ms\n"));
}

TEST(SimulationReportTest, SaysZeroWhereNothingHappened) {
  const Result<Value> json = Value::parse_json(to_json(Report{}));
  ASSERT_TRUE(json);
  EXPECT_EQ((*json)["utilisation"].as_double(), 0);
  EXPECT_EQ((*json)["hit_rate"].as_double(), 0);
  EXPECT_EQ((*json)["wait_ms"]["p99"].as_double(), 0);
}

}  // namespace
}  // namespace dspool::simulation
