// What lies in the ring of a worker that turns out slow is taken back, and runs elsewhere. The
// engine's dispatcher is stepped by hand: a test says what a worker has begun, and when it answers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <vector>

#include "tests/engine/dispatch/stepped_pool.h"
#include "tests/support/history_checker.h"

namespace dspool::dispatch {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr std::uint32_t kSlow = 0;
constexpr std::uint32_t kOther = 1;

// All requests go to one worker, as the other is not there; it has answered one, so quickly that
// more may lie in its ring.
class RecallTest : public testing::Test {
 protected:
  RecallTest() {
    pool_.answer(pool_.call("first"), 1);
    pool_.let_begin(kSlow, 2);  // that one, and the next
  }

  void TearDown() override {  // ends what is still under way
    pool_.dispatcher().stop(pool_.now());
    for (const std::uint32_t worker : {kSlow, kOther}) {
      pool_.dispatcher().worker_lost(worker, Loss::kDeath, "killed", pool_.now());
    }
  }

  // Waits until the worker must have been found slow, if it is.
  void wait() { pool_.advance(milliseconds(20)); }
  void hand_off() {
    while (pool_.dispatcher().hand_off(pool_.now())) continue;
  }
  void start_other() {
    pool_.dispatcher().worker_ready(kOther, 2, pool_.now());
    hand_off();
  }
  [[nodiscard]] std::uint64_t recalls() { return pool_.metrics().recalls.value(); }
  void check_history(test::HistoryEnd end = test::HistoryEnd::kQuiescent) {
    EXPECT_THAT(test::check_history(pool_.history(), end), IsEmpty());
  }

  ipc::StateSegment segment_{std::size_t{64} << 20};
  SteppedPool pool_{segment_};
};

TEST_F(RecallTest, WhatLiesBehindASlowRequestRunsElsewhere) {
  SteppedCall& slow = pool_.call("slow");
  SteppedCall& second = pool_.call("second");
  SteppedCall& third = pool_.call("third");
  const std::uint64_t before = second.request_id;
  wait();
  EXPECT_EQ(recalls(), 2U);
  EXPECT_NE(slow.request_id, 0U);
  EXPECT_EQ(second.request_id, 0U);
  EXPECT_EQ(pool_.dispatcher().in_flight(), 1U);
  EXPECT_EQ(pool_.dispatcher().waiting_calls(), 2U);

  start_other();
  EXPECT_THAT(pool_.unanswered(kOther), ElementsAre(second.request_id, third.request_id));
  EXPECT_NE(second.request_id, before);
  pool_.answer(second, 1);
  pool_.answer(third, 1);
  EXPECT_EQ(second.code(), "ok");
  EXPECT_EQ(third.code(), "ok");
  EXPECT_EQ((*third.result)->attempts, 1U) << "what has not begun was no attempt";
  EXPECT_EQ(slow.code(), "under way");
  pool_.answer(slow, 1);
  EXPECT_EQ(slow.code(), "ok");
  check_history();
}

TEST_F(RecallTest, AWorkerGetsNothingNewBeforeItHasSkippedWhatWasTakenBack) {
  SteppedCall& slow = pool_.call("slow");
  SteppedCall& second = pool_.call("second");
  SteppedCall& third = pool_.call("third");
  wait();
  SteppedCall& late = pool_.call("late");
  pool_.answer(slow, 1);
  hand_off();
  EXPECT_EQ(pool_.dispatcher().waiting_calls(), 3U);
  const std::vector<std::uint64_t> skipped = pool_.unanswered(kSlow);
  ASSERT_EQ(skipped.size(), 2U);
  EXPECT_TRUE(pool_.tell(skipped[0], OutcomeStatus::kRecalled));
  hand_off();
  EXPECT_EQ(pool_.dispatcher().waiting_calls(), 3U);
  EXPECT_TRUE(pool_.tell(skipped[1], OutcomeStatus::kRecalled));
  hand_off();
  EXPECT_THAT(pool_.unanswered(kSlow),
              ElementsAre(second.request_id, third.request_id, late.request_id));
  pool_.answer_all();
  EXPECT_EQ(late.code(), "ok");
  EXPECT_EQ(pool_.dispatcher().worker(kSlow).in_flight(), 0U);
  check_history();
}

TEST_F(RecallTest, AnAnswerToWhatWasTakenBackIsNotBelieved) {
  pool_.call("slow");
  pool_.call("second");
  pool_.call("third");
  wait();
  const std::vector<std::uint64_t> sent = pool_.unanswered(kSlow);
  EXPECT_FALSE(pool_.tell(sent.at(1), OutcomeStatus::kOk));
  EXPECT_FALSE(pool_.tell(sent.at(2), OutcomeStatus::kCancelled));
}

// The worker claimed it at the moment of the recall, and saw that.
TEST_F(RecallTest, WhatComesBackAlthoughItCountsAsBegunRunsAgain) {
  pool_.call("slow");
  SteppedCall& claimed = pool_.call("claimed");
  SteppedCall& behind = pool_.call("behind");
  pool_.let_begin(kSlow, 2, 1);
  wait();
  EXPECT_EQ(recalls(), 1U);
  EXPECT_NE(claimed.request_id, 0U);
  EXPECT_TRUE(pool_.tell(claimed.request_id, OutcomeStatus::kRecalled));
  EXPECT_EQ(recalls(), 2U);
  start_other();
  EXPECT_THAT(pool_.unanswered(kOther), ElementsAre(claimed.request_id, behind.request_id))
      << "it goes ahead of all that wait";
  pool_.answer(claimed, 1);
  pool_.answer(behind, 1);
  EXPECT_EQ((*claimed.result)->attempts, 1U);
  check_history(test::HistoryEnd::kRunning);
}

TEST_F(RecallTest, NothingComesBackThatWasNotRecalled) {
  pool_.call("slow");
  const SteppedCall& second = pool_.call("second");
  EXPECT_FALSE(pool_.tell(second.request_id, OutcomeStatus::kRecalled));
}

// It would never get to begin any.
TEST_F(RecallTest, AWorkerThatRunsNothingKeepsWhatItHas) {
  pool_.let_begin(kSlow, 1);
  pool_.call("second");
  pool_.call("third");
  pool_.advance(seconds(1));
  EXPECT_EQ(recalls(), 0U);
  pool_.let_begin(kSlow, 2);
  pool_.advance(seconds(1));
  EXPECT_EQ(recalls(), 1U) << "and then it is slow";
}

TEST_F(RecallTest, AWorkerThatGoesOnKeepsWhatItHas) {
  for (const char* session : {"a", "b", "c", "d", "e"}) pool_.call(session);
  for (std::uint64_t begun = 3; begun <= 6; ++begun) {
    pool_.let_begin(kSlow, begun);
    pool_.advance(milliseconds(2));
  }
  EXPECT_EQ(recalls(), 0U);
}

TEST_F(RecallTest, ALoneRequestIsNotWatched) {
  pool_.call("slow");
  pool_.advance(seconds(1));
  EXPECT_EQ(pool_.looks(), 0U);
}

TEST_F(RecallTest, ASessionIsFreeAsSoonAsItsAbandonedAttemptIsTakenBack) {
  pool_.call("slow");
  SteppedCall& given_up = pool_.call("second");
  SteppedCall& next = pool_.call("second");
  pool_.dispatcher().cancel(given_up, pool_.now());
  wait();
  EXPECT_EQ(recalls(), 1U);
  start_other();
  pool_.answer(next, 1);
  EXPECT_EQ(next.code(), "ok");
  pool_.advance(seconds(30));
  EXPECT_THAT(pool_.killed(), IsEmpty());
  check_history(test::HistoryEnd::kRunning);
}

TEST_F(RecallTest, WhatWasTakenBackOutlivesTheWorker) {
  SteppedCall& slow = pool_.call("slow");
  SteppedCall& second = pool_.call("second");
  wait();
  pool_.dispatcher().worker_lost(kSlow, Loss::kDeath, "killed", pool_.now());
  EXPECT_EQ(slow.code(), "worker_lost");
  EXPECT_EQ(second.code(), "under way");
  EXPECT_EQ(pool_.dispatcher().worker(kSlow).in_flight(), 0U);
  start_other();
  pool_.answer(second, 1);
  EXPECT_EQ(second.code(), "ok");
  check_history();
}

TEST_F(RecallTest, ANewWorkersRequestsAreCountedFromTheFirst) {
  pool_.call("slow");
  pool_.call("second");
  wait();
  pool_.dispatcher().worker_lost(kSlow, Loss::kDeath, "killed", pool_.now());
  pool_.dispatcher().worker_ready(kSlow, 3, pool_.now());
  pool_.let_begin(kSlow, 0);
  hand_off();
  const SteppedCall& third = pool_.call("third");
  EXPECT_FALSE(pool_.tell(third.request_id, OutcomeStatus::kRecalled));
}

TEST_F(RecallTest, APoolThatStopsTakesNothingBack) {
  pool_.call("slow");
  const SteppedCall& second = pool_.call("second");
  pool_.dispatcher().stop(pool_.now());
  wait();
  EXPECT_EQ(recalls(), 0U);
  EXPECT_NE(second.request_id, 0U);
}

TEST_F(RecallTest, WhatComesBackToAPoolThatStopsEnds) {
  pool_.call("slow");
  const SteppedCall& claimed = pool_.call("claimed");
  pool_.let_begin(kSlow, 2, 1);
  wait();
  pool_.dispatcher().stop(pool_.now());
  EXPECT_TRUE(pool_.tell(claimed.request_id, OutcomeStatus::kRecalled));
  EXPECT_EQ(claimed.code(), "stopping");
  EXPECT_EQ(pool_.dispatcher().waiting_calls(), 0U);
}

// It was sent again with its session's fields, and lies behind the other by then.
TEST_F(RecallTest, AnAttemptThatHangsIsFoundAlthoughOneWithALowerIdLiesBehindIt) {
  pool_.let_begin(kSlow, 1000);
  const SteppedCall& again = pool_.call("first");
  SteppedCall& hangs = pool_.call("second");
  ASSERT_TRUE(pool_.tell(again.request_id, OutcomeStatus::kNeedState));
  ASSERT_LT(again.request_id, hangs.request_id);
  pool_.dispatcher().cancel(hangs, pool_.now());
  pool_.advance(Limits{}.cancel_grace + seconds(1));
  EXPECT_THAT(pool_.killed(), ElementsAre(kSlow));
}

}  // namespace
}  // namespace dspool::dispatch
