#include "engine/simulation/workload.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace dspool::simulation {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

std::vector<Job> jobs_of(Workload workload) {
  std::vector<Job> jobs;
  while (const std::optional<Job> job = workload.next()) jobs.push_back(*job);
  return jobs;
}

TEST(WorkloadTest, OffersTheLoad) {
  const Options options{.workers = 4, .service_ms = 10, .duration_seconds = 500};
  const std::vector<Job> jobs = jobs_of(Workload(options, 0.5, nullptr));
  EXPECT_NEAR(static_cast<double>(jobs.size()), 0.5 * 4 / 0.01 * 500, 2'000);
  nanoseconds before(0);
  nanoseconds work(0);
  for (const Job& job : jobs) {
    EXPECT_GE(job.at, before);
    before = job.at;
    work += job.service;
  }
  EXPECT_LT(before, seconds(500));
  EXPECT_NEAR(static_cast<double>(work.count()) / 4 / 500e9, 0.5, 0.02);
}

TEST(WorkloadTest, VariesServiceAsItsCoefficientSays) {
  for (const double cv : {0.0, 0.5, 1.0, 2.0}) {
    const Options options{
        .workers = 1, .service_ms = 10, .service_cv = cv, .duration_seconds = 3'000};
    double sum = 0, squares = 0, count = 0;
    for (const Job& job : jobs_of(Workload(options, 1, nullptr))) {
      const double ms = static_cast<double>(job.service.count()) / 1e6;
      sum += ms;
      squares += ms * ms;
      ++count;
    }
    const double mean = sum / count;
    EXPECT_NEAR(mean, 10, 0.2) << cv;
    EXPECT_NEAR(std::sqrt(std::max(0.0, squares / count - mean * mean)) / mean, cv, 0.03) << cv;
  }
}

TEST(WorkloadTest, IsTheSameForTheSameSeed) {
  Options options{.duration_seconds = 5};
  const std::vector<Job> one = jobs_of(Workload(options, 0.8, nullptr));
  const std::vector<Job> same = jobs_of(Workload(options, 0.8, nullptr));
  options.seed = 2;
  const std::vector<Job> other = jobs_of(Workload(options, 0.8, nullptr));
  ASSERT_EQ(one.size(), same.size());
  for (std::size_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(one[i].at, same[i].at);
    EXPECT_EQ(one[i].session, same[i].session);
    EXPECT_EQ(one[i].service, same[i].service);
  }
  EXPECT_NE(one.front().at, other.front().at);
}

// Only the intervals differ, so that loads can be compared.
TEST(WorkloadTest, HasTheSameCallsAtAnotherLoad) {
  const Options options{.duration_seconds = 5};
  const std::vector<Job> one = jobs_of(Workload(options, 0.8, nullptr));
  const std::vector<Job> half = jobs_of(Workload(options, 0.4, nullptr));
  ASSERT_GT(half.size(), 100U);
  for (std::size_t i = 0; i < half.size() && i < one.size(); ++i) {
    EXPECT_NEAR(static_cast<double>(half[i].at.count()),
                2.0 * static_cast<double>(one[i].at.count()), static_cast<double>(i) + 2);
    EXPECT_EQ(one[i].session, half[i].session);
    EXPECT_EQ(one[i].service, half[i].service);
  }
}

TEST(WorkloadTest, ReplaysATraceAtThePaceThatGivesTheLoad) {
  const load::Trace trace{.session_ids = {"alice", "bob"},
                          .arrivals = {{.at = seconds(0), .session = 1},
                                       {.at = seconds(10), .session = 0},
                                       {.at = seconds(40), .session = 1}}};
  // Two workers at half their capacity begin 100 a second: two intervals take 20 ms.
  const Options options{.workers = 2, .service_ms = 10, .trace_file = "a.csv"};
  Workload workload(options, 0.5, &trace);
  EXPECT_EQ(workload.sessions(), 2U);
  const std::vector<Job> jobs = jobs_of(workload);
  ASSERT_EQ(jobs.size(), 3U);
  EXPECT_EQ(jobs[0].at, nanoseconds(0));
  EXPECT_EQ(jobs[1].at, milliseconds(5));
  EXPECT_EQ(jobs[2].at, milliseconds(20));
  EXPECT_EQ(jobs[0].session, 1U);
  EXPECT_EQ(jobs[1].session, 0U);
}

TEST(WorkloadTest, DrawsSessionsForATraceThatNamesNone) {
  const load::Trace trace{.session_ids = {},
                          .arrivals = {{.at = seconds(0)}, {.at = seconds(1)}, {.at = seconds(2)}}};
  const Options options{.sessions = 1'000'000, .trace_file = "a.csv"};
  Workload workload(options, 0.5, &trace);
  EXPECT_EQ(workload.sessions(), 1'000'000U);
  const std::vector<Job> jobs = jobs_of(workload);
  ASSERT_EQ(jobs.size(), 3U);
  EXPECT_NE(jobs[0].session, jobs[1].session);
}

TEST(WorkloadTest, EndsATraceEarlierWhereToldTo) {
  const load::Trace trace{.session_ids = {},
                          .arrivals = {{.at = seconds(0)}, {.at = seconds(1)}, {.at = seconds(2)}}};
  const Options options{
      .workers = 1, .service_ms = 10, .trace_file = "a.csv", .duration_seconds = 0.01};
  Workload workload(options, 0.5, &trace);  // they come every 20 ms
  EXPECT_EQ(workload.duration(), milliseconds(10));
  EXPECT_EQ(jobs_of(workload).size(), 1U);
}

}  // namespace
}  // namespace dspool::simulation
