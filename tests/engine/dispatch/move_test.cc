// A move is a turn in the session's queue that executes nothing: what it may do to the session, and
// what it may not.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "ipc/state_segment.h"
#include "tests/engine/dispatch/stepped_pool.h"
#include "tests/support/make_delta.h"

namespace dspool::dispatch {
namespace {

class MoveTest : public testing::Test {
 protected:
  // A session with a field that its worker, being a new one, does not have.
  MoveTest() {
    pool_.answer(pool_.call("a"), 1);
    pool_.dispatcher().worker_lost(0, Loss::kDeath, "killed", pool_.now());
    pool_.dispatcher().worker_ready(0, 2, pool_.now());
    pool_.prepare(move_, "a", CallKind::kMove);
  }

  void arrive() { ASSERT_TRUE(pool_.dispatcher().arrive(move_, pool_.now())); }
  // The worker has answered the move; false: it must be killed for how.
  bool answer(Outcome outcome) {
    outcome.attempt = 1;
    return pool_.dispatcher().answered(0, move_.request_id, outcome, pool_.now());
  }

  ipc::StateSegment segment_{std::size_t{16} << 20};
  SteppedCall move_;
  SteppedPool pool_{segment_};
};

TEST_F(MoveTest, MakesTheSessionWarmForTheCallBehindIt) {
  arrive();
  SteppedCall& behind = pool_.call("a");
  EXPECT_EQ(move_.code(), "under way");
  EXPECT_EQ(behind.request_id, 0U) << "it overtook the move";
  EXPECT_TRUE(answer({}));
  EXPECT_EQ(move_.code(), "ok");
  EXPECT_TRUE(move_.move.has_moved);
  EXPECT_NE(behind.request_id, 0U);
  EXPECT_EQ(pool_.metrics().hydrations.value(), 0U);
  EXPECT_EQ(pool_.dispatcher().worker(0).warm_sessions, 1U);
  pool_.answer(behind, 2);
  EXPECT_EQ(behind.code(), "ok");
}

TEST_F(MoveTest, IsNotRefusedForWhatCallersHaveQueued) {
  std::vector<SteppedCall*> queued;
  while (queued.empty() || queued.back()->code() == "under way") queued.push_back(&pool_.call("a"));
  ASSERT_EQ(queued.back()->code(), "session_queue_full");
  arrive();
  EXPECT_EQ(move_.code(), "under way");
  EXPECT_EQ(pool_.session("a")->queue.size(), queued.size());
}

TEST_F(MoveTest, IsNoUseOfTheSessionAndInNoStatistics) {
  const session::SessionRef session = pool_.session("a");
  const TimePoint used = session->used;
  const std::uint64_t operations = session->operations;
  const std::uint64_t calls = pool_.metrics().calls_ended.value();
  pool_.advance(std::chrono::milliseconds(10));
  arrive();
  EXPECT_TRUE(answer({}));
  EXPECT_EQ(session->used, used);
  EXPECT_EQ(session->operations, operations);
  EXPECT_EQ(session->record.version(), 1U);
  EXPECT_EQ(pool_.metrics().calls_ended.value(), calls);
}

TEST_F(MoveTest, AnAnswerThatWouldChangeTheSessionIsAViolation) {
  arrive();
  const Value put = Value::of(7);
  Outcome outcome;
  outcome.delta = test::make_delta({{"value", put.bytes()}});
  EXPECT_FALSE(answer(std::move(outcome)));
  EXPECT_EQ(pool_.session("a")->record.version(), 1U);
  pool_.dispatcher().worker_lost(0, Loss::kViolation, "it lied", pool_.now());
  EXPECT_EQ(move_.code(), "channel_violation");
}

TEST_F(MoveTest, OneThatTheWorkerCouldNotKeepIsCold) {
  arrive();
  Outcome outcome;
  outcome.not_kept = true;
  EXPECT_TRUE(answer(std::move(outcome)));
  EXPECT_EQ(move_.code(), "ok");
  EXPECT_FALSE(move_.move.has_moved);
  EXPECT_EQ(pool_.dispatcher().worker(0).warm_sessions, 0U);
}

TEST_F(MoveTest, NeverWaitsForItsWorker) {
  const SteppedCall& runs = pool_.call("b");
  arrive();
  EXPECT_EQ(move_.code(), "worker_busy");
  pool_.answer(runs, 1);
}

TEST_F(MoveTest, MovesNothingThatIsNotWhereItIsToBeTaken) {
  move_.move.from = {.worker = 0, .epoch = 1};
  pool_.session("a")->warm = {};
  arrive();
  EXPECT_EQ(move_.code(), "ok");
  EXPECT_FALSE(move_.move.has_moved);
}

TEST_F(MoveTest, TheDeathOfItsTargetHurtsNobody) {
  arrive();
  SteppedCall& behind = pool_.call("a");
  pool_.dispatcher().worker_lost(0, Loss::kDeath, "killed", pool_.now());
  EXPECT_EQ(move_.code(), "worker_lost");
  EXPECT_EQ(behind.code(), "under way");
  pool_.dispatcher().worker_ready(0, 3, pool_.now());
  pool_.dispatcher().hand_off(pool_.now());
  pool_.answer(behind, 2);
  EXPECT_EQ(behind.code(), "ok");
}

TEST_F(MoveTest, OneThatIsDrainedGetsNoMoreWork) {
  pool_.dispatcher().drain(0, pool_.now());
  const SteppedCall& waits = pool_.call("b");
  EXPECT_EQ(waits.request_id, 0U);
  arrive();
  EXPECT_EQ(move_.code(), "worker_busy");
  pool_.dispatcher().stop(pool_.now());
}

}  // namespace
}  // namespace dspool::dispatch
