#include "bench/loadtest/schedule.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>

namespace dspool::loadtest {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(ClosedLoopTest, StartsTheNextOperationWhenOneHasEnded) {
  ClosedLoop loop(std::make_unique<RoundRobin>(3, 2), 3, /*concurrency=*/2, {});
  EXPECT_EQ(loop.next(Elapsed(1))->session, 0U);
  EXPECT_EQ(loop.next(Elapsed(2))->session, 1U);
  EXPECT_FALSE(loop.next(Elapsed(3)));
  loop.ended(1);
  const std::optional<Start> start = loop.next(Elapsed(4));
  EXPECT_EQ(start->session, 2U);
  EXPECT_EQ(start->intended, Elapsed(4));
}

TEST(ClosedLoopTest, NumbersTheOperationsOfASessionAndIsDoneAfterTheLast) {
  ClosedLoop loop(std::make_unique<RoundRobin>(1, 3), 1, /*concurrency=*/8, {});
  for (std::uint64_t index = 0; index < 3; ++index) {
    EXPECT_FALSE(loop.done());
    EXPECT_EQ(loop.next(Elapsed(0))->index, index);
    loop.ended(0);
  }
  EXPECT_TRUE(loop.done());
}

TEST(ClosedLoopTest, IsDoneAtItsEnd) {
  ClosedLoop loop(std::make_unique<RoundRobin>(1, std::nullopt), 1, 1, {.end = seconds(1)});
  EXPECT_TRUE(loop.next(milliseconds(999)));
  loop.ended(0);
  EXPECT_FALSE(loop.done());
  EXPECT_FALSE(loop.next(seconds(1)));
  EXPECT_TRUE(loop.done());
}

TEST(ClosedLoopTest, MeasuresFromTheEndOfTheWarmup) {
  ClosedLoop loop(std::make_unique<RoundRobin>(2, 1), 2, 2, {.warmup = seconds(1)});
  EXPECT_FALSE(loop.next(milliseconds(999))->measured);
  EXPECT_TRUE(loop.next(seconds(1))->measured);
}

TEST(OpenLoopTest, KeepsItsRateWhateverHappens) {
  constexpr double kRate = 1000;
  constexpr int kStarts = 20'000;
  OpenLoop loop(std::make_unique<RoundRobin>(7, std::nullopt), 7, kRate, {}, /*seed=*/1);
  Elapsed last{0};
  for (int i = 0; i < kStarts; ++i) {
    const std::optional<Elapsed> at = loop.next_at();
    EXPECT_FALSE(loop.next(*at - Elapsed(1)));
    const std::optional<Start> start = loop.next(*at + seconds(5));  // late, and still
    ASSERT_TRUE(start);
    EXPECT_EQ(start->intended, *at);
    EXPECT_GE(start->intended, last);
    last = start->intended;
  }
  const double expected = kStarts / kRate;
  EXPECT_NEAR(std::chrono::duration<double>(last).count(), expected, 0.05 * expected);
}

TEST(OpenLoopTest, IsDoneAfterItsOperations) {
  OpenLoop loop(std::make_unique<RoundRobin>(2, 2), 2, 10, {}, /*seed=*/1);
  int starts = 0;
  while (loop.next(Elapsed::max() / 2)) ++starts;
  EXPECT_EQ(starts, 4);
  EXPECT_TRUE(loop.done());
}

TEST(OpenLoopTest, IsDoneAtItsEnd) {
  OpenLoop loop(std::make_unique<RoundRobin>(2, std::nullopt), 2, 100, {.end = seconds(1)}, 1);
  int starts = 0;
  while (const std::optional<Start> start = loop.next(seconds(10))) {
    EXPECT_LT(start->intended, seconds(1));
    ++starts;
  }
  EXPECT_TRUE(loop.done());
  EXPECT_GT(starts, 50);
}

TEST(ReplayTest, FollowsTheTraceAtItsSpeed) {
  const std::vector<load::Arrival> arrivals = {{.at = seconds(0), .session = 4},
                                               {.at = seconds(3), .session = 2}};
  Replay replay(arrivals, /*speedup=*/2, {});
  EXPECT_EQ(replay.next(Elapsed(0))->session, 4U);
  EXPECT_EQ(replay.next_at(), milliseconds(1500));
  EXPECT_FALSE(replay.next(milliseconds(1499)));
  const std::optional<Start> start = replay.next(milliseconds(1600));
  EXPECT_EQ(start->session, 2U);
  EXPECT_EQ(start->index, 1U);
  EXPECT_EQ(start->intended, milliseconds(1500));
  EXPECT_TRUE(replay.done());
}

TEST(ReplayTest, IsDoneAtItsEnd) {
  const std::vector<load::Arrival> arrivals = {{.at = seconds(0)}, {.at = seconds(3)}};
  Replay replay(arrivals, 1, {.end = seconds(2)});
  EXPECT_TRUE(replay.next(Elapsed(0)));
  EXPECT_FALSE(replay.next(seconds(3)));
  EXPECT_TRUE(replay.done());
}

std::unique_ptr<Schedule> eight_at_once() {
  return std::make_unique<ClosedLoop>(std::make_unique<RoundRobin>(8, 1), 8, 8, Window{});
}

TEST(HeldBackTest, HoldsTheLastStartsBackUntilItIsOpen) {
  bool open = false;
  HeldBack held(
      eight_at_once(), /*limit=*/6, [&] { return open; }, seconds(10));
  for (int i = 0; i < 6; ++i) EXPECT_TRUE(held.next(seconds(1)));
  EXPECT_FALSE(held.next(seconds(2)));
  EXPECT_GT(held.next_at(), seconds(2));
  EXPECT_LE(held.next_at(), milliseconds(2100));
  EXPECT_FALSE(held.done());
  open = true;
  EXPECT_TRUE(held.next(seconds(3)));
  EXPECT_TRUE(held.next(seconds(3)));
  EXPECT_TRUE(held.done());
  EXPECT_EQ(held.next_at(), std::nullopt);
}

TEST(HeldBackTest, LosesItsPatience) {
  HeldBack held(
      eight_at_once(), /*limit=*/0, [] { return false; }, seconds(10));
  EXPECT_FALSE(held.next(seconds(5)));
  EXPECT_FALSE(held.next(seconds(14)));
  EXPECT_TRUE(held.next(seconds(15)));
}

}  // namespace
}  // namespace dspool::loadtest
