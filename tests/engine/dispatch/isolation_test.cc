// Who was with a worker that died runs alone after that, and who dies alone is let run no more. The
// engine's dispatcher is stepped by hand: a test says what a worker has begun, and when it dies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "tests/engine/dispatch/stepped_pool.h"
#include "tests/support/history_checker.h"

namespace dspool::dispatch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::uint32_t kLone = 0;
constexpr std::uint32_t kSecond = 1;

// Deaths are followed by another attempt at once, however many there are.
Limits limits() {
  Limits limits;
  limits.retry.base_delay = std::chrono::milliseconds(0);
  limits.circuit_breaker.enabled = false;
  return limits;
}

// One worker that has answered so quickly that its ring may hold several requests, unless a test
// starts others.
class IsolationTest : public testing::Test {
 protected:
  IsolationTest() { pool_.answer(pool_.call("first"), 1); }

  void TearDown() override {  // ends what is still under way
    pool_.dispatcher().stop(pool_.now());
    for (const std::uint32_t worker : {kLone, kSecond}) {
      pool_.dispatcher().worker_lost(worker, Loss::kDeath, "killed", pool_.now());
    }
    EXPECT_THAT(test::check_history(pool_.history(), test::HistoryEnd::kQuiescent), IsEmpty());
  }

  SteppedCall& ask(std::string_view session, std::string_view command = "command",
                   std::uint32_t max_retries = 5, std::string_view key = {}) {
    SteppedCall& call = calls_.emplace_back();
    pool_.prepare(call, session);
    call.command = command;
    call.max_retries = max_retries;
    call.idempotency_key = key;
    if (!key.empty()) call.asked = fingerprint_of(call);
    EXPECT_TRUE(pool_.dispatcher().arrive(call, pool_.now()));
    hand_off();
    return call;
  }
  void hand_off() {
    while (pool_.dispatcher().hand_off(pool_.now())) continue;
  }
  // The worker dies with what it has, of which it had begun all, and another takes its place.
  void die(std::uint32_t worker = kLone) {
    pool_.replace(worker);
    hand_off();
  }
  // A call that dies with its worker, and then alone with another.
  SteppedCall& quarantine(std::string_view session, std::string_view command) {
    SteppedCall& call = ask(session, command);
    die();
    die();
    return call;
  }
  [[nodiscard]] std::vector<std::uint64_t> on(std::uint32_t worker) const {
    return pool_.unanswered(worker);
  }

  ipc::StateSegment segment_{std::size_t{64} << 20};
  std::deque<SteppedCall> calls_;
  SteppedPool pool_{segment_, nullptr, 1024, 1, limits()};
};

TEST_F(IsolationTest, ADeathIsFollowedByAnAttemptAlone) {
  SteppedCall& one = ask("one");
  SteppedCall& two = ask("two");
  ASSERT_THAT(on(kLone), SizeIs(2));
  die();
  EXPECT_THAT(on(kLone), ElementsAre(one.request_id));
  SteppedCall& three = ask("three");
  EXPECT_EQ(three.request_id, 0U) << "nobody joins it";
  pool_.answer(one, 1);
  hand_off();
  EXPECT_THAT(on(kLone), ElementsAre(two.request_id)) << "nor those who were there, too";
  pool_.answer(two, 1);
  hand_off();
  EXPECT_THAT(on(kLone), ElementsAre(three.request_id));
  EXPECT_EQ(one.code(), "ok");
  EXPECT_EQ(one.attempts, 2U);
}

TEST_F(IsolationTest, OneThatDiesAloneIsNotTriedAgain) {
  SteppedCall& killer = ask("one", "kill");
  SteppedCall& neighbour = ask("two");
  die();
  die();
  EXPECT_EQ(killer.code(), "call_quarantined");
  EXPECT_EQ(killer.attempts, 2U);
  const Error& error = killer.result->error();
  EXPECT_EQ(error.category, ErrorCategory::kSession);
  EXPECT_EQ(error.state_applied, StateApplied::kNo);
  EXPECT_FALSE(error.retryable);
  EXPECT_THAT(error.message, HasSubstr("worker-0 ended (killed)"));
  pool_.answer(neighbour, 1);
  EXPECT_EQ(neighbour.code(), "ok");
  EXPECT_EQ(pool_.metrics().calls_quarantined.value(), 1U);
}

TEST_F(IsolationTest, WhatHadNotBegunIsInNoDoubt) {
  SteppedCall& killer = ask("one", "kill");
  ask("two");
  ask("three");
  pool_.let_begin(kLone, 2);  // "first", and the killer
  pool_.dispatcher().worker_lost(kLone, Loss::kDeath, "killed", pool_.now());
  pool_.dispatcher().worker_ready(kSecond, 7, pool_.now());
  hand_off();
  EXPECT_THAT(on(kSecond), SizeIs(1)) << "the killer is alone";
  die(kSecond);
  EXPECT_EQ(killer.code(), "call_quarantined");
  EXPECT_THAT(on(kSecond), SizeIs(2)) << "the others are together";
}

TEST_F(IsolationTest, AWorkerThatIsKeptFreeFinishesWhatItHas) {
  SteppedCall& one = ask("one");
  pool_.dispatcher().worker_ready(kSecond, 7, pool_.now());
  for (const char* name : {"a", "b", "c"}) ask(name);
  ASSERT_GE(on(kSecond).size(), 2U);
  pool_.dispatcher().worker_lost(kLone, Loss::kDeath, "killed", pool_.now());
  hand_off();
  SteppedCall& later = ask("later");
  EXPECT_EQ(later.request_id, 0U);
  while (!on(kSecond).empty() && one.request_id == 0) {
    ASSERT_TRUE(pool_.tell(on(kSecond).front(), OutcomeStatus::kOk));
    hand_off();
  }
  EXPECT_THAT(on(kSecond), ElementsAre(one.request_id));
  // So does whoever had been there with it; then come the others.
  while (!on(kSecond).empty() && later.request_id == 0) {
    ASSERT_THAT(on(kSecond), SizeIs(1));
    ASSERT_TRUE(pool_.tell(on(kSecond).front(), OutcomeStatus::kOk));
    hand_off();
  }
  EXPECT_NE(later.request_id, 0U);
}

TEST_F(IsolationTest, HalfOfTheWorkersGoOnWithOthers) {
  pool_.dispatcher().worker_ready(kSecond, 7, pool_.now());
  SteppedCall& one = ask("one");
  SteppedCall& two = ask("two");
  ASSERT_NE(one.worker, two.worker);
  const std::uint32_t first = one.worker;
  const std::uint32_t second = two.worker;
  die(first);
  die(second);
  EXPECT_EQ(pool_.dispatcher().in_flight(), 1U) << "one of them is alone, the other one waits";
  SteppedCall& other = ask("other");
  EXPECT_NE(other.request_id, 0U);
}

TEST_F(IsolationTest, AKeptWorkerThatDiesIsNotWaitedFor) {
  SteppedCall& one = ask("one");
  pool_.dispatcher().worker_ready(kSecond, 7, pool_.now());
  const SteppedCall& busy = ask("busy");
  ASSERT_EQ(busy.worker, kSecond);
  pool_.dispatcher().worker_lost(kLone, Loss::kDeath, "killed", pool_.now());
  hand_off();
  ASSERT_EQ(one.request_id, 0U) << "worker-1 is kept for it, but busy";
  pool_.dispatcher().worker_ready(kLone, 8, pool_.now());
  pool_.dispatcher().drain(kSecond, pool_.now());
  hand_off();
  EXPECT_NE(one.request_id, 0U);
  EXPECT_EQ(one.worker, kLone);
}

TEST_F(IsolationTest, ACallThatIsCancelledWhileAWorkerIsKeptForItLetsItGo) {
  SteppedCall& one = ask("one");
  pool_.dispatcher().worker_ready(kSecond, 7, pool_.now());
  ask("busy");
  pool_.dispatcher().worker_lost(kLone, Loss::kDeath, "killed", pool_.now());
  hand_off();
  SteppedCall& later = ask("later");
  ASSERT_EQ(later.request_id, 0U);
  pool_.dispatcher().cancel(one, pool_.now());
  hand_off();
  EXPECT_NE(later.request_id, 0U);
}

TEST_F(IsolationTest, AnAttemptAloneThatOutlivesItsCallStaysAlone) {
  SteppedCall& one = ask("one");
  die();
  pool_.dispatcher().cancel(one, pool_.now());
  SteppedCall& later = ask("later");
  EXPECT_EQ(later.request_id, 0U);
  ASSERT_TRUE(pool_.tell(on(kLone).front(), OutcomeStatus::kOk));
  hand_off();
  EXPECT_NE(later.request_id, 0U);
}

TEST_F(IsolationTest, NobodyIsBlamedForAWorkerThatWasToEnd) {
  SteppedCall& one = ask("one");
  SteppedCall& two = ask("two");
  pool_.dispatcher().worker_ready(kSecond, 7, pool_.now());
  pool_.dispatcher().withdraw(kLone, pool_.now());
  pool_.dispatcher().worker_lost(kLone, Loss::kDeath, "killed", pool_.now());
  hand_off();
  EXPECT_THAT(on(kSecond), SizeIs(2));
  EXPECT_EQ(one.worker, two.worker);
}

TEST_F(IsolationTest, NobodyIsBlamedForAWorkerThatWasKilledForAnothersSake) {
  SteppedCall& stuck = ask("stuck");
  SteppedCall& one = ask("one");
  SteppedCall& two = ask("two");
  pool_.let_begin(kLone, 4);
  pool_.dispatcher().cancel(stuck, pool_.now());
  pool_.advance(2 * Limits{}.cancel_grace + std::chrono::seconds(11));
  ASSERT_THAT(pool_.killed(), ElementsAre(kLone));
  die();
  EXPECT_THAT(on(kLone), SizeIs(2));
  EXPECT_EQ(one.code(), "under way");
  EXPECT_EQ(two.code(), "under way");
}

TEST_F(IsolationTest, WithoutConsentADeathIsTheEndOfTheCallOnly) {
  SteppedCall& one = ask("one", "kill", 0);
  die();
  EXPECT_EQ(one.code(), "worker_lost");
  // The session is in doubt all the same, and its next call is alone.
  SteppedCall& next = ask("one", "command", 0);
  SteppedCall& other = ask("other");
  EXPECT_EQ(other.request_id, 0U);
  pool_.answer(next, 1);
  hand_off();
  EXPECT_NE(other.request_id, 0U);
  EXPECT_NE(ask("one").request_id, 0U) << "and after an answer they are no more";
}

TEST_F(IsolationTest, ASessionIsQuarantinedWhenTwoOfItsOperationsDieAlone) {
  pool_.answer(ask("one"), 41);
  EXPECT_EQ(quarantine("one", "kill").code(), "call_quarantined");
  SteppedCall& second = ask("one", "another");
  SteppedCall& third = ask("one", "a third");
  die();
  EXPECT_EQ(second.code(), "session_quarantined");
  EXPECT_EQ(second.attempts, 1U) << "its first attempt was alone";
  EXPECT_EQ(third.code(), "session_quarantined");
  EXPECT_EQ(third.attempts, 0U);
  EXPECT_EQ(ask("one").code(), "session_quarantined");
  EXPECT_THAT(on(kLone), IsEmpty());
  EXPECT_EQ(pool_.metrics().sessions_quarantined.value(), 1U);
  EXPECT_TRUE(pool_.dispatcher().describe(*pool_.session("one"), pool_.now(), {}).quarantined);
  EXPECT_EQ(ask("two").code(), "under way") << "others are served";
}

TEST_F(IsolationTest, ASessionIsQuarantinedWhenOneOperationDiesAloneAgainAndAgain) {
  EXPECT_EQ(quarantine("one", "kill").code(), "call_quarantined");
  SteppedCall& second = ask("one", "kill");
  die();
  EXPECT_EQ(second.code(), "call_quarantined");
  SteppedCall& third = ask("one", "kill");
  die();
  EXPECT_EQ(third.code(), "session_quarantined");
}

TEST_F(IsolationTest, ACallThatComesBackAcquitsTheSession) {
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(quarantine("one", "kill").code(), "call_quarantined");
    pool_.answer(ask("one", "harmless"), i);
    hand_off();
  }
  EXPECT_FALSE(pool_.session("one")->suspicion);
}

// Such an error comes before the session is looked at.
TEST_F(IsolationTest, AnUnknownCommandAcquitsNobody) {
  quarantine("one", "kill");
  const SteppedCall& unknown = ask("one", "unknown", 0);
  ASSERT_TRUE(pool_.fail(unknown.request_id,
                         {.category = ErrorCategory::kPython, .code = "unknown_command"}));
  ASSERT_TRUE(pool_.session("one")->suspicion);
  const SteppedCall& raises = ask("one", "raises", 0);
  hand_off();
  ASSERT_TRUE(
      pool_.fail(raises.request_id, {.category = ErrorCategory::kPython, .code = "exception"}));
  EXPECT_FALSE(pool_.session("one")->suspicion);
}

TEST_F(IsolationTest, TheStateOfAQuarantinedSessionIsReadAndMended) {
  pool_.answer(ask("one"), 41);
  quarantine("one", "kill");
  quarantine("one", "another");
  ASSERT_EQ(ask("one").code(), "session_quarantined");
  SteppedCall& read = pool_.call("one", CallKind::kReadFields);
  ASSERT_THAT(pool_.turns(), SizeIs(1));
  pool_.read(read);
  EXPECT_EQ(read.result->value().value["value"].as_int64(), 41);
}

TEST_F(IsolationTest, AReleasedSessionIsServedAloneAtFirst) {
  quarantine("one", "kill");
  quarantine("one", "another");
  ASSERT_TRUE(pool_.dispatcher().release_from_quarantine(*pool_.session("one"), pool_.now()));
  SteppedCall& one = ask("one");
  SteppedCall& other = ask("other");
  EXPECT_THAT(on(kLone), ElementsAre(one.request_id));
  pool_.answer(one, 1);
  hand_off();
  EXPECT_NE(other.request_id, 0U);
  EXPECT_FALSE(pool_.session("one")->suspicion);
}

TEST_F(IsolationTest, ASessionThatIsReplacedIsInNoDoubt) {
  quarantine("one", "kill");
  quarantine("one", "another");
  EXPECT_EQ(pool_.call("one", CallKind::kReplaceSession).code(), "ok");
  EXPECT_EQ(ask("one").code(), "under way");
}

TEST_F(IsolationTest, ARepeatedKeyOfAQuarantinedCallIsRefused) {
  SteppedCall& killer = ask("one", "kill", 5, "key");
  die();
  die();
  ASSERT_EQ(killer.code(), "call_quarantined");
  pool_.answer(ask("one"), 1);
  hand_off();
  SteppedCall& again = ask("one", "kill", 5, "key");
  EXPECT_EQ(again.code(), "call_quarantined");
  EXPECT_EQ(again.attempts, 0U);
  ASSERT_TRUE(pool_.dispatcher().release_from_quarantine(*pool_.session("one"), pool_.now()));
  EXPECT_EQ(ask("one", "kill", 5, "key").code(), "under way");
}

TEST_F(IsolationTest, AnAnonymousCallIsQuarantinedByItself) {
  SteppedCall& killer = ask("", "kill");
  die();
  die();
  EXPECT_EQ(killer.code(), "call_quarantined");
  EXPECT_NE(ask("", "kill").request_id, 0U) << "nothing is known of it";
}

TEST_F(IsolationTest, WhoseWorkerIsKilledForAnothersSakeIsToldSo) {
  SteppedCall& stuck = ask("stuck");
  SteppedCall& one = ask("one", "command", 0);
  pool_.let_begin(kLone, 4);
  pool_.dispatcher().cancel(stuck, pool_.now());
  pool_.advance(2 * Limits{}.cancel_grace + std::chrono::seconds(11));
  ASSERT_THAT(pool_.killed(), ElementsAre(kLone));
  pool_.dispatcher().worker_lost(kLone, Loss::kDeath, "killed", pool_.now());
  EXPECT_EQ(one.code(), "worker_stuck");
  EXPECT_EQ(stuck.code(), "cancelled");
}

TEST_F(IsolationTest, ADeathThatACallAloneExplainsIsExcused) {
  ask("one", "kill");
  pool_.dispatcher().worker_lost(kLone, Loss::kDeath, "killed", pool_.now());
  EXPECT_FALSE(pool_.dispatcher().worker(kLone).is_excused);
  pool_.dispatcher().worker_ready(kLone, 7, pool_.now());
  hand_off();
  pool_.dispatcher().worker_lost(kLone, Loss::kDeath, "killed", pool_.now());
  EXPECT_TRUE(pool_.dispatcher().worker(kLone).is_excused);
}

TEST_F(IsolationTest, OneThatWasKilledForWhatItDidNotEndIsExcused) {
  SteppedCall& stuck = ask("stuck");
  pool_.dispatcher().cancel(stuck, pool_.now());
  pool_.advance(Limits{}.cancel_grace + std::chrono::seconds(11));
  ASSERT_THAT(pool_.killed(), ElementsAre(kLone));
  pool_.dispatcher().worker_lost(kLone, Loss::kDeath, "killed", pool_.now());
  EXPECT_TRUE(pool_.dispatcher().worker(kLone).is_excused);
  pool_.dispatcher().worker_ready(kLone, 7, pool_.now());
  pool_.dispatcher().worker_lost(kLone, Loss::kDeath, "killed", pool_.now());
  EXPECT_FALSE(pool_.dispatcher().worker(kLone).is_excused);
}

TEST_F(IsolationTest, WithoutWorkersToComeCallsEndAtOnce) {
  const Error why{.category = ErrorCategory::kInitialization, .code = "restarts_exhausted"};
  SteppedCall& running = ask("one");
  pool_.dispatcher().set_no_starts(why, pool_.now());
  EXPECT_EQ(running.code(), "under way") << "as long as a worker is there";
  EXPECT_EQ(ask("two").code(), "under way");
  SteppedCall& waiting = ask("one");
  pool_.dispatcher().worker_lost(kLone, Loss::kDeath, "killed", pool_.now());
  EXPECT_EQ(running.code(), "restarts_exhausted");
  EXPECT_EQ(waiting.code(), "restarts_exhausted");
  EXPECT_EQ(ask("two").code(), "restarts_exhausted");
  EXPECT_EQ(pool_.dispatcher().waiting_calls(), 0U);
  pool_.dispatcher().set_no_starts({}, pool_.now());
  SteppedCall& next = ask("two");
  EXPECT_EQ(next.code(), "under way");
  pool_.dispatcher().worker_ready(kLone, 7, pool_.now());
  hand_off();
  EXPECT_NE(next.request_id, 0U);
}

}  // namespace
}  // namespace dspool::dispatch
