// The pool's circuit breaker and those of providers, in the dispatcher.
#include <gmock/gmock.h>

#include "ipc/state_segment.h"
#include "tests/engine/dispatch/stepped_pool.h"

namespace dspool::dispatch {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

Error error_of(std::string_view provider) {
  return {.category = ErrorCategory::kPython,
          .code = "exception",
          .message = "RateLimitError: not now",
          .retryable = true,
          .provider = std::string(provider)};
}

class BreakerTest : public testing::Test {
 protected:
  [[nodiscard]] BreakerInfo breaker(std::string_view name = "pool") {
    for (const BreakerInfo& each : pool_.dispatcher().breakers(pool_.now())) {
      if (each.name == name) return each;
    }
    return {};
  }
  [[nodiscard]] BreakerState state(std::string_view name = "pool") { return breaker(name).state; }
  // A call's worker dies, and is replaced a moment later.
  void lose_a_worker() {
    SteppedCall& call = pool_.call(new_session());
    ASSERT_NE(call.request_id, 0U) << call.code();
    pool_.replace(call.worker);
    EXPECT_EQ(call.code(), "worker_lost");
    pool_.advance(milliseconds(1));
  }
  void succeed(int times) {
    for (int i = 0; i < times; ++i) {
      SteppedCall& call = pool_.call(new_session());
      ASSERT_NE(call.request_id, 0U) << call.code();
      pool_.answer(call, 1);
    }
  }
  void open() {
    for (int i = 0; i < 5; ++i) lose_a_worker();
    ASSERT_EQ(state(), BreakerState::kOpen);
  }
  [[nodiscard]] std::string new_session() { return "s" + std::to_string(++sessions_); }
  // A call of a command.
  SteppedCall& ask(std::string_view command) {
    SteppedCall& call = calls_.emplace_back();
    pool_.prepare(call, new_session());
    call.command = command;
    EXPECT_TRUE(pool_.dispatcher().arrive(call, pool_.now()));
    return call;
  }
  // The pool's language model is this provider's.
  void use(const std::string& provider) {
    pool_.dispatcher().set_lm({.model = provider + "/offline"});
  }
  void fail_provider(int times, std::string_view command = "predict") {
    for (int i = 0; i < times; ++i) pool_.fail(ask(command), error_of("openai"));
  }

  ipc::StateSegment segment_{std::size_t{64} << 20};
  std::deque<SteppedCall> calls_;
  SteppedPool pool_{segment_, nullptr, 16, 2};
  int sessions_ = 0;
};

TEST_F(BreakerTest, WorkersThatComeUpAndDieOpenIt) {
  for (int i = 0; i < 4; ++i) lose_a_worker();
  EXPECT_EQ(state(), BreakerState::kClosed);
  lose_a_worker();
  EXPECT_EQ(state(), BreakerState::kOpen);
  const SteppedCall& refused = pool_.call("a");
  EXPECT_EQ(refused.code(), "circuit_open");
  const Error& error = refused.result->error();
  EXPECT_EQ(error.category, ErrorCategory::kResourceError);
  EXPECT_TRUE(error.retryable);
  ASSERT_TRUE(error.retry_after);
  EXPECT_GT(*error.retry_after, seconds(59));
  EXPECT_LE(*error.retry_after, seconds(60));
  EXPECT_THAT(error.cause, HasSubstr("ended (killed)"));
  EXPECT_THAT(error.message, HasSubstr("close_breaker(\"pool\")"));
  EXPECT_EQ(error.attempts, 0U);
  EXPECT_EQ(breaker().refusals, 1U);
  EXPECT_EQ(pool_.metrics().refused_for(telemetry::Refusal::kCircuitOpen).value(), 1U);
  EXPECT_FALSE(pool_.session("a")) << "a refused call leaves no session behind";
}

TEST_F(BreakerTest, AnAnswerBetweenDeathsKeepsItClosed) {
  for (int i = 0; i < 20; ++i) {
    lose_a_worker();
    succeed(2);
  }
  EXPECT_EQ(state(), BreakerState::kClosed);
}

TEST_F(BreakerTest, ADeathCountsOnceHoweverManyCallsItCost) {
  succeed(1);  // so fast that several are sent at once
  std::vector<SteppedCall*> lost;
  lost.reserve(8);
  for (int i = 0; i < 8; ++i) lost.push_back(&pool_.call(new_session()));
  pool_.advance(milliseconds(1));
  pool_.replace(0);
  pool_.replace(1);
  for (const SteppedCall* call : lost) EXPECT_EQ(call->code(), "worker_lost");
  EXPECT_EQ(breaker().failures, 1U) << "and so do several at once";
}

TEST_F(BreakerTest, WhatCommandsRaiseIsNoFailureOfThePool) {
  for (int i = 0; i < 50; ++i) pool_.fail(ask("command"), error_of(""));
  EXPECT_EQ(breaker().failures, 0U);
  EXPECT_EQ(state(), BreakerState::kClosed);
}

TEST_F(BreakerTest, DeadlinesThatPassInAWorkerAreFailures) {
  for (int i = 0; i < 5; ++i) {
    const SteppedCall& call = pool_.call(new_session(), CallKind::kExecute, milliseconds(5));
    pool_.advance(milliseconds(7));
    EXPECT_EQ(call.code(), "deadline_exceeded");
    pool_.answer_all();
  }
  EXPECT_EQ(state(), BreakerState::kOpen);
  EXPECT_THAT(breaker().last_failure, HasSubstr("deadline"));
}

TEST_F(BreakerTest, DeadlinesThatPassInAQueueAreNot) {
  SteppedCall& first = pool_.call("a");
  for (int i = 0; i < 10; ++i) {
    const SteppedCall& call = pool_.call("a", CallKind::kExecute, milliseconds(5));
    pool_.advance(milliseconds(7));
    EXPECT_EQ(call.code(), "deadline_exceeded");
  }
  EXPECT_EQ(breaker().failures, 0U);
  pool_.answer(first, 1);
}

TEST_F(BreakerTest, HalfOpenItLetsThreeThroughAndThreeAnswersCloseIt) {
  open();
  pool_.advance(seconds(60));
  EXPECT_EQ(state(), BreakerState::kHalfOpen);
  SteppedCall& one = pool_.call("a");
  SteppedCall& two = pool_.call("b");
  SteppedCall& three = pool_.call("c");
  const SteppedCall& fourth = pool_.call("d");
  EXPECT_EQ(fourth.code(), "circuit_open");
  EXPECT_THAT(fourth.result->error().message, HasSubstr("half-open"));
  EXPECT_TRUE(fourth.result->error().retry_after);
  pool_.answer(one, 1);
  pool_.answer(two, 1);
  EXPECT_EQ(state(), BreakerState::kHalfOpen);
  pool_.answer(three, 1);
  EXPECT_EQ(state(), BreakerState::kClosed);
  succeed(10);
}

TEST_F(BreakerTest, ADeathUnderAProbeOpensItAgain) {
  open();
  pool_.advance(seconds(60));
  lose_a_worker();
  EXPECT_EQ(state(), BreakerState::kOpen);
  EXPECT_EQ(pool_.call("a").code(), "circuit_open");
}

TEST_F(BreakerTest, AProbeThatEndsWithoutAnAnswerIsGivenBack) {
  open();
  pool_.advance(seconds(60));
  SteppedCall& first = pool_.call("a");
  SteppedCall& waits = pool_.call("a");
  SteppedCall& too = pool_.call("a");
  EXPECT_EQ(pool_.call("b").code(), "circuit_open");
  pool_.dispatcher().cancel(waits, pool_.now());
  pool_.dispatcher().cancel(too, pool_.now());
  EXPECT_EQ(state(), BreakerState::kHalfOpen);
  pool_.answer(first, 1);
  succeed(2);
  EXPECT_EQ(state(), BreakerState::kClosed);
}

TEST_F(BreakerTest, WhatIsTriedAgainStopsWhenItOpens) {
  SteppedCall& stubborn = calls_.emplace_back();
  pool_.prepare(stubborn, "a");
  stubborn.max_retries = 50;
  ASSERT_TRUE(pool_.dispatcher().arrive(stubborn, pool_.now()));
  for (int i = 0; i < 100'000 && stubborn.times_ended == 0; ++i) {
    if (stubborn.request_id != 0) {
      pool_.let_begin(stubborn.worker, 0);  // it is not to blame
      pool_.replace(stubborn.worker);
    }
    pool_.advance(milliseconds(1));
  }
  EXPECT_EQ(stubborn.code(), "worker_lost");
  EXPECT_EQ(stubborn.attempts, 5U);
}

TEST_F(BreakerTest, WhatWaitsWhileItOpensAsksAgain) {
  std::vector<SteppedCall*> waiting;
  waiting.reserve(6);
  SteppedCall& first = pool_.call("busy");
  SteppedCall& second = pool_.call("busy too");
  for (int i = 0; i < 6; ++i) waiting.push_back(&pool_.call(i % 2 == 0 ? "busy" : new_session()));
  EXPECT_TRUE(pool_.dispatcher().isolate_breaker("pool"));
  pool_.answer(first, 1);
  pool_.answer(second, 1);
  pool_.advance(milliseconds(1));
  EXPECT_EQ(first.code(), "ok") << "it ran already";
  for (const SteppedCall* call : waiting) {
    EXPECT_EQ(call->code(), "circuit_open");
    EXPECT_EQ(call->attempts, 0U);
  }
  EXPECT_EQ(breaker().refusals, 6U);
}

TEST_F(BreakerTest, WhatWaitedUntilItClosedAgainIsLetThrough) {
  SteppedCall& first = pool_.call("busy");
  SteppedCall& waiting = pool_.call("busy");
  EXPECT_TRUE(pool_.dispatcher().isolate_breaker("pool"));
  EXPECT_TRUE(pool_.dispatcher().close_breaker("pool"));
  pool_.answer(first, 1);
  ASSERT_NE(waiting.request_id, 0U) << waiting.code();
  pool_.answer(waiting, 2);
  EXPECT_EQ(waiting.code(), "ok");
}

TEST_F(BreakerTest, IsIsolatedAndClosedByHand) {
  EXPECT_FALSE(pool_.dispatcher().isolate_breaker("pol"));
  EXPECT_TRUE(pool_.dispatcher().isolate_breaker("pool"));
  pool_.advance(std::chrono::minutes(2));
  const SteppedCall& refused = pool_.call("a");
  EXPECT_EQ(refused.code(), "circuit_open");
  EXPECT_THAT(refused.result->error().message, HasSubstr("by hand"));
  EXPECT_FALSE(refused.result->error().retry_after);
  EXPECT_TRUE(pool_.dispatcher().close_breaker("pool"));
  succeed(1);
}

TEST_F(BreakerTest, WhatNeedsNoWorkerIsNotRefused) {
  SteppedCall& call = pool_.call("a");
  pool_.answer(call, 1);
  EXPECT_TRUE(pool_.dispatcher().isolate_breaker("pool"));
  SteppedCall& read = pool_.call("a", CallKind::kReadFields);
  pool_.read(read);
  EXPECT_EQ(read.code(), "ok");
  EXPECT_EQ(pool_.call("a", CallKind::kEndSession).code(), "ok");
}

// ---- providers ----

TEST_F(BreakerTest, AProviderThatFailsStandsInTheWayOfWhatAsksIt) {
  use("openai");
  fail_provider(5);
  EXPECT_EQ(state("openai"), BreakerState::kOpen);
  EXPECT_EQ(state(), BreakerState::kClosed);
  const SteppedCall& refused = ask("predict");
  EXPECT_EQ(refused.code(), "circuit_open");
  EXPECT_EQ(refused.result->error().provider, "openai");
  EXPECT_THAT(refused.result->error().message, HasSubstr("provider 'openai'"));
  EXPECT_THAT(refused.result->error().cause, HasSubstr("RateLimitError"));
  SteppedCall& other = ask("list_programs");
  pool_.answer(other, 1);
  EXPECT_EQ(other.code(), "ok");
}

TEST_F(BreakerTest, OfAProviderClosesAsThePoolsDoes) {
  use("openai");
  fail_provider(5);
  pool_.advance(seconds(60));
  for (int i = 0; i < 3; ++i) pool_.answer(ask("list_programs"), 1);
  EXPECT_EQ(state("openai"), BreakerState::kHalfOpen) << "that did not ask it";
  SteppedCall& one = ask("predict");
  SteppedCall& two = ask("predict");
  SteppedCall& three = ask("predict");
  EXPECT_EQ(ask("predict").code(), "circuit_open");
  pool_.answer(one, 1);
  pool_.answer(two, 1);
  pool_.answer(three, 1);
  EXPECT_EQ(state("openai"), BreakerState::kClosed);
}

TEST_F(BreakerTest, OfAnotherProviderThanThePoolsModelHasIsNotAsked) {
  use("openai");
  fail_provider(5);
  use("anthropic");
  SteppedCall& call = ask("predict");
  pool_.answer(call, 1);
  EXPECT_EQ(call.code(), "ok");
}

TEST_F(BreakerTest, OfTheSessionsOwnModelIsTheOneThatIsAsked) {
  use("openai");
  fail_provider(5);
  const LanguageModel other{.model = "anthropic/offline"};
  SteppedCall set;
  pool_.prepare(set, "own", CallKind::kSetModel);
  set.model = &other;
  ASSERT_TRUE(pool_.dispatcher().arrive(set, pool_.now()));
  ASSERT_EQ(set.code(), "ok");
  SteppedCall call;
  pool_.prepare(call, "own");
  call.command = "predict";
  ASSERT_TRUE(pool_.dispatcher().arrive(call, pool_.now()));
  pool_.answer(call, 1);
  EXPECT_EQ(call.code(), "ok");
  EXPECT_EQ(ask("predict").code(), "circuit_open");
}

TEST_F(BreakerTest, SuccessesOfCommandsThatAskItKeepItClosed) {
  fail_provider(4);
  pool_.answer(ask("predict"), 1);
  fail_provider(4);
  EXPECT_EQ(state("openai"), BreakerState::kClosed);
  EXPECT_EQ(breaker("openai").failures, 4U);
}

TEST_F(BreakerTest, OfAProviderIsIsolatedByHandOnceItIsThere) {
  EXPECT_FALSE(pool_.dispatcher().isolate_breaker("openai"));
  fail_provider(1);
  EXPECT_TRUE(pool_.dispatcher().isolate_breaker("openai"));
  EXPECT_EQ(ask("predict").code(), "circuit_open");
  EXPECT_TRUE(pool_.dispatcher().close_breaker("openai"));
  pool_.answer(ask("predict"), 1);
}

}  // namespace
}  // namespace dspool::dispatch
