// Where sessions run, and what becomes of those that cannot run yet.
#include <gtest/gtest.h>

#include <set>

#include "engine/dispatch/waiting_list.h"
#include "ipc/state_segment.h"
#include "tests/engine/dispatch/stepped_pool.h"

namespace dspool::dispatch {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLongCommand{20};  // so long that no worker is sent two at once
constexpr milliseconds kMiss{5};

Limits limits_of(Affinity affinity) {
  Limits limits;
  limits.affinity = affinity;
  return limits;
}

class CheckoutTest : public testing::TestWithParam<Affinity> {
 protected:
  CheckoutTest() { learn(); }

  // A call of the session, which its worker has answered, after a hydration where it is cold.
  std::uint32_t run(std::string_view session, bool keeps = true) {
    SteppedCall& call = pool_.call(session);
    const std::uint32_t worker = call.worker;
    pool_.answer(call, 1, kLongCommand, kMiss, keeps);
    return worker;
  }

  // The dispatcher gets to know how long a command and a miss take.
  void learn() {
    for (int i = 0; i < 100; ++i) run("warm-up", false);
  }

  // Keeps the worker busy with a call of another session.
  SteppedCall& occupy(std::uint32_t worker) {
    for (;;) {
      SteppedCall& call = pool_.call("busy-" + std::to_string(++others_));
      if (call.worker == worker) return call;
      pool_.answer(call, 1, kLongCommand);
    }
  }

  ipc::StateSegment segment_{std::size_t{64} << 20};
  SteppedPool pool_{segment_, nullptr, 1024, 2, limits_of(GetParam())};
  int others_ = 0;
};

using HintTest = CheckoutTest;
INSTANTIATE_TEST_SUITE_P(Hint, HintTest, testing::Values(Affinity::kHint));

TEST_P(HintTest, RunsWhereTheSessionIsWarm) {
  const std::uint32_t home = run("s");
  for (int i = 0; i < 20; ++i) EXPECT_EQ(run("s"), home);
}

TEST_P(HintTest, WaitsForTheWarmWorkerAsLongAsAMissWouldCost) {
  const std::uint32_t home = run("s");
  occupy(home);
  SteppedCall& call = pool_.call("s");
  EXPECT_EQ(call.request_id, 0U) << "the other worker is idle, and should not have it yet";
  pool_.advance(kMiss - milliseconds(2));
  EXPECT_EQ(call.request_id, 0U);
  pool_.advance(milliseconds(4));
  ASSERT_NE(call.request_id, 0U);
  EXPECT_NE(call.worker, home);
  EXPECT_EQ(pool_.metrics().steals.value(), 1U);
}

TEST_P(HintTest, HasTheWarmWorkerWhenThatIsFreeInTime) {
  const std::uint32_t home = run("s");
  SteppedCall& busy = occupy(home);
  SteppedCall& first = pool_.call("s");
  SteppedCall& second = pool_.call("s");
  pool_.advance(milliseconds(2));
  pool_.answer(busy, 1, kLongCommand);
  ASSERT_NE(first.request_id, 0U);
  EXPECT_EQ(first.worker, home);
  EXPECT_EQ(second.request_id, 0U);
  pool_.answer(first, 2, kLongCommand);
  EXPECT_EQ(second.worker, home);
  pool_.answer(second, 3, kLongCommand);
  EXPECT_EQ(pool_.metrics().steals.value(), 0U);
}

TEST_P(HintTest, LetsWhoeverExpectsAWorkerGoFirst) {
  const std::uint32_t home = run("first");
  SteppedCall& elsewhere = occupy(1 - home);
  ASSERT_EQ(run("second"), home);
  pool_.answer(elsewhere, 1, kLongCommand);
  SteppedCall& busy = pool_.call("first");
  SteppedCall& second = pool_.call("second");
  SteppedCall& behind = pool_.call("first");
  pool_.answer(busy, 1, kLongCommand);
  EXPECT_NE(second.request_id, 0U) << "it has waited for longer than the next call of the other";
  EXPECT_EQ(behind.request_id, 0U);
}

TEST_P(HintTest, AColdSessionHasNobodyToWaitFor) {
  const std::uint32_t home = run("s");
  occupy(home);
  SteppedCall& cold = pool_.call("cold");
  EXPECT_NE(cold.request_id, 0U);
  EXPECT_NE(cold.worker, home);
}

TEST_P(HintTest, NobodyExpectsAWorkerWhileOthersWaitForAny) {
  const std::uint32_t home = run("s");
  SteppedCall& busy = occupy(home);
  SteppedCall& other = occupy(1 - home);
  SteppedCall& waiting = pool_.call("waiting");
  SteppedCall& call = pool_.call("s");
  pool_.answer(other, 1, kLongCommand);
  EXPECT_NE(waiting.request_id, 0U);
  EXPECT_EQ(call.request_id, 0U);
  pool_.answer(busy, 1, kLongCommand);
  EXPECT_EQ(call.worker, home);
}

// Two sessions take turns where they are warm, and one of them always waits there.
TEST_P(HintTest, NobodyIsOvertakenForEver) {
  const std::uint32_t home = run("a");
  occupy(1 - home);
  ASSERT_EQ(run("b"), home);
  SteppedCall* running = &pool_.call("a");
  const SteppedCall& cold = pool_.call("cold");
  SteppedCall* next = &pool_.call("b");
  std::uint32_t overtook = 0;
  for (; overtook < 1'000; ++overtook) {
    pool_.answer(*running, 1, kLongCommand);
    if (cold.request_id != 0) break;
    running = next;
    next = &pool_.call(overtook % 2 == 0 ? "a" : "b");
  }
  EXPECT_GT(overtook, 0U);
  EXPECT_LT(overtook, WaitingList::kOldestEvery);
}

TEST_P(HintTest, ADeadWorkerIsExpectedByNobody) {
  const std::uint32_t home = run("s");
  occupy(home);
  SteppedCall& call = pool_.call("s");
  ASSERT_EQ(call.request_id, 0U);
  pool_.replace(home);
  EXPECT_NE(call.request_id, 0U);
}

TEST_P(HintTest, ACancelledCallExpectsNothing) {
  const std::uint32_t home = run("s");
  SteppedCall& busy = occupy(home);
  SteppedCall& cancelled = pool_.call("s");
  SteppedCall& next = pool_.call("s");
  pool_.dispatcher().cancel(cancelled, pool_.now());
  EXPECT_EQ(cancelled.code(), "cancelled");
  pool_.answer(busy, 1, kLongCommand);
  EXPECT_EQ(next.worker, home);
  EXPECT_NE(next.request_id, 0U);
}

TEST_P(HintTest, CountsWarmSessionsWhereTheyAre) {
  std::array<std::uint32_t, 2> expected{};
  for (int i = 0; i < 30; ++i) ++expected.at(run("s" + std::to_string(i)));
  for (std::uint32_t worker = 0; worker < 2; ++worker) {
    EXPECT_EQ(pool_.dispatcher().worker(worker).warm_sessions, expected.at(worker));
  }
  pool_.replace(0);
  EXPECT_EQ(pool_.dispatcher().worker(0).warm_sessions, 0U);
  EXPECT_EQ(pool_.dispatcher().worker(1).warm_sessions, expected[1]);
  for (int i = 0; i < 30; ++i) {
    pool_.call("s" + std::to_string(i), CallKind::kEndSession);
  }
  EXPECT_EQ(pool_.dispatcher().worker(1).warm_sessions, 0U);
}

using PinnedTest = CheckoutTest;
INSTANTIATE_TEST_SUITE_P(Pinned, PinnedTest, testing::Values(Affinity::kPinned));

TEST_P(PinnedTest, WaitsForItsWorkerHoweverLong) {
  const std::uint32_t home = run("s");
  SteppedCall& busy = occupy(home);
  SteppedCall& call = pool_.call("s");
  pool_.advance(milliseconds(9'000));
  EXPECT_EQ(call.request_id, 0U);
  pool_.answer(busy, 1, kLongCommand);
  EXPECT_EQ(call.worker, home);
}

using OffTest = CheckoutTest;
INSTANTIATE_TEST_SUITE_P(Off, OffTest, testing::Values(Affinity::kOff));

TEST_P(OffTest, WaitsForNobody) {
  const std::uint32_t home = run("s");
  occupy(home);
  SteppedCall& call = pool_.call("s");
  EXPECT_NE(call.request_id, 0U);
}

}  // namespace
}  // namespace dspool::dispatch
