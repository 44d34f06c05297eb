#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/pool.h"
#include "tests/support/history_checker.h"

namespace dspool {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class SessionTest : public testing::Test {
 protected:
  void SetUp() override {
    Config config = test::pool_config(2);
    config.session_queue_limit = 200;
    config.queue_limit = 200;
    engine_ = test::start_pool(config);
    ASSERT_NE(engine_, nullptr);
  }
  void TearDown() override {
    ASSERT_NE(engine_, nullptr);
    EXPECT_THAT(test::check_history(engine_->history()), IsEmpty());
  }

  std::int64_t increment(std::string_view session) {
    const auto answer = engine_->execute_in_session(session, "increment", {});
    return answer ? answer->value.as_int64() : -1;
  }

  std::unique_ptr<Engine> engine_;
};

TEST_F(SessionTest, RemembersWhatItsCommandsChanged) {
  EXPECT_EQ(increment("a"), 1);
  EXPECT_EQ(increment("b"), 1);
  EXPECT_EQ(increment("a"), 2);
  EXPECT_EQ(engine_->get_session("a")->version, 2U);
}

TEST_F(SessionTest, NoticesChangesInPlace) {
  for (int i = 1; i <= 3; ++i) {
    const auto answer = engine_->execute_in_session("list", "append", {{"item", i}});
    ASSERT_TRUE(answer) << answer.error().describe();
    EXPECT_EQ(answer->version, static_cast<std::uint64_t>(i));
  }
  const auto items = engine_->execute_in_session("list", "items", {});
  EXPECT_EQ(items->value.to_json(), "[1,2,3]");
  EXPECT_EQ(items->version, 3U) << "a command that changes nothing makes no version";
}

TEST_F(SessionTest, ACommandThatRaisesChangesNothing) {
  EXPECT_EQ(increment("a"), 1);
  const auto failed = engine_->execute_in_session("a", "change_and_raise", {});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().category, ErrorCategory::kPython);
  EXPECT_EQ(failed.error().exception_type, "ValueError");
  EXPECT_THAT(failed.error().traceback, HasSubstr("changed my mind"));
  EXPECT_EQ(failed.error().state_applied, StateApplied::kNo);
  EXPECT_EQ(increment("a"), 2);
}

TEST_F(SessionTest, RunsItsCommandsOneAtATimeInTheOrderOfArrival) {
  constexpr int kCalls = 200;
  std::vector<std::int64_t> values;
  std::atomic<int> ended{0};
  for (int i = 0; i < kCalls; ++i) {
    engine_->submit("one", "increment", {}, [&](Result<Answer> answer) {
      values.push_back(answer ? answer->value.as_int64() : -1);  // the reactor is one thread
      ended.fetch_add(1);
      ended.notify_one();
    });
  }
  for (int seen = 0; (seen = ended.load()) < kCalls;) ended.wait(seen);
  for (int i = 0; i < kCalls; ++i) EXPECT_EQ(values[static_cast<std::size_t>(i)], i + 1);
}

TEST_F(SessionTest, ManyThreadsInOneSessionLoseNothing) {
  constexpr int kThreads = 8;
  constexpr int kEach = 50;
  std::vector<std::thread> threads;
  threads.reserve(kThreads);
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) EXPECT_GT(increment("shared"), 0);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(increment("shared"), kThreads * kEach + 1);
}

TEST_F(SessionTest, EndsAfterTheCallsThatCameBefore) {
  EXPECT_EQ(increment("a"), 1);
  ASSERT_TRUE(engine_->end_session("a"));
  const auto gone = engine_->get_session("a");
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, "session_not_found");
  EXPECT_EQ(increment("a"), 1) << "its id is free, its state is gone";
}

TEST_F(SessionTest, ThatEndsIsNotMadeAnewByACallThatMustNot) {
  EXPECT_EQ(increment("a"), 1);
  std::promise<void> slept;
  std::promise<Result<Answer>> read;
  engine_->submit("a", "sleep_and_increment", {{"ms", 300}},
                  [&](const Result<Answer>&) { slept.set_value(); });
  auto ended = std::async(std::launch::async, [&] { return engine_->end_session("a"); });
  while (engine_->get_session("a")->waiting < 1) std::this_thread::yield();
  engine_->submit("a", "increment", {},
                  [&](Result<Answer> answer) { read.set_value(std::move(answer)); },
                  {.create_session = false});
  const auto answer = read.get_future().get();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, "session_not_found");
  EXPECT_TRUE(ended.get());
  slept.get_future().wait();
  EXPECT_THAT(*engine_->list_sessions(), IsEmpty());
}

TEST_F(SessionTest, ThatWasOnlyRefusedDoesNotExist) {
  const auto refused =
      engine_->execute_in_session("never", "increment", {}, {.timeout = std::chrono::seconds(-1)});
  ASSERT_FALSE(refused);
  EXPECT_THAT(*engine_->list_sessions(), IsEmpty());
}

// What a completion submits is answered too, also while the engine stops.
TEST_F(SessionTest, EveryCompletionRunsOnce) {
  std::atomic<int> first{0};
  std::atomic<int> second{0};
  constexpr int kCalls = 20;
  Engine* const engine = engine_.get();
  for (int i = 0; i < kCalls; ++i) {
    engine_->submit("session-" + std::to_string(i), "sleep_and_increment", {{"ms", 50}},
                    [&, engine](const Result<Answer>&) {
                      ++first;
                      engine->submit("", "increment", {}, [&](const Result<Answer>&) { ++second; });
                    });
  }
  while (first == 0) std::this_thread::yield();
  engine_.reset();
  EXPECT_EQ(first, kCalls);
  EXPECT_EQ(second, kCalls);
  SetUp();  // for TearDown
}

TEST_F(SessionTest, IsNotCreatedWhereThatIsSwitchedOff) {
  const auto refused =
      engine_->execute_in_session("never", "increment", {}, {.create_session = false});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().category, ErrorCategory::kSession);
  EXPECT_EQ(refused.error().code, "session_not_found");
  EXPECT_THAT(*engine_->list_sessions(), IsEmpty());
}

TEST_F(SessionTest, IsListedInTheOrderOfIds) {
  for (const char* id : {"c", "a", "b"}) increment(id);
  EXPECT_THAT(*engine_->list_sessions(), ElementsAre("a", "b", "c"));
  EXPECT_THAT(*engine_->list_sessions("a", 1), ElementsAre("b"));
}

TEST_F(SessionTest, AnonymousCallsLeaveNothingBehind) {
  EXPECT_EQ(engine_->execute_anonymous("increment", {})->value.as_int64(), 1);
  EXPECT_EQ(engine_->execute_anonymous("increment", {})->value.as_int64(), 1);
  EXPECT_THAT(*engine_->list_sessions(), IsEmpty());
}

TEST_F(SessionTest, GrowsNoFurtherThanAnyWorkerCouldBeGivenIt) {
  Config config = test::pool_config(1);
  config.worker.max_payload_bytes = 64 * 1024;
  engine_ = test::start_pool(config);
  ASSERT_TRUE(engine_->execute_in_session("big", "keep", {{"size", 60'000}}));
  const auto refused = engine_->execute_in_session("big", "keep", {{"size", 70'000}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "state_too_large");
  EXPECT_EQ(engine_->get_session("big")->version, 1U);
  EXPECT_EQ(increment("big"), 1) << "the session goes on";
}

}  // namespace
}  // namespace dspool
