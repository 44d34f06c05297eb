#include "engine/simulation/simulate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <vector>

namespace dspool::simulation {
namespace {

using testing::HasSubstr;

const Progress kOnward = [](double) { return true; };

TEST(SimulateTest, ComparesPoliciesOnTheSameCalls) {
  const auto reports = simulate(
      {.policies = {Policy::kCentral, Policy::kPinned}, .zipf = 0.6, .duration_seconds = 60},
      kOnward);
  ASSERT_TRUE(reports);
  ASSERT_EQ(reports->size(), 2U);
  EXPECT_EQ((*reports)[0].policy, Policy::kCentral);
  EXPECT_EQ((*reports)[1].policy, Policy::kPinned);
  EXPECT_EQ((*reports)[0].calls, (*reports)[1].calls);
  EXPECT_GT((*reports)[1].wait.percentile_ms(0.99), (*reports)[0].wait.percentile_ms(0.99));
}

TEST(SimulateTest, FindsTheLoadThatAPolicySustains) {
  Options options{.workers = 4,
                  .service_ms = 10,
                  .policies = {Policy::kCentral, Policy::kPinned},
                  .sessions = 1'000,
                  .zipf = 0.6,
                  .duration_seconds = 120};
  options.sustain_p99_ms = 50;
  const auto reports = simulate(options, kOnward);
  ASSERT_TRUE(reports);
  for (const Report& report : *reports) {
    EXPECT_EQ(report.sustain_p99_ms, 50);
    EXPECT_LE(report.wait.percentile_ms(0.99), 50);
    Options more = options;
    more.sustain_p99_ms.reset();
    more.policies = {report.policy};
    more.load = report.load + kSustainStep;
    EXPECT_GT(simulate(more, kOnward)->front().wait.percentile_ms(0.99), 50);
  }
  EXPECT_GT((*reports)[0].load, (*reports)[1].load);
}

TEST(SimulateTest, FindsNoLoadWhereNoneIsSustained) {
  // The only session waits for itself, whatever the sixteen workers could do.
  Options options{.workers = 16, .service_ms = 1'000, .sessions = 1, .duration_seconds = 20'000};
  options.sustain_p99_ms = 0;
  const auto reports = simulate(options, kOnward);
  ASSERT_TRUE(reports);
  EXPECT_EQ(reports->front().load, 0);
  EXPECT_EQ(reports->front().calls, 0U);
}

TEST(SimulateTest, StopsBetweenPoliciesToo) {
  double last = 0;
  const auto reports = simulate(
      {.policies = {Policy::kCentral, Policy::kDspool}, .zipf = 0.6, .duration_seconds = 600},
      [&](double fraction) {
        EXPECT_GE(fraction, last);
        last = fraction;
        return fraction < 0.6;
      });
  ASSERT_TRUE(reports);
  ASSERT_EQ(reports->size(), 2U);
  EXPECT_FALSE((*reports)[0].stopped_early);
  EXPECT_TRUE((*reports)[1].stopped_early);
}

TEST(SimulateTest, NamesATraceThatIsNotThere) {
  const auto reports = simulate({.trace_file = "no/such/trace.csv"}, kOnward);
  ASSERT_FALSE(reports);
  EXPECT_EQ(reports.error().code, "invalid_options");
  EXPECT_THAT(reports.error().message, HasSubstr("no/such/trace.csv"));
}

TEST(SimulateTest, ReplaysATraceOfItsOwnSessions) {
  const std::string file = testing::TempDir() + "simulate_test.csv";
  {
    std::ofstream trace(file);
    trace << "timestamp_ms,session_id,input_bytes,output_bytes\n";
    for (int i = 0; i < 1'000; ++i) trace << i * 7 << ",session-" << i % 10 << ",1,1\n";
  }
  const auto reports =
      simulate({.workers = 4, .service_ms = 10, .load = 0.5, .trace_file = file}, kOnward);
  std::filesystem::remove(file);
  ASSERT_TRUE(reports) << reports.error().message;
  const Report& report = reports->front();
  EXPECT_EQ(report.calls, 1'000U);
  EXPECT_EQ(report.warm + report.cold, 990U);  // all but the first of each session
  EXPECT_NEAR(report.utilisation(), 0.5, 0.1);
}

TEST(SimulateTest, ReplaysTheTraceOfAProductionService) {
  const std::filesystem::path file =
      std::filesystem::path(DSPOOL_DATA_DIR) / "azure_llm_inference_conv_2023.csv";
  if (!std::filesystem::exists(file)) GTEST_SKIP() << file << " is absent";
  const auto reports = simulate({.policies = {Policy::kCentral, Policy::kDspool},
                                 .sessions = 2'000,
                                 .load = 0.8,
                                 .trace_file = file},
                                kOnward);
  ASSERT_TRUE(reports) << reports.error().message;
  for (const Report& report : *reports) {
    EXPECT_EQ(report.calls, 19'366U);
    EXPECT_EQ(report.refused, 0U);
  }
  EXPECT_NEAR((*reports)[0].utilisation(), 0.8, 0.05);
  EXPECT_GT((*reports)[1].hit_rate(), (*reports)[0].hit_rate());
}

}  // namespace
}  // namespace dspool::simulation
