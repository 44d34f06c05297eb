// A repeated operation with the same idempotency key is answered again and executed once.
#include <gmock/gmock.h>

#include <future>
#include <string>

#include "tests/e2e/pool.h"
#include "tests/support/history_checker.h"

namespace dspool {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class IdempotencyTest : public testing::Test {
 protected:
  Result<Answer> increment(const std::string& key, std::int64_t by = 1) {
    return engine_->execute_in_session("a", "increment", {{"by", by}}, {.idempotency_key = key});
  }

  const std::unique_ptr<Engine> engine_ = test::start_pool(test::pool_config(1));
};

TEST_F(IdempotencyTest, ARepeatedKeyGetsTheStoredAnswerAndRunsNothing) {
  const auto first = increment("k1");
  ASSERT_TRUE(first) << first.error().describe();
  EXPECT_EQ(increment("k2")->value.as_int64(), 2);
  const auto again = increment("k1");
  ASSERT_TRUE(again) << again.error().describe();
  EXPECT_EQ(again->value.as_int64(), 1);
  EXPECT_EQ(again->version, first->version);
  EXPECT_EQ(again->attempts, 0U);
  EXPECT_EQ(increment("")->value.as_int64(), 3);
  EXPECT_THAT(test::check_history(engine_->history()), IsEmpty());
}

TEST_F(IdempotencyTest, AlsoWhenTheCommandChangedNothing) {
  const auto pid = engine_->execute_in_session("a", "pid", {}, {.idempotency_key = "k"});
  ASSERT_TRUE(pid);
  const auto again = engine_->execute_in_session("a", "pid", {}, {.idempotency_key = "k"});
  ASSERT_TRUE(again);
  EXPECT_EQ(again->attempts, 0U);
  EXPECT_EQ(again->value.as_int64(), pid->value.as_int64());
}

TEST_F(IdempotencyTest, OtherArgumentsAreAConflict) {
  ASSERT_TRUE(increment("k", 1));
  const auto other = increment("k", 2);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().category, ErrorCategory::kSession);
  EXPECT_EQ(other.error().code, "idempotency_conflict");
  EXPECT_THAT(other.error().message, HasSubstr("'k'"));
}

TEST_F(IdempotencyTest, KeysBelongToTheirSessionAndEndWithIt) {
  ASSERT_TRUE(increment("k"));
  const auto elsewhere =
      engine_->execute_in_session("b", "increment", {{"by", 1}}, {.idempotency_key = "k"});
  EXPECT_EQ(elsewhere->attempts, 1U);
  ASSERT_TRUE(engine_->end_session("a"));
  EXPECT_EQ(increment("k")->attempts, 1U);
}

TEST_F(IdempotencyTest, AFailureIsNotAnAnswer) {
  const auto raise = [&] {
    return engine_->execute_in_session("a", "change_and_raise", {}, {.idempotency_key = "k"});
  };
  EXPECT_EQ(raise().error().attempts, 1U);
  EXPECT_EQ(raise().error().attempts, 1U);
}

TEST_F(IdempotencyTest, AKeyThatStillRunsIsJoined) {
  std::promise<Result<Answer>> first;
  std::promise<Result<Answer>> second;
  const CallOptions options{.idempotency_key = "k"};
  engine_->submit(
      "a", "sleep_and_increment", {{"ms", 200}},
      [&](Result<Answer> answer) { first.set_value(std::move(answer)); }, options);
  engine_->submit(
      "a", "sleep_and_increment", {{"ms", 200}},
      [&](Result<Answer> answer) { second.set_value(std::move(answer)); }, options);
  EXPECT_EQ(first.get_future().get()->attempts, 1U);
  const auto joined = second.get_future().get();
  ASSERT_TRUE(joined);
  EXPECT_EQ(joined->value.as_int64(), 1);
  EXPECT_EQ(joined->attempts, 0U);
}

TEST_F(IdempotencyTest, AKeyOverTheLimitIsRefused) {
  EXPECT_EQ(increment(std::string(129, 'k')).error().code, "invalid_idempotency_key");
}

}  // namespace
}  // namespace dspool
