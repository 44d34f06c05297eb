// The simulated pool beside the formulas of queueing theory, where there are some: one queue, many
// sessions (so that no two calls of one meet), no misses.
#include "engine/simulation/simulation.h"

#include <gtest/gtest.h>

#include <cmath>

namespace dspool::simulation {
namespace {

const Progress kGoOn = [](double) { return true; };

Report run(const Options& options, Policy policy, double load) {
  Workload workload(options, load, nullptr);
  return Simulation(options, policy, workload).run(kGoOn);
}

// Erlang's C: the probability that a call finds all of `workers` busy.
double chance_to_wait(std::uint32_t workers, double load) {
  const double offered = load * workers;
  double blocked = 1;  // Erlang's B, by its recurrence
  for (std::uint32_t i = 1; i <= workers; ++i)
    blocked = offered * blocked / (i + offered * blocked);
  return blocked / (1 - load * (1 - blocked));
}

// In an M/M/c queue a wait longer than t has the probability C exp(-(c - offered) t / service).
double wait_percentile_ms(std::uint32_t workers, double load, double service_ms, double fraction) {
  const double beyond = chance_to_wait(workers, load) / (1 - fraction);
  return beyond <= 1 ? 0 : std::log(beyond) * service_ms / (workers * (1 - load));
}

Options many_sessions(std::uint32_t workers, double service_cv, double duration_seconds) {
  Options options;
  options.workers = workers;
  options.service_ms = 10;
  options.service_cv = service_cv;
  options.sessions = 1'000'000;
  options.duration_seconds = duration_seconds;
  return options;
}

TEST(SimulationTest, AgreesWithTheFormulaForOneWorker) {
  constexpr double kLoad = 0.7;
  const Report report = run(many_sessions(1, 1, 3'000), Policy::kCentral, kLoad);
  EXPECT_NEAR(report.utilisation(), kLoad, 0.01);
  EXPECT_NEAR(report.wait.mean_ms(), kLoad / (1 - kLoad) * 10, 1.2);
  for (const double fraction : {0.5, 0.9, 0.99}) {
    const double expected = wait_percentile_ms(1, kLoad, 10, fraction);
    EXPECT_NEAR(report.wait.percentile_ms(fraction), expected, 0.05 * expected) << fraction;
  }
}

TEST(SimulationTest, AgreesWithTheFormulaForSixteenWorkers) {
  constexpr double kLoad = 0.9;
  const Report report = run(many_sessions(16, 1, 200), Policy::kCentral, kLoad);
  EXPECT_NEAR(report.utilisation(), kLoad, 0.01);
  const double mean = chance_to_wait(16, kLoad) * 10 / (16 * (1 - kLoad));
  EXPECT_NEAR(report.wait.mean_ms(), mean, 0.1 * mean);
  for (const double fraction : {0.9, 0.99}) {
    const double expected = wait_percentile_ms(16, kLoad, 10, fraction);
    EXPECT_NEAR(report.wait.percentile_ms(fraction), expected, 0.1 * expected) << fraction;
  }
}

// Pollaczek and Khinchine: the mean wait of an M/G/1 queue is
// load * service * (1 + cv^2) / 2 / (1 - load).
TEST(SimulationTest, AgreesWithTheFormulaForOtherServiceTimes) {
  for (const double cv : {0.0, 2.0}) {
    constexpr double kLoad = 0.6;
    const Report report = run(many_sessions(1, cv, 3'000), Policy::kCentral, kLoad);
    const double mean = kLoad * 10 * (1 + cv * cv) / 2 / (1 - kLoad);
    EXPECT_NEAR(report.wait.mean_ms(), mean, 0.06 * mean) << cv;
  }
}

TEST(SimulationTest, GivesTheSameResultForTheSameSeed) {
  for (const Policy policy :
       {Policy::kCentral, Policy::kPinned, Policy::kStealAtOnce, Policy::kDspool}) {
    Options options{.zipf = 0.6, .duration_seconds = 20};
    const std::string one = to_json(run(options, policy, 0.8));
    EXPECT_EQ(one, to_json(run(options, policy, 0.8)));
    options.seed = 2;
    EXPECT_NE(one, to_json(run(options, policy, 0.8)));
  }
}

TEST(SimulationTest, EndsEveryCallAlsoUnderOverload) {
  for (const Policy policy :
       {Policy::kCentral, Policy::kPinned, Policy::kStealAtOnce, Policy::kDspool}) {
    const Report report = run(Options{.zipf = 0.6, .duration_seconds = 60}, policy, 1.3);
    EXPECT_GT(report.calls, 20'000U);
    EXPECT_EQ(report.refused, 0U) << to_string(policy);
    EXPECT_EQ(report.wait.recorder.count(), report.calls) << to_string(policy);
    EXPECT_GT(report.wait.percentile_ms(0.5), 500) << to_string(policy);
  }
}

TEST(SimulationTest, RefusesWhatAQueueHasNoRoomFor) {
  const Report report =
      run(Options{.queue = 10, .zipf = 0.6, .duration_seconds = 60}, Policy::kDspool, 1.3);
  // A fourth of what comes is too much.
  EXPECT_NEAR(static_cast<double>(report.refused) / static_cast<double>(report.calls), 0.25, 0.03);
  EXPECT_EQ(report.wait.recorder.count() + report.refused, report.calls);
  EXPECT_GT(report.utilisation(), 0.95);
}

TEST(SimulationTest, ChargesTheWorkerForAMiss) {
  Options options{
      .workers = 4, .service_ms = 10, .miss_ms = 10, .zipf = 0.6, .duration_seconds = 600};
  const Report steals = run(options, Policy::kStealAtOnce, 0.4);
  EXPECT_GT(steals.cold, 1'000U);
  EXPECT_NEAR(steals.utilisation(), 0.4 * (1 + 1 - steals.hit_rate()), 0.01);
  const Report central = run(options, Policy::kCentral, 0.4);
  EXPECT_NEAR(central.utilisation(), 0.4, 0.01);
  EXPECT_NEAR(central.hit_rate(), 0.25, 0.05);  // by chance
}

TEST(SimulationTest, NeverMissesWherePinned) {
  const Report report = run(Options{.zipf = 0.6, .duration_seconds = 60}, Policy::kPinned, 0.8);
  EXPECT_EQ(report.hit_rate(), 1);
  EXPECT_EQ(report.refused, 0U);
}

TEST(SimulationTest, RunsTheCallsOfASessionOneAfterTheOther) {
  const Report report =
      run(Options{.service_cv = 0, .sessions = 1, .duration_seconds = 60}, Policy::kDspool, 0.5);
  // Sixteen workers, and one is all that a session can use.
  EXPECT_NEAR(report.utilisation(), 1.0 / 16, 0.001);
  EXPECT_GT(report.latency.percentile_ms(0.5), 1'000);
}

TEST(SimulationTest, TakesTenThousandWorkersAndAsManySessionsAsArrive) {
  const Report report =
      run(Options{.workers = 10'000, .sessions = 10'000'000, .zipf = 0.6, .duration_seconds = 0.2},
          Policy::kDspool, 0.8);
  EXPECT_GT(report.calls, 30'000U);
  EXPECT_EQ(report.wait.recorder.count(), report.calls);
  EXPECT_LT(report.wait.percentile_ms(0.99), 10);
}

// A load where service is so short that the engine lets several requests lie in a worker's ring.
TEST(SimulationTest, WaitsInAWorkersRingToo) {
  const Options options{
      .workers = 2, .service_ms = 0.02, .sessions = 100'000, .duration_seconds = 2};
  const Report report = run(options, Policy::kCentral, 0.9);
  EXPECT_EQ(report.wait.recorder.count(), report.calls);
  EXPECT_NEAR(report.utilisation(), 0.9, 0.02);
  EXPECT_NEAR(report.latency.mean_ms() - report.wait.mean_ms(), 0.02, 0.001);
}

TEST(SimulationTest, StopsWhereItIsToldTo) {
  const Options options{.zipf = 0.6, .duration_seconds = 3'600};
  Workload workload(options, 1.5, nullptr);
  double last = 0;
  const Report report = Simulation(options, Policy::kDspool, workload).run([&](double fraction) {
    EXPECT_GE(fraction, last);
    last = fraction;
    return fraction < 0.01;
  });
  EXPECT_TRUE(report.stopped_early);
  EXPECT_EQ(report.refused, 0U);
  EXPECT_LT(report.duration, std::chrono::seconds(300));
  EXPECT_GT(report.wait.recorder.count(), 1'000U);
}

// What runs then goes on, but is of a time that is not counted any more.
TEST(SimulationTest, NobodyHasWorkedForLongerThanItLastedWhenItIsStopped) {
  const Options options{.workers = 4, .service_ms = 60'000, .duration_seconds = 36'000'000};
  Workload workload(options, 3, nullptr);
  const Report report =
      Simulation(options, Policy::kCentral, workload).run([](double) { return false; });
  EXPECT_TRUE(report.stopped_early);
  EXPECT_LE(report.busy, options.workers * report.duration);
  EXPECT_GT(report.utilisation(), 0.9);
}

}  // namespace
}  // namespace dspool::simulation
