// What a session survives: with `local`, also its engine. Engines follow each other on one store.
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "dspool/store.h"
#include "tests/e2e/pool.h"
#include "tests/support/history_checker.h"
#include "tests/support/temporary_directory.h"

namespace dspool {
namespace {

using test::code_of;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class DurabilityTest : public testing::Test {
 protected:
  DurabilityTest() {
    config_.store.path = (directory_.path() / "store").string();
    config_.session.durability = Durability::kLocal;
  }

  // Stops the engine, if one runs, and starts one on the same store.
  void start() {
    engine_.reset();
    engine_ = test::start_pool(config_);
    ASSERT_NE(engine_, nullptr);
  }
  std::int64_t increment(std::string_view session, std::string key = {}) {
    const auto answer =
        engine_->execute_in_session(session, "increment", {}, {.idempotency_key = std::move(key)});
    EXPECT_TRUE(answer) << answer.error().describe();
    return answer ? answer->value.as_int64() : -1;
  }

  const test::TemporaryDirectory directory_;
  Config config_ = test::pool_config(1);
  std::unique_ptr<Engine> engine_;
};

TEST_F(DurabilityTest, ALocalSessionGoesOnWithTheNextEngine) {
  start();
  EXPECT_EQ(increment("a"), 1);
  EXPECT_EQ(increment("a"), 2);
  const auto before = engine_->get_session("a");
  EXPECT_EQ(before->durability, Durability::kLocal);
  start();
  EXPECT_EQ(increment("a"), 3);
  const auto after = engine_->get_session("a");
  ASSERT_TRUE(after);
  EXPECT_EQ(after->version, 3U);
  EXPECT_EQ(after->operations, 3U);
  EXPECT_EQ(after->started_at, before->started_at);
}

TEST_F(DurabilityTest, AMemorySessionDoesNot) {
  start();
  ASSERT_TRUE(engine_->create_session("m", {.durability = Durability::kMemory}));
  EXPECT_EQ(increment("m"), 1);
  EXPECT_EQ(increment("l"), 1);
  start();
  EXPECT_EQ(code_of(engine_->get_session("m")), "session_not_found");
  EXPECT_THAT(*engine_->list_sessions(), ElementsAre("l"));
}

TEST_F(DurabilityTest, ASessionThatWasOnlyCreatedIsThereWithItsTerms) {
  start();
  ASSERT_TRUE(engine_->create_session("a", {.ttl = std::chrono::hours(5)}));
  start();
  const auto info = engine_->get_session("a");
  ASSERT_TRUE(info) << info.error().describe();
  EXPECT_EQ(info->version, 0U);
  EXPECT_GT(info->ttl_left.value(), std::chrono::hours(4));
  EXPECT_EQ(code_of(engine_->create_session("a")), "session_exists");
}

TEST_F(DurabilityTest, AnIdempotencyKeySurvives) {
  start();
  EXPECT_EQ(increment("a", "k"), 1);
  ASSERT_TRUE(engine_->execute_in_session("a", "pid", {}, {.idempotency_key = "no change"}));
  start();
  const auto again = engine_->execute_in_session("a", "increment", {}, {.idempotency_key = "k"});
  ASSERT_TRUE(again) << again.error().describe();
  EXPECT_EQ(again->value.as_int64(), 1);
  EXPECT_EQ(again->attempts, 0U);
  const auto unchanged =
      engine_->execute_in_session("a", "pid", {}, {.idempotency_key = "no change"});
  EXPECT_EQ(unchanged->attempts, 0U);
  EXPECT_EQ(
      code_of(engine_->execute_in_session("a", "increment", {{"by", 2}}, {.idempotency_key = "k"})),
      "idempotency_conflict");
}

TEST_F(DurabilityTest, AnEndedSessionStaysEnded) {
  start();
  EXPECT_EQ(increment("a"), 1);
  EXPECT_EQ(increment("b"), 1);
  ASSERT_TRUE(engine_->end_session("a"));
  start();
  EXPECT_EQ(code_of(engine_->get_session("a")), "session_not_found");
  EXPECT_EQ(increment("a"), 1);
  ASSERT_TRUE(engine_->create_session("b", {.if_exists = IfExists::kReplace}));
  start();
  EXPECT_EQ(increment("a"), 2);
  EXPECT_EQ(increment("b"), 1);
}

TEST_F(DurabilityTest, AnExpiredSessionIsToldOfByTheNextEngine) {
  config_.session.ttl = std::chrono::milliseconds(200);
  start();
  EXPECT_EQ(increment("a"), 1);
  while (engine_->stats().expired_sessions == 0) std::this_thread::yield();
  start();
  EXPECT_EQ(code_of(engine_->execute_in_session("a", "increment", {})), "session_expired");
  ASSERT_TRUE(engine_->create_session("a", {.ttl = std::chrono::hours(1)}));
  EXPECT_EQ(increment("a"), 1);
}

// Sessions that nobody asks for expire, too, though nothing of them was loaded. The ttl is as long
// as it takes for none to expire before the next engine has them, however slow the disk is.
TEST_F(DurabilityTest, TheTtlBeginsAnewWithTheEngine) {
  constexpr std::size_t kSessions = 20;
  std::string prefix;
  const auto left = [&] { return engine_->list_sessions({}, kSessions, prefix)->size(); };
  for (config_.session.ttl = std::chrono::milliseconds(400);; config_.session.ttl *= 2) {
    prefix = std::to_string(config_.session.ttl.count()) + "-";
    start();
    for (std::size_t i = 0; i < kSessions; ++i) increment(prefix + std::to_string(i));
    start();
    if (left() == kSessions) break;
  }
  while (left() != 0) std::this_thread::yield();
  EXPECT_GE(engine_->stats().expired_sessions, kSessions);
  EXPECT_EQ(engine_->stats().loaded_sessions, 0U);
}

TEST_F(DurabilityTest, ListsWhatItHasNotLoaded) {
  start();
  for (const char* id : {"chat-1", "chat-2", "chat-3", "job-1"}) increment(id);
  start();
  EXPECT_THAT(*engine_->list_sessions({}, 10, "chat-"), ElementsAre("chat-1", "chat-2", "chat-3"));
  EXPECT_THAT(*engine_->list_sessions("chat-1", 1, "chat-"), ElementsAre("chat-2"));
  EXPECT_THAT(*engine_->list_sessions("chat-3", 10), ElementsAre("job-1"));
  EXPECT_EQ(engine_->stats().loaded_sessions, 0U);
}

TEST_F(DurabilityTest, AStoreInUseIsRefusedByName) {
  start();
  const auto second = Engine::start(config_);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().category, ErrorCategory::kInitialization);
  EXPECT_EQ(second.error().code, "store_in_use");
  EXPECT_THAT(second.error().message, HasSubstr(std::to_string(::getpid())));
  EXPECT_EQ(increment("a"), 1);
}

TEST_F(DurabilityTest, WhatCannotBeHadIsRefusedByName) {
  start();
  const auto replicated = engine_->create_session("a", {.durability = Durability::kReplicated});
  EXPECT_EQ(code_of(replicated), "durability_unavailable");
  EXPECT_THAT(replicated.error().message, HasSubstr("replicated"));
  engine_.reset();
  config_.store.path.clear();
  EXPECT_EQ(code_of(Engine::start(config_)), "invalid_config");
  config_.session.durability = Durability::kMemory;
  start();
  EXPECT_EQ(code_of(engine_->create_session("a", {.durability = Durability::kLocal})),
            "durability_unavailable");
  EXPECT_EQ(code_of(engine_->backup(directory_.path() / "backup")), "no_store");
}

TEST_F(DurabilityTest, ABackupIsAStore) {
  start();
  EXPECT_EQ(increment("a"), 1);
  const auto copy = directory_.path() / "backup";
  ASSERT_TRUE(engine_->backup(copy));
  EXPECT_EQ(increment("a"), 2);
  config_.store.path = copy.string();
  start();
  EXPECT_EQ(increment("a"), 2);
}

TEST_F(DurabilityTest, FieldsAreReadAndChangedWithoutAWorker) {
  start();
  const FieldUpdate update{.puts = {{"list", Value::list({1})}, {"text", Value::of("ab")}}};
  const auto first = engine_->update_fields("a", update);
  ASSERT_TRUE(first) << first.error().describe();
  EXPECT_EQ(first->version, 1U);
  EXPECT_EQ(first->attempts, 0U);
  const FieldUpdate more{.deletes = {"never"},
                         .appends = {{"list", Value::list({"two"})}, {"text", Value::of("c")}}};
  EXPECT_EQ(code_of(engine_->update_fields("a", more, 7)), "version_conflict");
  EXPECT_EQ(engine_->update_fields("a", more, 1)->version, 2U);
  start();
  const auto all = engine_->read_fields("a");
  ASSERT_TRUE(all) << all.error().describe();
  EXPECT_EQ(all->value.to_json(), R"({"list":[1,"two"],"text":"abc"})");
  EXPECT_EQ(engine_->read_fields("a", {"text", "other"})->value.to_json(), R"({"text":"abc"})");
  EXPECT_EQ(code_of(engine_->read_fields("b")), "session_not_found");
  EXPECT_EQ(code_of(engine_->update_fields("a", {.appends = {{"text", Value::list({1})}}})),
            "invalid_append");
  EXPECT_EQ(code_of(engine_->update_fields("a", {.puts = {{"x", {}}}, .deletes = {"x"}})),
            "invalid_update");
  EXPECT_EQ(
      code_of(engine_->update_fields("b", {.puts = {{"x", {}}}}, {}, {.create_session = false})),
      "session_not_found");
  EXPECT_THAT(test::check_history(engine_->history()), IsEmpty());
}

TEST_F(DurabilityTest, ARepeatedUpdateIsAnsweredAgain) {
  start();
  ASSERT_TRUE(engine_->update_fields("a", {.puts = {{"list", Value::list({})}}}));
  const FieldUpdate update{.appends = {{"list", Value::list({1})}}};
  EXPECT_EQ(engine_->update_fields("a", update, {}, {.idempotency_key = "k"})->version, 2U);
  EXPECT_EQ(engine_->update_fields("a", update, {}, {.idempotency_key = "k"})->version, 2U);
  EXPECT_EQ(engine_->read_fields("a")->value["list"].size(), 1U);
  start();
  const auto again = engine_->update_fields("a", update, {}, {.idempotency_key = "k"});
  ASSERT_TRUE(again) << again.error().describe();
  EXPECT_EQ(again->version, 2U);
  EXPECT_TRUE(again->value.view().is_null());
  EXPECT_EQ(engine_->read_fields("a")->value["list"].size(), 1U);
}

// A limit on the size of files stands for a disk that is full, until it is lifted.
TEST_F(DurabilityTest, AFullDiskIsToldAndGotOver) {
  ::signal(SIGXFSZ, SIG_IGN);
  start();
  EXPECT_EQ(increment("a"), 1);
  ASSERT_TRUE(engine_->create_session("m", {.durability = Durability::kMemory}));
  EXPECT_EQ(increment("m"), 1);
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit full{.rlim_cur = 1, .rlim_max = before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &full);
  const auto failed = engine_->execute_in_session("a", "increment", {}, {.idempotency_key = "k"});
  const auto read = engine_->execute_in_session("m", "increment", {});
  ::setrlimit(RLIMIT_FSIZE, &before);

  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, "store_failed");
  EXPECT_EQ(failed.error().state_applied, StateApplied::kUnknown);
  ASSERT_TRUE(read) << read.error().describe();
  // The session has waited until the store could tell; either way, the key counts once.
  const auto again = engine_->execute_in_session("a", "increment", {}, {.idempotency_key = "k"});
  ASSERT_TRUE(again) << again.error().describe();
  EXPECT_EQ(again->value.as_int64(), 2);
  start();
  EXPECT_EQ(increment("a"), 3);
}

}  // namespace
}  // namespace dspool
