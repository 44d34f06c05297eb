// A crash of a worker is an ordinary event: nothing that was committed is lost, nothing that was
// not committed has happened, and the session goes on elsewhere.
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "tests/e2e/captured_log.h"
#include "tests/e2e/pool.h"
#include "tests/support/history_checker.h"
#include "tests/support/seed.h"

namespace dspool {
namespace {

using test::kPatience;
using testing::HasSubstr;
using testing::IsEmpty;

// Until the pool has noticed the death of `workers` and replaced them.
void wait_for_restarts(Engine& engine, std::uint64_t restarts) {
  while (engine.stats().worker_restarts < restarts) std::this_thread::yield();
  ASSERT_TRUE(engine.wait_until_ready(kPatience));
}

// One worker; what the pool warns of is in `log`.
std::unique_ptr<Engine> start_logged_pool(test::CapturedLog& log) {
  Config config = test::pool_config(1);
  log.capture(config, LogLevel::kWarning);
  return test::start_pool(config);
}

TEST(WorkerLossTest, TheSessionIsServedElsewhere) {
  const auto engine = test::start_pool(test::pool_config(2));
  ASSERT_NE(engine, nullptr);
  for (int i = 1; i <= 5; ++i) {
    EXPECT_EQ(engine->execute_in_session("a", "increment", {})->value.as_int64(), i);
  }
  const int first = test::pid_of(*engine, "a");
  ASSERT_GT(first, 0);
  ::kill(first, SIGKILL);
  // The death may be seen before the call or during it; a repetition is allowed either way.
  const auto answer = engine->execute_in_session("a", "increment", {}, {.max_retries = 1});
  ASSERT_TRUE(answer) << answer.error().describe();
  EXPECT_EQ(answer->value.as_int64(), 6);
  EXPECT_NE(test::pid_of(*engine, "a"), first);
  wait_for_restarts(*engine, 1);
  EXPECT_THAT(test::check_history(engine->history()), IsEmpty());
}

// The thread that starts workers is one that others go before. Its workers are as any other
// process.
TEST(WorkerLossTest, TheReplacementIsScheduledAsTheEngineIs) {
  const auto engine = test::start_pool(test::pool_config(1));
  ASSERT_NE(engine, nullptr);
  ::kill(test::pid_of(*engine, "a"), SIGKILL);
  wait_for_restarts(*engine, 1);
  EXPECT_EQ(::sched_getscheduler(test::pid_of(*engine, "a")), ::sched_getscheduler(0));
}

TEST(WorkerLossTest, WithoutConsentTheCallIsNotRepeated) {
  test::CapturedLog log;
  const auto engine = start_logged_pool(log);
  ASSERT_NE(engine, nullptr);
  const auto lost = engine->execute_in_session("a", "exit", {{"status", 7}});
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().category, ErrorCategory::kConnection);
  EXPECT_EQ(lost.error().code, "worker_lost");
  EXPECT_EQ(lost.error().state_applied, StateApplied::kNo);
  EXPECT_EQ(lost.error().attempts, 1U);
  EXPECT_TRUE(lost.error().retryable);
  EXPECT_EQ(engine->execute_in_session("a", "increment", {})->value.as_int64(), 1);
  EXPECT_TRUE(log.wait_for("exit status 7", kPatience)) << log.text();
}

// One that lives, but can be told nothing any more, is as good as dead. What it has in hand must
// not go on beside its repetition.
TEST(WorkerLossTest, OneThatClosesItsDescriptorsAtWorkIsKilledAtOnce) {
  test::CapturedLog log;
  const auto engine = start_logged_pool(log);
  ASSERT_NE(engine, nullptr);
  const auto lost = engine->execute_in_session("a", "close_descriptors_and_hang", {});
  ASSERT_FALSE(lost);
  EXPECT_EQ(lost.error().code, "worker_lost");
  EXPECT_EQ(engine->execute_in_session("a", "increment", {})->value.as_int64(), 1);
  EXPECT_TRUE(log.wait_for("killed by SIGKILL", kPatience)) << log.text();
  EXPECT_EQ(engine->stats().workers_lost, 1U);
}

TEST(WorkerLossTest, OneThatClosesItsDescriptorsWithoutWorkIsReplaced) {
  test::CapturedLog log;
  const auto engine = start_logged_pool(log);
  ASSERT_NE(engine, nullptr);
  const auto pid = engine->execute_in_session("a", "close_descriptors_on_signal", {});
  ASSERT_TRUE(pid) << pid.error().describe();
  ::kill(static_cast<int>(pid->value.as_int64()), SIGUSR1);
  EXPECT_TRUE(log.wait_for("is replaced", kPatience)) << log.text();
  EXPECT_EQ(engine->execute_in_session("a", "increment", {})->value.as_int64(), 1);
}

// The attempt that answers may run on another worker than the one whose answers the caller reads.
TEST(WorkerLossTest, ARepeatedCallIsAnsweredAtOnceWhereverItRuns) {
  const auto engine = test::start_pool(test::pool_config(2));
  ASSERT_NE(engine, nullptr);
  const auto start = std::chrono::steady_clock::now();
  const auto answer =
      engine->execute_in_session("a", "fail_once_in_each_process", {},
                                 {.timeout = std::chrono::seconds(60), .max_retries = 10});
  ASSERT_TRUE(answer) << answer.error().describe();
  EXPECT_EQ(answer->value.as_int64(), 1);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30))
      << "it slept until its deadline";
}

TEST(WorkerLossTest, AFloodOfOutputKeepsNobodyFromBeingReplaced) {
  Config config = test::pool_config(2);
  config.log_level = LogLevel::kInfo;
  config.log_sink = [](LogLevel, std::string_view) {};
  const auto engine = test::start_pool(config);
  ASSERT_NE(engine, nullptr);
  ASSERT_TRUE(engine->execute_in_session("a", "flood", {}));
  for (const WorkerHealth& worker : engine->health_check().workers) ::kill(worker.pid, SIGKILL);
  wait_for_restarts(*engine, 2);
  EXPECT_TRUE(engine->execute_in_session("a", "increment", {}));
}

TEST(WorkerLossTest, RetriesAreBounded) {
  const auto engine = test::start_pool(test::pool_config(1));
  ASSERT_NE(engine, nullptr);
  const auto failed = engine->execute_in_session("a", "fail_politely", {}, {.max_retries = 2});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, "empty_shelf");
  EXPECT_EQ(failed.error().attempts, 3U);
}

TEST(WorkerLossTest, KillsUnderLoadLoseAndRepeatNothing) {
  const std::uint64_t seed = test::test_seed();
  Config config = test::pool_config(2);
  const auto engine = test::start_pool(config);
  ASSERT_NE(engine, nullptr);
  constexpr int kThreads = 4;
  constexpr int kSessionsEach = 5;
  constexpr int kRounds = 60;
  std::atomic<bool> working{true};
  std::thread killer([&] {
    std::minstd_rand random(static_cast<std::uint32_t>(seed));
    std::uint64_t kills = 0;
    while (working.load()) {
      const Health health = engine->health_check();
      const auto& victim = health.workers[random() % health.workers.size()];
      if (victim.pid != 0) ::kill(victim.pid, SIGKILL);
      ++kills;
      while (working.load() && engine->stats().worker_restarts < kills) std::this_thread::yield();
      while (working.load() && !engine->wait_until_ready(std::chrono::milliseconds(20))) {
      }
    }
  });
  std::vector<std::thread> callers;
  callers.reserve(kThreads);
  for (int t = 0; t < kThreads; ++t) {
    callers.emplace_back([&, t] {
      for (int round = 1; round <= kRounds; ++round) {
        for (int s = 0; s < kSessionsEach; ++s) {
          const auto answer =
              engine->execute_in_session("session-" + std::to_string(t * kSessionsEach + s),
                                         "increment", {}, {.max_retries = 20});
          ASSERT_TRUE(answer) << answer.error().describe();
          EXPECT_EQ(answer->value.as_int64(), round);
        }
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  working.store(false);
  killer.join();
  EXPECT_GT(engine->stats().workers_lost, 0U);
  EXPECT_THAT(test::check_history(engine->history()), IsEmpty());
}

TEST(WorkerLossTest, ExitInACommandIsAnErrorNotADeath) {
  const auto engine = test::start_pool(test::pool_config(1));
  ASSERT_NE(engine, nullptr);
  const auto answer = engine->execute_in_session("a", "quit", {});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().exception_type, "SystemExit");
  EXPECT_EQ(engine->stats().workers_lost, 0U);
}

// No memory file can be made meanwhile, so no worker's channel.
TEST(WorkerLossTest, AStartThatTheMachineHasNothingForIsTriedAgainSoon) {
  std::signal(SIGXFSZ, SIG_IGN);
  test::CapturedLog log;
  Config config = test::pool_config(1);
  config.worker.max_restarts = 1;  // what never was a process is no death
  log.capture(config, LogLevel::kInfo);
  const auto engine = test::start_pool(config);
  ASSERT_NE(engine, nullptr);
  const int pid = test::pid_of(*engine, "a");
  ASSERT_NE(pid, 0);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit none{.rlim_cur = 0, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &none), 0);
  ::kill(pid, SIGKILL);
  EXPECT_TRUE(log.wait_for("could not start, next try in 1000 ms", test::kPatience)) << log.text();
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_TRUE(engine->wait_until_ready(test::kPatience));
  EXPECT_TRUE(engine->execute_in_session("a", "pid", {}, {.max_retries = 3}));
  EXPECT_THAT(log.text(), testing::Not(HasSubstr("is tried each")));
}

}  // namespace
}  // namespace dspool
