// Retries and circuit breakers with real workers.
#include <gmock/gmock.h>

#include <chrono>
#include <thread>
#include <vector>

#include "tests/e2e/captured_log.h"
#include "tests/e2e/pool.h"
#include "tests/support/history_checker.h"

namespace dspool {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

Config retry_config() {
  Config config = test::pool_config(1);
  config.retry.jitter = false;
  config.retry.base_delay = milliseconds(20);
  return config;
}

// From the end of an attempt to the next one, as the history tells it.
std::vector<milliseconds> pauses_in(const History& history) {
  std::vector<milliseconds> pauses;
  std::int64_t ended_ns = 0;
  for (const Event& event : history.events) {
    if (event.kind == EventKind::kAttemptEnded) ended_ns = event.time_ns;
    if (event.kind == EventKind::kAttemptSent && ended_ns != 0) {
      pauses.push_back(
          std::chrono::floor<milliseconds>(std::chrono::nanoseconds(event.time_ns - ended_ns)));
    }
  }
  return pauses;
}

BreakerInfo breaker_of(const Engine& engine, std::string_view name) {
  for (BreakerInfo& each : engine.breakers()) {
    if (each.name == name) return each;
  }
  return {};
}

TEST(RetriedCallTest, PausesByTheSeries) {
  const auto engine = test::start_pool(retry_config());
  ASSERT_NE(engine, nullptr);
  const auto failed = engine->execute_in_session("a", "fail_politely", {}, {.max_retries = 3});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, "empty_shelf");
  EXPECT_EQ(failed.error().attempts, 4U);
  const auto pauses = pauses_in(engine->history());
  ASSERT_EQ(pauses.size(), 3U);
  EXPECT_GE(pauses[0], milliseconds(20));
  EXPECT_GE(pauses[1], milliseconds(40));
  EXPECT_GE(pauses[2], milliseconds(60));
  EXPECT_EQ(engine->stats().retries, 3U);
  EXPECT_THAT(test::check_history(engine->history()), IsEmpty());
}

TEST(RetriedCallTest, PausesAsTheCallerSays) {
  const auto engine = test::start_pool(retry_config());
  ASSERT_NE(engine, nullptr);
  const BackoffFunction backoff = [](std::uint32_t retry) { return milliseconds(70 / retry); };
  ASSERT_FALSE(
      engine->execute_in_session("a", "fail_politely", {}, {.max_retries = 2, .backoff = backoff}));
  const auto pauses = pauses_in(engine->history());
  ASSERT_EQ(pauses.size(), 2U);
  EXPECT_GE(pauses[0], milliseconds(70));
  EXPECT_GE(pauses[1], milliseconds(35));
}

TEST(RetriedCallTest, IsNotWhereRetriesAreSwitchedOff) {
  Config config = retry_config();
  config.retry.enabled = false;
  const auto engine = test::start_pool(config);
  ASSERT_NE(engine, nullptr);
  const auto failed = engine->execute_in_session("a", "fail_politely", {}, {.max_retries = 3});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().attempts, 1U);
}

TEST(RetriedCallTest, AnOutageIsNotMultiplied) {
  Config config = retry_config();
  config.retry.base_delay = milliseconds(1);
  const auto engine = test::start_pool(config);
  ASSERT_NE(engine, nullptr);
  constexpr int kCalls = 200;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kCalls; ++i) {
    EXPECT_FALSE(engine->execute_in_session("a", "fail_politely", {}, {.max_retries = 10}));
  }
  const auto took = std::chrono::steady_clock::now() - start;
  const Stats stats = engine->stats();
  EXPECT_GE(stats.retries, 30U);
  // 3 a second, or a fifth of the calls, whichever is more in each ten seconds.
  const auto windows = static_cast<std::uint64_t>(took / std::chrono::seconds(10)) + 1;
  EXPECT_LE(stats.retries, kCalls / 5 + 30 * windows);
  EXPECT_GT(stats.retries_over_budget, 0U);
}

class PoolBreakerTest : public testing::Test {
 protected:
  static Config breaker_config(milliseconds timeout) {
    Config config = test::pool_config(1);
    config.circuit_breaker.enabled = true;
    config.circuit_breaker.failure_threshold = 2;
    config.circuit_breaker.timeout = timeout;
    return config;
  }
  // Workers die until the breaker opens.
  static void open(Engine& engine) {
    for (int i = 0; i < 2; ++i) {
      const auto lost = engine.execute_in_session("killer-" + std::to_string(i), "exit", {});
      ASSERT_FALSE(lost);
      EXPECT_EQ(lost.error().code, "worker_lost");
    }
  }
};

TEST_F(PoolBreakerTest, OpensWhenWorkersComeUpAndDieAndIsClosedByHand) {
  const auto engine = test::start_pool(breaker_config(std::chrono::hours(1)));
  ASSERT_NE(engine, nullptr);
  open(*engine);
  const auto refused = engine->execute_in_session("a", "increment", {}, {.max_retries = 3});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().category, ErrorCategory::kResourceError);
  EXPECT_EQ(refused.error().code, "circuit_open");
  EXPECT_TRUE(refused.error().retry_after);
  EXPECT_EQ(refused.error().state_applied, StateApplied::kNo);
  EXPECT_EQ(breaker_of(*engine, "pool").state, BreakerState::kOpen);
  EXPECT_THAT(breaker_of(*engine, "pool").last_failure, HasSubstr("worker-0"));
  EXPECT_EQ(engine->stats().refused_circuit_open, 1U);
  EXPECT_EQ(engine->stats().breakers.at(0).refusals, 1U);
  ASSERT_TRUE(engine->close_breaker("pool"));
  EXPECT_EQ(engine->execute_in_session("a", "increment", {})->value.as_int64(), 1);
}

TEST_F(PoolBreakerTest, ClosesByItselfWhenThePoolAnswersAgain) {
  const auto engine = test::start_pool(breaker_config(milliseconds(50)));
  ASSERT_NE(engine, nullptr);
  open(*engine);
  int answers = 0;
  while (breaker_of(*engine, "pool").state != BreakerState::kClosed) {
    if (engine->execute_in_session("a", "increment", {})) ++answers;
  }
  EXPECT_GE(answers, 3);
}

TEST_F(PoolBreakerTest, IsIsolatedByHandUntilItIsClosed) {
  const auto engine = test::start_pool(breaker_config(milliseconds(1)));
  ASSERT_NE(engine, nullptr);
  ASSERT_TRUE(engine->execute_in_session("a", "increment", {}));
  ASSERT_TRUE(engine->isolate_breaker("pool"));
  EXPECT_EQ(breaker_of(*engine, "pool").state, BreakerState::kIsolated);
  EXPECT_EQ(test::code_of(engine->execute_anonymous("increment", {})), "circuit_open");
  EXPECT_TRUE(engine->read_fields("a")) << "that needs no worker";
  ASSERT_TRUE(engine->close_breaker("pool"));
  EXPECT_TRUE(engine->execute_anonymous("increment", {}));
  EXPECT_EQ(test::code_of(engine->close_breaker("pools")), "unknown_breaker");
}

TEST_F(PoolBreakerTest, IsToldByTheLogAndByHealth) {
  test::CapturedLog log;
  Config config = breaker_config(std::chrono::hours(1));
  log.capture(config, LogLevel::kInfo);
  const auto engine = test::start_pool(config);
  ASSERT_NE(engine, nullptr);
  EXPECT_THAT(engine->health().reasons, testing::Not(Contains(HasSubstr("circuit breaker"))));
  open(*engine);
  EXPECT_TRUE(log.wait_for("circuit breaker pool was closed, and is open: ", test::kPatience));
  Health health = engine->health();
  const auto until = std::chrono::steady_clock::now() + test::kPatience;
  while (health.status == HealthStatus::kUnhealthy && std::chrono::steady_clock::now() < until) {
    std::this_thread::sleep_for(milliseconds(5));  // its worker is replaced
    health = engine->health();
  }
  EXPECT_EQ(health.status, HealthStatus::kDegraded);
  EXPECT_THAT(health.reasons,
              Contains(AllOf(HasSubstr("circuit breaker pool is open"), HasSubstr("worker-0"))));
  ASSERT_TRUE(engine->isolate_breaker("pool"));
  EXPECT_TRUE(log.wait_for("circuit breaker pool was open, and is isolated\n", test::kPatience));
  EXPECT_THAT(engine->health().reasons, Contains("circuit breaker pool is isolated"));
  ASSERT_TRUE(engine->close_breaker("pool"));
  EXPECT_TRUE(log.wait_for("circuit breaker pool was isolated, and is closed\n", test::kPatience));
  EXPECT_THAT(engine->health().reasons, testing::Not(Contains(HasSubstr("circuit breaker"))));
}

TEST(RetryAfterTest, IsWaitedForUnlessTheDeadlineLeavesNoTime) {
  const auto engine = test::start_pool(test::pool_config(1));
  ASSERT_NE(engine, nullptr);
  const auto hasty =
      engine->execute_in_session("a", "ask_for_patience", {{"seconds", 3'600}},
                                 {.timeout = std::chrono::minutes(30), .max_retries = 3});
  ASSERT_FALSE(hasty);
  EXPECT_EQ(hasty.error().category, ErrorCategory::kResourceError);
  EXPECT_EQ(hasty.error().code, "command_failed");
  EXPECT_EQ(hasty.error().retry_after, std::chrono::hours(1));
  EXPECT_EQ(hasty.error().attempts, 1U);
  const auto begin = std::chrono::steady_clock::now();
  const auto patient = engine->execute_in_session("a", "ask_for_patience", {{"seconds", 0.3}},
                                                  {.timeout = test::kPatience, .max_retries = 1});
  ASSERT_TRUE(patient) << patient.error().describe();
  EXPECT_EQ(patient->attempts, 2U);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(300));
}

TEST(ProviderBreakerTest, StandsInTheWayOfWhatAsksTheProviderOnly) {
  Config config = test::pool_config(1);
  config.circuit_breaker.enabled = true;
  const auto engine = test::start_pool(config);
  ASSERT_NE(engine, nullptr);
  ASSERT_TRUE(engine->set_lm({.model = "openai/offline"}));
  for (int i = 0; i < 5; ++i) {
    const auto failed = engine->execute_in_session("a", "ask_provider", {{"answers", false}});
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().category, ErrorCategory::kPython);
    EXPECT_EQ(failed.error().provider, "openai");
  }
  EXPECT_EQ(breaker_of(*engine, "openai").state, BreakerState::kOpen);
  EXPECT_EQ(breaker_of(*engine, "pool").state, BreakerState::kClosed);
  const auto refused = engine->execute_in_session("a", "ask_provider", {{"answers", true}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "circuit_open");
  EXPECT_THAT(refused.error().cause, HasSubstr("429"));
  EXPECT_TRUE(engine->execute_in_session("a", "increment", {}));
  ASSERT_TRUE(engine->set_lm({.model = "anthropic/offline"}));
  EXPECT_TRUE(engine->execute_in_session("a", "ask_provider", {{"answers", true}}));
  ASSERT_TRUE(engine->set_lm({.model = "openai/offline"}));
  ASSERT_TRUE(engine->close_breaker("openai"));
  EXPECT_TRUE(engine->execute_in_session("a", "ask_provider", {{"answers", true}}));
}

}  // namespace
}  // namespace dspool
