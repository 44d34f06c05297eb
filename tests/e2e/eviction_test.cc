// Little shared memory for many sessions: their fields come and go between it and the durable
// store, while workers read them in place.
#include <gmock/gmock.h>

#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/pool.h"
#include "tests/support/history_checker.h"
#include "tests/support/seed.h"
#include "tests/support/temporary_directory.h"

namespace dspool {
namespace {

using testing::IsEmpty;

class EvictionTest : public testing::Test {
 protected:
  EvictionTest() {
    config_.store.memory_limit = std::size_t{4} << 20;
    config_.worker.session_cache = 1;  // so that nearly every call has to read the fields
    config_.affinity = Affinity::kOff;
    config_.history_events = std::size_t{1} << 22;
  }
  void start() {
    engine_.reset();
    engine_ = test::start_pool(config_);
    ASSERT_NE(engine_, nullptr);
  }

  const test::TemporaryDirectory directory_;
  Config config_ = test::pool_config(2, "checksums:Checksums");
  std::unique_ptr<Engine> engine_;
};

// Fields name their checksums; the worker looks whether they fit, and says how often they were
// written.
TEST_F(EvictionTest, AWorkerNeverSeesHalfAFieldOrAFreedOne) {
  config_.store.path = (directory_.path() / "store").string();
  constexpr int kThreads = 8;
  constexpr int kSessions = 200;  // with 24 KiB on average: more than the limit
  constexpr int kCalls = 250;     // of each thread
  start();
  const std::uint64_t seed = test::test_seed();
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(static_cast<std::mt19937::result_type>(seed + static_cast<unsigned>(t)));
      for (int i = 0; i < kCalls; ++i) {
        const auto number = random() % kSessions;
        const std::string session = "s" + std::to_string(number);
        if (i == 0 || random() % 16 == 0) {
          // Both durabilities: those of memory are parked.
          static_cast<void>(engine_->create_session(
              session, {.if_exists = IfExists::kKeep,
                        .durability = number % 2 == 0 ? Durability::kLocal : Durability::kMemory}));
        }
        const Value args{
            {"sizes", Value::list({static_cast<std::int64_t>(random() % 8'000),
                                   static_cast<std::int64_t>(random() % 40'000), 100})}};
        auto answer = engine_->execute_in_session(session, "rewrite", args, {.max_retries = 3});
        while (!answer && answer.error().code == "overloaded") {  // by a machine that is
          std::this_thread::sleep_for(answer.error().retry_after.value_or(std::chrono::seconds(1)));
          answer = engine_->execute_in_session(session, "rewrite", args, {.max_retries = 3});
        }
        if (!answer) {
          ADD_FAILURE() << answer.error().describe();
          ++wrong;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  const Stats stats = engine_->stats();
  EXPECT_GT(stats.evicted_sessions, 100U);
  EXPECT_GT(stats.loaded_sessions, 100U);
  for (int i = 0; i < kSessions; ++i) {
    const auto info = engine_->get_session("s" + std::to_string(i));
    if (!info) continue;  // the dice passed over it
    const auto count = engine_->execute_in_session(info->id, "count", {});
    ASSERT_TRUE(count) << count.error().describe();
    EXPECT_EQ(count->value.as_int64(), static_cast<std::int64_t>(info->version)) << info->id;
  }
  EXPECT_THAT(test::check_history(engine_->history()), IsEmpty());
}

TEST_F(EvictionTest, WithoutADurableStoreNewWorkIsRefusedAndNothingLost) {
  start();
  int refused_at = 0;
  for (int i = 0; i < 1'000 && refused_at == 0; ++i) {
    const auto answer = engine_->execute_in_session("s" + std::to_string(i), "rewrite",
                                                    {{"sizes", Value::list({20'000})}});
    if (answer) continue;
    EXPECT_EQ(answer.error().category, ErrorCategory::kResourceError);
    EXPECT_EQ(answer.error().code, "state_memory_full");
    EXPECT_TRUE(answer.error().retryable);
    refused_at = i;
  }
  ASSERT_GT(refused_at, 50);
  for (int i = 0; i < refused_at; ++i) {
    const auto count = engine_->execute_in_session("s" + std::to_string(i), "count", {});
    ASSERT_TRUE(count) << count.error().describe();
    EXPECT_EQ(count->value.as_int64(), 1);
  }
  ASSERT_TRUE(engine_->end_session("s0"));
  EXPECT_TRUE(engine_->execute_in_session("new", "rewrite", {{"sizes", Value::list({20'000})}}));
}

TEST_F(EvictionTest, AValueLongerThanAnExtentIsReadInPlaceToo) {
  config_.store.path = (directory_.path() / "store").string();
  config_.store.memory_limit = std::size_t{64} << 20;
  start();
  for (int i = 0; i < 40; ++i) {
    const auto answer =
        engine_->execute_in_session("s" + std::to_string(i % 20), "rewrite",
                                    {{"sizes", Value::list({3'000'000, 1'000, 5'000'000})}});
    ASSERT_TRUE(answer) << answer.error().describe();
  }
  EXPECT_GT(engine_->stats().evicted_sessions, 0U);
}

}  // namespace
}  // namespace dspool
