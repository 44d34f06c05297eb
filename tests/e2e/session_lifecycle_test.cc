// Sessions that are created by name, live on while they are used, and expire when they are not.
#include <gmock/gmock.h>

#include <chrono>
#include <thread>

#include "tests/e2e/pool.h"
#include "tests/support/history_checker.h"

namespace dspool {
namespace {

using std::chrono::milliseconds;
using test::code_of;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class SessionLifecycleTest : public testing::Test {
 protected:
  void start(const Config& config) {
    engine_ = test::start_pool(config);
    ASSERT_NE(engine_, nullptr);
  }
  // Sessions that nobody uses for so long that a busy machine does not expire them by its pauses.
  void start_with_ttl(milliseconds ttl) {
    Config config = test::pool_config(1);
    config.session.ttl = ttl;
    start(config);
  }
  void TearDown() override {
    if (!engine_) return;
    EXPECT_THAT(test::check_history(engine_->history()), IsEmpty());
  }

  Result<Answer> increment(std::string_view id) {
    return engine_->execute_in_session(id, "increment", {});
  }
  void wait_for_expiries(std::uint64_t count) {
    const auto end = std::chrono::steady_clock::now() + test::kPatience;
    while (engine_->stats().expired_sessions < count) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << "nothing expires";
      std::this_thread::sleep_for(milliseconds(1));
    }
  }

  std::unique_ptr<Engine> engine_;
};

TEST_F(SessionLifecycleTest, WhatNobodyUsesExpiresAndTells) {
  start_with_ttl(milliseconds(200));
  ASSERT_TRUE(increment("a"));
  wait_for_expiries(1);
  EXPECT_THAT(*engine_->list_sessions(), IsEmpty());
  EXPECT_EQ(code_of(increment("a")), "session_expired");
  EXPECT_EQ(code_of(engine_->execute_in_session("a", "increment", {}, {.create_session = false})),
            "session_expired");
  EXPECT_EQ(code_of(engine_->get_session("a")), "session_expired");
  EXPECT_EQ(code_of(engine_->touch_session("a")), "session_expired");
  EXPECT_EQ(code_of(engine_->end_session("a")), "session_expired");
  EXPECT_EQ(engine_->stats().active_sessions, 0U);
}

TEST_F(SessionLifecycleTest, OneThatHasExpiredIsBegunAnewByName) {
  start_with_ttl(milliseconds(200));
  ASSERT_TRUE(increment("a"));
  wait_for_expiries(1);
  ASSERT_TRUE(engine_->create_session("a", {.ttl = milliseconds(0)}));
  EXPECT_EQ(increment("a")->value.as_int64(), 1) << "its state is gone";
}

TEST_F(SessionLifecycleTest, EachMayHaveATtlOfItsOwn) {
  start_with_ttl(milliseconds(200));
  const auto info = engine_->create_session("for-ever", {.ttl = milliseconds(0)});
  ASSERT_TRUE(info);
  EXPECT_FALSE(info->ttl_left.has_value());
  const auto hour = engine_->create_session("hour", {.ttl = std::chrono::hours(1)});
  ASSERT_TRUE(hour);
  EXPECT_GT(*hour->ttl_left, std::chrono::minutes(59));
  ASSERT_TRUE(increment("default"));
  wait_for_expiries(1);
  EXPECT_THAT(*engine_->list_sessions(), ElementsAre("for-ever", "hour"));
}

TEST_F(SessionLifecycleTest, UseAndTouchKeepOneAlive) {
  start_with_ttl(std::chrono::seconds(4));
  ASSERT_TRUE(engine_->create_session("used"));
  ASSERT_TRUE(engine_->create_session("touched"));
  ASSERT_TRUE(engine_->create_session("left"));
  const auto end = std::chrono::steady_clock::now() + test::kPatience;
  while (engine_->stats().expired_sessions == 0) {
    ASSERT_LT(std::chrono::steady_clock::now(), end) << "nothing expires";
    ASSERT_TRUE(increment("used"));
    ASSERT_TRUE(engine_->touch_session("touched"));
    std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_THAT(*engine_->list_sessions(), ElementsAre("touched", "used"));
}

// A command may take longer than its session's ttl.
TEST_F(SessionLifecycleTest, OneThatIsAtWorkDoesNotExpire) {
  start_with_ttl(milliseconds(100));
  const auto answer = engine_->execute_in_session("a", "sleep_and_increment", {{"ms", 600}});
  ASSERT_TRUE(answer) << answer.error().describe();
  EXPECT_EQ(answer->value.as_int64(), 1);
  wait_for_expiries(1);
}

TEST_F(SessionLifecycleTest, IsCreatedOnce) {
  start_with_ttl(std::chrono::minutes(5));
  ASSERT_TRUE(engine_->create_session("a"));
  ASSERT_TRUE(increment("a"));
  EXPECT_EQ(code_of(engine_->create_session("a")), "session_exists");
  const auto kept = engine_->create_session("a", {.if_exists = IfExists::kKeep});
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->version, 1U);
  const auto replaced = engine_->create_session("a", {.if_exists = IfExists::kReplace});
  ASSERT_TRUE(replaced);
  EXPECT_EQ(replaced->version, 0U);
  EXPECT_EQ(increment("a")->value.as_int64(), 1);
}

TEST_F(SessionLifecycleTest, RefusesATtlThatIsNone) {
  start_with_ttl(std::chrono::minutes(5));
  EXPECT_EQ(code_of(engine_->create_session("a", {.ttl = milliseconds(-1)})), "invalid_ttl");
  EXPECT_EQ(code_of(engine_->create_session("a", {.ttl = std::chrono::hours(24 * 8)})),
            "invalid_ttl");
  EXPECT_EQ(code_of(engine_->create_session("")), "invalid_session_id");
  EXPECT_THAT(*engine_->list_sessions(), IsEmpty());
}

TEST_F(SessionLifecycleTest, ThePoolHasNoMoreThanItMay) {
  Config config = test::pool_config(1);
  config.session.max_sessions = 2;
  start(config);
  ASSERT_TRUE(increment("a"));
  ASSERT_TRUE(engine_->create_session("b"));
  const auto refused = increment("c");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().category, ErrorCategory::kResourceError);
  EXPECT_EQ(refused.error().code, "too_many_sessions");
  EXPECT_THAT(refused.error().message, HasSubstr("session.max_sessions"));
  EXPECT_EQ(code_of(engine_->create_session("d")), "too_many_sessions");
  EXPECT_TRUE(engine_->execute_anonymous("increment", {})) << "it is none of them";
  ASSERT_TRUE(engine_->end_session("a"));
  EXPECT_TRUE(increment("c"));
}

TEST_F(SessionLifecycleTest, IsListedByPrefix) {
  start_with_ttl(std::chrono::minutes(5));
  for (const char* id : {"chat-1", "chat-2", "chat-3", "chats", "bot", "d"}) {
    ASSERT_TRUE(engine_->create_session(id));
  }
  EXPECT_THAT(*engine_->list_sessions({}, 10, "chat-"), ElementsAre("chat-1", "chat-2", "chat-3"));
  EXPECT_THAT(*engine_->list_sessions("chat-1", 1, "chat-"), ElementsAre("chat-2"));
  EXPECT_THAT(*engine_->list_sessions("chat-3", 10, "chat-"), IsEmpty());
  EXPECT_THAT(*engine_->list_sessions("z", 10, "chat-"), IsEmpty());
}

TEST_F(SessionLifecycleTest, SaysWhenItBeganAndWasUsed) {
  start_with_ttl(std::chrono::minutes(5));
  const auto before = std::chrono::system_clock::now();
  ASSERT_TRUE(engine_->create_session("a"));
  std::this_thread::sleep_for(milliseconds(20));
  ASSERT_TRUE(increment("a"));
  const auto info = engine_->get_session("a");
  ASSERT_TRUE(info);
  EXPECT_GE(info->started_at, before - milliseconds(1));
  EXPECT_GE(info->last_activity, info->started_at + milliseconds(19));
  EXPECT_LE(info->last_activity, std::chrono::system_clock::now() + milliseconds(1));
  EXPECT_GT(*info->ttl_left, std::chrono::minutes(4));
}

}  // namespace
}  // namespace dspool
