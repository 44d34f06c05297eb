#include <gmock/gmock.h>

#include <atomic>
#include <csignal>
#include <future>
#include <string>
#include <thread>

#include "tests/e2e/captured_log.h"
#include "tests/e2e/pool.h"
#include "tests/support/history_checker.h"

namespace dspool {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(DeadlineTest, ACallThatIsLateEndsAndItsAnswerIsThrownAway) {
  const auto engine = test::start_pool(test::pool_config(1));
  ASSERT_NE(engine, nullptr);
  const auto late = engine->execute_in_session("a", "sleep_and_increment", {{"ms", 300}},
                                               {.timeout = milliseconds(50)});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().category, ErrorCategory::kTimeout);
  EXPECT_EQ(late.error().code, "deadline_exceeded");
  EXPECT_EQ(late.error().state_applied, StateApplied::kNo);
  // The session stays taken until the worker has answered; what it changed has not happened.
  EXPECT_EQ(engine->execute_in_session("a", "increment", {})->value.as_int64(), 1);
  EXPECT_EQ(engine->stats().late_answers, 1U);
  EXPECT_EQ(engine->stats().workers_lost, 0U);
  EXPECT_THAT(test::check_history(engine->history()), IsEmpty());
}

TEST(DeadlineTest, AWorkerThatDoesNotComeBackIsReplaced) {
  Config config = test::pool_config(1);
  config.worker.cancel_grace = milliseconds(100);
  const auto engine = test::start_pool(config);
  ASSERT_NE(engine, nullptr);
  const auto late = engine->execute_in_session("a", "hang", {}, {.timeout = milliseconds(50)});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, "deadline_exceeded");
  EXPECT_EQ(engine->execute_in_session("a", "increment", {})->value.as_int64(), 1);
  EXPECT_EQ(engine->stats().worker_restarts, 1U);
}

TEST(DeadlineTest, AStuckWorkerTellsTheLogWhere) {
  Config config = test::pool_config(1);
  config.worker.cancel_grace = milliseconds(100);
  test::CapturedLog log;
  log.capture(config, LogLevel::kWarning);
  {
    const auto engine = test::start_pool(config);
    ASSERT_NE(engine, nullptr);
    EXPECT_FALSE(engine->execute_in_session("a", "hang", {}, {.timeout = milliseconds(50)}));
    EXPECT_TRUE(engine->execute_in_session("a", "increment", {}));
  }
  EXPECT_THAT(log.text(), AllOf(HasSubstr("worker-0 is stuck"), HasSubstr("troublemaker.py"),
                                HasSubstr("in hang"), HasSubstr("killed by SIGABRT")));
}

// One that cannot tell any more is killed all the same.
TEST(DeadlineTest, AStoppedWorkerIsReplaced) {
  Config config = test::pool_config(1);
  config.worker.cancel_grace = milliseconds(100);
  const auto engine = test::start_pool(config);
  ASSERT_NE(engine, nullptr);
  ::kill(test::pid_of(*engine, "a"), SIGSTOP);
  EXPECT_FALSE(engine->execute_in_session("a", "increment", {}, {.timeout = milliseconds(50)}));
  EXPECT_EQ(engine->execute_in_session("a", "increment", {})->value.as_int64(), 1);
  EXPECT_EQ(engine->stats().worker_restarts, 1U);
}

// No call has to suffer for it.
TEST(DeadlineTest, AWorkerThatIsStoppedWhileItHasNothingToDoIsReplaced) {
  const auto engine = test::start_pool(test::pool_config(1));
  ASSERT_NE(engine, nullptr);
  ::kill(test::pid_of(*engine, "a"), SIGSTOP);
  const auto patience_ends = std::chrono::steady_clock::now() + test::kPatience;
  while (engine->stats().worker_restarts == 0 && std::chrono::steady_clock::now() < patience_ends) {
    std::this_thread::sleep_for(milliseconds(50));
  }
  EXPECT_EQ(engine->stats().worker_restarts, 1U);
  EXPECT_TRUE(engine->execute_in_session("a", "increment", {}));
}

// A request in a worker's ring is behind another's, whose time is not to be cut short for it.
TEST(DeadlineTest, ACallThatExpiresInTheRingHarmsNobodyAndIsNotExecuted) {
  Config config = test::pool_config(1);
  config.worker.cancel_grace = milliseconds(100);
  const auto engine = test::start_pool(config);
  ASSERT_NE(engine, nullptr);
  // Until the pool has learned that calls are short, and puts several into the ring.
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(engine->execute_in_session("short", "pid", {}));
  std::promise<Result<Answer>> slept;
  engine->submit("long", "sleep_and_increment", {{"ms", 1000}},
                 [&](Result<Answer> answer) { slept.set_value(std::move(answer)); });
  const auto late = engine->execute_in_session("a", "increment", {}, {.timeout = milliseconds(50)});
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, "deadline_exceeded");
  const auto answer = slept.get_future().get();
  ASSERT_TRUE(answer) << answer.error().describe();
  EXPECT_EQ(engine->execute_in_session("a", "increment", {})->value.as_int64(), 1);
  EXPECT_EQ(engine->stats().workers_lost, 0U);
  EXPECT_EQ(engine->stats().late_answers, 0U) << "it was executed";
  EXPECT_THAT(test::check_history(engine->history()), IsEmpty());
}

TEST(DeadlineTest, OthersOnAStuckWorkerMayFinish) {
  Config config = test::pool_config(1);
  config.worker.max_in_flight = 2;
  config.worker.cancel_grace = milliseconds(100);
  const auto engine = test::start_pool(config);
  ASSERT_NE(engine, nullptr);
  std::promise<Result<Answer>> slept;
  engine->submit("long", "sleep_and_increment", {{"ms", 1500}},
                 [&](Result<Answer> answer) { slept.set_value(std::move(answer)); });
  EXPECT_FALSE(engine->execute_in_session("a", "hang", {}, {.timeout = milliseconds(50)}));
  const auto answer = slept.get_future().get();
  ASSERT_TRUE(answer) << answer.error().describe();
  EXPECT_EQ(engine->execute_in_session("a", "increment", {})->value.as_int64(), 1);
  EXPECT_EQ(engine->stats().worker_restarts, 1U);
}

TEST(DeadlineTest, ALimitlessTimeoutIsAWeek) {
  const auto engine = test::start_pool(test::pool_config(1));
  ASSERT_NE(engine, nullptr);
  EXPECT_TRUE(engine->execute_in_session("a", "increment", {}, {.timeout = milliseconds::max()}));
  const auto never = engine->execute_in_session("a", "increment", {}, {.timeout = milliseconds(0)});
  ASSERT_FALSE(never);
  EXPECT_EQ(never.error().code, "deadline_exceeded");
  EXPECT_EQ(never.error().attempts, 0U);
}

TEST(DeadlineTest, AWaiterLeavesTheQueueWhenItExpires) {
  const auto engine = test::start_pool(test::pool_config(1));
  ASSERT_NE(engine, nullptr);
  std::promise<void> slept;
  engine->submit("slow", "sleep_and_increment", {{"ms", 400}},
                 [&](const Result<Answer>&) { slept.set_value(); });
  const auto expired =
      engine->execute_in_session("quick", "increment", {}, {.timeout = milliseconds(50)});
  ASSERT_FALSE(expired);
  EXPECT_EQ(expired.error().code, "deadline_exceeded");
  EXPECT_EQ(expired.error().attempts, 0U);
  EXPECT_EQ(engine->stats().waiting_calls, 0U);
  slept.get_future().wait();
}

TEST(DeadlineTest, WaitingForAWorkerIsBounded) {
  Config config = test::pool_config(1);
  config.checkout_timeout = milliseconds(50);
  const auto engine = test::start_pool(config);
  ASSERT_NE(engine, nullptr);
  std::promise<void> slept;
  engine->submit("slow", "sleep_and_increment", {{"ms", 400}},
                 [&](const Result<Answer>&) { slept.set_value(); });
  const auto refused = engine->execute_in_session("quick", "increment", {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().category, ErrorCategory::kResourceError);
  EXPECT_EQ(refused.error().code, "checkout_timeout");
  EXPECT_TRUE(refused.error().retry_after.has_value());
  slept.get_future().wait();
}

TEST(CancelTest, EndsACallOnceWhetherItRunsOrWaits) {
  const auto engine = test::start_pool(test::pool_config(1));
  ASSERT_NE(engine, nullptr);
  std::promise<Result<Answer>> running;
  std::promise<Result<Answer>> waiting;
  const CallId first = engine->submit("a", "sleep_and_increment", {{"ms", 300}},
                                      [&](Result<Answer> r) { running.set_value(std::move(r)); });
  const CallId second = engine->submit("a", "increment", {},
                                       [&](Result<Answer> r) { waiting.set_value(std::move(r)); });
  EXPECT_TRUE(engine->cancel(second));
  EXPECT_TRUE(engine->cancel(first));
  EXPECT_FALSE(engine->cancel(first)) << "it has ended";
  EXPECT_EQ(running.get_future().get().error().code, "cancelled");
  EXPECT_EQ(waiting.get_future().get().error().code, "cancelled");
  EXPECT_EQ(engine->execute_in_session("a", "increment", {})->value.as_int64(), 1);
  EXPECT_THAT(test::check_history(engine->history()), IsEmpty());
}

TEST(SubmitTest, ABlockingCallOnTheReactorIsRefused) {
  const auto engine = test::start_pool(test::pool_config(1));
  ASSERT_NE(engine, nullptr);
  std::promise<std::string> code;
  engine->submit("a", "increment", {}, [&](const Result<Answer>&) {
    const auto nested = engine->execute_in_session("b", "increment", {});
    code.set_value(nested ? "ok" : nested.error().code);
  });
  EXPECT_EQ(code.get_future().get(), "would_deadlock");
}

TEST(SubmitTest, CompletionsRunOnTheExecutorThatIsGiven) {
  Config config = test::pool_config(1);
  std::atomic<int> executed{0};
  config.completion_executor = [&](const std::function<void()>& run) {
    executed.fetch_add(1);
    run();
  };
  const auto engine = test::start_pool(config);
  ASSERT_NE(engine, nullptr);
  std::promise<Result<Answer>> answer;
  engine->submit("a", "increment", {}, [&](Result<Answer> r) { answer.set_value(std::move(r)); });
  EXPECT_EQ(answer.get_future().get()->value.as_int64(), 1);
  EXPECT_EQ(executed.load(), 1);
}

}  // namespace
}  // namespace dspool
