// What kills workers is found out, with real ones: it is tried once more, alone, and then no more,
// and those who stood beside it are served.
#include <gmock/gmock.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/pool.h"
#include "tests/support/history_checker.h"

namespace dspool {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

const CallOptions kConsents{.timeout = test::kPatience, .max_retries = 5};

class QuarantineTest : public testing::Test {
 protected:
  void start(std::uint32_t workers, std::uint32_t max_in_flight = 1) {
    Config config = test::pool_config(workers, "mortal:Mortal");
    config.worker.max_in_flight = max_in_flight;
    engine_ = test::start_pool(config);
    ASSERT_NE(engine_, nullptr);
  }
  void TearDown() override { EXPECT_THAT(test::check_history(engine_->history()), IsEmpty()); }
  std::string call(std::string_view session, std::string_view command) {
    return test::code_of(engine_->execute_in_session(session, command, {}, kConsents));
  }
  // Its state kills whoever loads it, which has been found out.
  void poison(std::string_view session) {
    ASSERT_EQ(call(session, "add"), "ok");
    ASSERT_EQ(call(session, "poison"), "ok");
    ASSERT_EQ(call(session, "add"), "call_quarantined");
    ASSERT_EQ(call(session, "count"), "session_quarantined");
  }

  std::unique_ptr<Engine> engine_;
};

// Calls of sessions of their own, all the time, until it ends.
class Neighbours {
 public:
  Neighbours(Engine& engine, int count) {
    threads_.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i) {
      threads_.emplace_back([this, &engine, id = "neighbour-" + std::to_string(i)] {
        std::int64_t expected = 0;
        while (!done_.load()) {
          const auto answer = engine.execute_in_session(id, "add", {}, kConsents);
          // On a busy machine it takes so long to start workers that somebody is sent away.
          if (test::code_of(answer) == "overloaded") continue;
          ASSERT_TRUE(answer) << answer.error().describe();
          ASSERT_EQ(answer->value.as_int64(), ++expected);
        }
      });
    }
  }
  ~Neighbours() {
    done_.store(true);
    for (std::thread& thread : threads_) thread.join();
  }
  Neighbours(const Neighbours&) = delete;
  Neighbours& operator=(const Neighbours&) = delete;

 private:
  std::atomic<bool> done_{false};
  std::vector<std::thread> threads_;
};

TEST_F(QuarantineTest, ACommandThatKillsIsTriedOnceMoreAloneAndHarmsNobody) {
  ASSERT_NO_FATAL_FAILURE(start(2));
  const Neighbours neighbours(*engine_, 3);
  for (const char* command : {"exit", "crash"}) {
    const auto lost = engine_->execute_in_session(command, command, {}, kConsents);
    ASSERT_FALSE(lost);
    EXPECT_EQ(lost.error().code, "call_quarantined") << lost.error().describe();
    EXPECT_EQ(lost.error().category, ErrorCategory::kSession);
    EXPECT_EQ(lost.error().attempts, 2U);
    EXPECT_EQ(call(command, "increment"), "ok") << "its session is in no quarantine";
  }
  EXPECT_EQ(engine_->stats().workers_lost, 4U);
  EXPECT_EQ(engine_->stats().quarantined_calls, 2U);
}

// Those who run beside it die with it, and each is served alone after that.
TEST_F(QuarantineTest, OfManyOnAWorkerTheOneThatKillsIsFound) {
  ASSERT_NO_FATAL_FAILURE(start(1, 4));
  const Neighbours neighbours(*engine_, 3);
  EXPECT_EQ(call("killer", "crash"), "call_quarantined");
  EXPECT_EQ(call("killer", "add"), "ok");
}

TEST_F(QuarantineTest, ASessionWhoseStateKillsIsGivenToNoWorkerAnyMore) {
  ASSERT_NO_FATAL_FAILURE(start(1));
  ASSERT_NO_FATAL_FAILURE(poison("a"));
  EXPECT_EQ(engine_->stats().workers_lost, 3U);
  const auto refused = engine_->execute_in_session("a", "increment", {}, kConsents);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "session_quarantined");
  EXPECT_EQ(refused.error().attempts, 0U);
  EXPECT_THAT(refused.error().message, HasSubstr("release_session"));
  EXPECT_TRUE(engine_->get_session("a")->quarantined);
  EXPECT_EQ(call("b", "add"), "ok");
  EXPECT_EQ(engine_->stats().workers_lost, 3U);
  EXPECT_EQ(engine_->stats().quarantined_sessions, 1U);
}

TEST_F(QuarantineTest, AQuarantinedSessionIsReadMendedAndReleased) {
  ASSERT_NO_FATAL_FAILURE(start(1));
  ASSERT_NO_FATAL_FAILURE(poison("a"));
  const auto fields = engine_->read_fields("a");
  ASSERT_TRUE(fields) << fields.error().describe();
  EXPECT_EQ(fields->value["value"].as_int64(), 1);
  EXPECT_EQ(test::code_of(engine_->update_fields("a", {.deletes = {"poisoned"}})), "ok");
  EXPECT_EQ(call("a", "add"), "session_quarantined") << "whoever mended it has to say so";
  EXPECT_EQ(test::code_of(engine_->release_session("a")), "ok");
  const auto answer = engine_->execute_in_session("a", "add", {});
  ASSERT_TRUE(answer) << answer.error().describe();
  EXPECT_EQ(answer->value.as_int64(), 2);
  EXPECT_FALSE(engine_->get_session("a")->quarantined);
}

TEST_F(QuarantineTest, AQuarantinedSessionCanBeEndedAndReplaced) {
  ASSERT_NO_FATAL_FAILURE(start(1));
  ASSERT_NO_FATAL_FAILURE(poison("a"));
  EXPECT_EQ(test::code_of(engine_->create_session("a", {.if_exists = IfExists::kReplace})), "ok");
  EXPECT_EQ(call("a", "add"), "ok");
  ASSERT_NO_FATAL_FAILURE(poison("b"));
  EXPECT_EQ(test::code_of(engine_->end_session("b")), "ok");
  EXPECT_EQ(call("b", "add"), "ok");
}

TEST_F(QuarantineTest, OnlyASessionThatThereIsCanBeReleased) {
  ASSERT_NO_FATAL_FAILURE(start(1));
  EXPECT_EQ(test::code_of(engine_->release_session("nobody")), "session_not_found");
  ASSERT_EQ(call("a", "add"), "ok");
  EXPECT_EQ(test::code_of(engine_->release_session("a")), "ok");
}

TEST_F(QuarantineTest, ARepeatedKeyOfACallThatKillsIsRefused) {
  ASSERT_NO_FATAL_FAILURE(start(1));
  CallOptions options = kConsents;
  options.idempotency_key = "key";
  EXPECT_EQ(test::code_of(engine_->execute_in_session("a", "crash", {}, options)),
            "call_quarantined");
  const std::uint64_t lost = engine_->stats().workers_lost;
  EXPECT_EQ(test::code_of(engine_->execute_in_session("a", "crash", {}, options)),
            "call_quarantined");
  EXPECT_EQ(engine_->stats().workers_lost, lost);
}

}  // namespace
}  // namespace dspool
