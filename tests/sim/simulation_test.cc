// A thousand seeds of random arrivals, service times, deaths, hangs, timeouts, cancels, full
// rings, recalls from them, evicted caches, refused commits, commands that end their workers, a
// durable store that breaks, and a fleet that changes. A seed that fails is replayed with
//   DSPOOL_SEED=<seed> sim_test --gtest_filter=Replay.*
#include "tests/sim/simulation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

namespace dspool::sim {
namespace {

Affinity affinity_for(std::uint64_t seed) {
  if (seed % 6 == 5) return Affinity::kOff;
  return seed % 7 == 6 ? Affinity::kPinned : Affinity::kHint;
}

Options options_for(std::uint64_t seed) {
  const bool rush = seed % 9 == 4;           // far more than the workers can do
  const bool crowd = rush && seed % 4 == 0;  // so that each session always has another call
  return {.seed = seed,
          .workers = static_cast<std::uint32_t>(1 + seed % (rush ? 2 : 5)),
          .sessions = rush && !crowd ? 300 : static_cast<std::uint32_t>(3 + seed * 7 % 40),
          .calls = rush ? 1'500U : 400U,
          .pipeline = crowd ? 1U : 8U,
          .max_in_flight = seed % 4 == 3 ? 4U : 1U,
          .affinity = affinity_for(seed),
          .rush = rush ? 4U : 1U,
          .zipf = 0.6 + 0.35 * static_cast<double>(seed % 3),
          .ttl = std::chrono::milliseconds(seed % 3 == 0 ? 40 : 0),
          .deaths = crowd ? 0.1 : 1,
          .poison = seed % 16 == 3 ? 0.2 : 0,
          .durable = seed % 5 < 3,
          .restless = seed / 4 % 2 == 0,
          .jitter = seed % 4 != 2,
          .breaks = seed % 8 == 1};
}

TEST(SimulationTest, AThousandSeedsKeepEveryPromise) {
  Simulation::Counts all;
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    Simulation simulation(options_for(seed));
    const auto wrong = simulation.run();
    ASSERT_TRUE(wrong.empty()) << "replay: DSPOOL_SEED=" << seed
                               << " sim_test --gtest_filter=Replay.*\n"
                               << fmt::format("{}", fmt::join(wrong, "\n"));
    const Simulation::Counts& counts = simulation.counts();
    all.ok += counts.ok;
    all.errors += counts.errors;
    all.deaths += counts.deaths;
    all.need_state += counts.need_state;
    all.full += counts.full;
    all.cancelled += counts.cancelled;
    all.again += counts.again;
    all.skipped += counts.skipped;
    all.expired += counts.expired;
    all.unknown += counts.unknown;
    all.evicted += counts.evicted;
    all.loaded += counts.loaded;
    all.read += counts.read;
    all.retried += counts.retried;
    all.warm += counts.warm;
    all.stolen += counts.stolen;
    all.shed += counts.shed;
    all.recalled += counts.recalled;
    all.in_doubt += counts.in_doubt;
    all.moved += counts.moved;
    all.left += counts.left;
    all.repeated += counts.repeated;
    all.over_budget += counts.over_budget;
    all.broken += counts.broken;
    all.killed += counts.killed;
    all.quarantined_calls += counts.quarantined_calls;
    all.quarantined_sessions += counts.quarantined_sessions;
    all.overtaken = std::max(all.overtaken, counts.overtaken);
  }
  // The seeds must meet what they are there for.
  EXPECT_GT(all.ok, 20'000U);
  EXPECT_GT(all.errors, 500U);
  EXPECT_GT(all.deaths, 200U);
  EXPECT_GT(all.need_state, 50U);
  EXPECT_GT(all.full, 100U);
  EXPECT_GT(all.cancelled, 100U);
  EXPECT_GT(all.again, 100U);
  EXPECT_GT(all.skipped, 50U);
  EXPECT_GT(all.expired, 100U);
  EXPECT_GT(all.unknown, 50U);
  EXPECT_GT(all.evicted, 100U);
  EXPECT_GT(all.loaded, 100U);
  EXPECT_GT(all.read, 1'000U);
  EXPECT_GT(all.retried, 100U);
  EXPECT_GT(all.warm, 10'000U);
  EXPECT_GT(all.stolen, 1'000U);
  EXPECT_GT(all.shed, 100U);
  EXPECT_GT(all.recalled, 1'000U);
  EXPECT_GT(all.in_doubt, 100U);
  EXPECT_GT(all.moved, 1'000U);
  EXPECT_GT(all.left, 1'000U);
  EXPECT_GT(all.repeated, 1'000U);
  EXPECT_GT(all.over_budget, 50U);
  EXPECT_GT(all.broken, 500U);
  EXPECT_GT(all.killed, 1'000U);
  EXPECT_GT(all.quarantined_calls, 500U);
  EXPECT_GT(all.quarantined_sessions, 50U);
  EXPECT_GT(all.overtaken, 50U);
}

TEST(SimulationTest, TheSameSeedGivesTheSameRun) {
  Simulation first(options_for(7));
  Simulation second(options_for(7));
  first.run();
  second.run();
  EXPECT_EQ(first.counts().ok, second.counts().ok);
  EXPECT_EQ(first.counts().errors, second.counts().errors);
  EXPECT_EQ(first.counts().deaths, second.counts().deaths);
}

TEST(Replay, Seed) {
  const char* seed = std::getenv("DSPOOL_SEED");
  if (seed == nullptr) GTEST_SKIP() << "set DSPOOL_SEED to the seed to replay";
  Simulation simulation(options_for(std::strtoull(seed, nullptr, 10)));
  EXPECT_EQ(fmt::format("{}", fmt::join(simulation.run(), "\n")), "");
}

}  // namespace
}  // namespace dspool::sim
