// Each bad input is a typed error that names the cause, and the pool keeps serving.
#include <gmock/gmock.h>

#include "tests/e2e/pool.h"

namespace dspool {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class BadInputTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    Config config = test::pool_config(1);
    config.worker.max_payload_bytes = 64 * 1024;
    pool = test::start_pool(config).release();
  }
  static void TearDownTestSuite() {
    delete pool;
    pool = nullptr;
  }
  void SetUp() override { ASSERT_NE(pool, nullptr); }
  void TearDown() override {
    EXPECT_TRUE(pool->execute_in_session("healthy", "increment", {})) << "it keeps serving";
    EXPECT_EQ(pool->stats().workers_lost, 0U);
  }

  Error error_of(std::string_view session, std::string_view command, const Value& args) {
    auto answer = pool->execute_in_session(session, command, args);
    return answer ? Error{.code = "none"} : std::move(answer.error());
  }

  static Engine* pool;
};
Engine* BadInputTest::pool = nullptr;

TEST_F(BadInputTest, AnUnknownCommandNamesTheKnownOnes) {
  const Error error = error_of("a", "incremnt", {});
  EXPECT_EQ(error.code, "unknown_command");
  EXPECT_THAT(error.message, AllOf(HasSubstr("incremnt"), HasSubstr("increment")));
}

TEST_F(BadInputTest, ArgumentsThatTheAdapterRefusesAreNamed) {
  const Error error = error_of("a", "increment", {{"nonsense", 1}});
  EXPECT_EQ(error.category, ErrorCategory::kPython);
  EXPECT_EQ(error.code, "invalid_arguments");
  EXPECT_THAT(error.message, HasSubstr("nonsense"));
}

TEST_F(BadInputTest, AnEmptySessionIdIsRefused) {
  const Error error = error_of("", "increment", {});
  EXPECT_EQ(error.category, ErrorCategory::kSession);
  EXPECT_EQ(error.code, "invalid_session_id");
}

TEST_F(BadInputTest, ASessionIdOver128BytesIsRefused) {
  EXPECT_EQ(error_of(std::string(129, 'x'), "increment", {}).code, "invalid_session_id");
  EXPECT_EQ(error_of(std::string(128, 'x'), "increment", {}).code, "none");
}

TEST_F(BadInputTest, NoSessionCanBeEndedByAnIdThatNoneHas) {
  EXPECT_EQ(pool->end_session("").error().code, "invalid_session_id");
  EXPECT_EQ(pool->end_session(std::string(129, 'x')).error().code, "invalid_session_id");
  EXPECT_EQ(pool->end_session("nobody").error().code, "session_not_found");
}

TEST_F(BadInputTest, AValueOverTheLimitIsRefusedOnItsWayIn) {
  const Error error = error_of("a", "append", {{"item", std::string(70'000, 'x')}});
  EXPECT_EQ(error.category, ErrorCategory::kCommunication);
  EXPECT_EQ(error.code, "value_too_large");
}

TEST_F(BadInputTest, AValueOverTheLimitIsRefusedOnItsWayOut) {
  const Error error = error_of("a", "too_much", {});
  EXPECT_EQ(error.category, ErrorCategory::kCommunication);
  EXPECT_EQ(error.code, "result_too_large");
}

TEST_F(BadInputTest, AResultThatCannotTravelIsNamedByItsPath) {
  EXPECT_THAT(error_of("a", "nonsense", {}).message, HasSubstr("answers[2].model"));
}

TEST_F(BadInputTest, AnAdaptersOwnErrorKeepsItsCode) {
  const Error error = error_of("a", "fail_politely", {});
  EXPECT_EQ(error.code, "empty_shelf");
  EXPECT_TRUE(error.retryable);
}

TEST_F(BadInputTest, WhatAWorkerPrintsNeverReachesTheChannel) {
  const auto answer = pool->execute_in_session("a", "chatter", {{"lines", 2000}});
  ASSERT_TRUE(answer) << answer.error().describe();
  EXPECT_EQ(answer->value.as_string(), "said");
}

TEST(StartTest, AnAdapterThatCannotBeImportedIsNamed) {
  const auto engine = Engine::start(test::pool_config(1, "no_such_module:Adapter"));
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().category, ErrorCategory::kInitialization);
  EXPECT_EQ(engine.error().code, "adapter_failed");
  EXPECT_THAT(engine.error().message, HasSubstr("no_such_module"));
}

TEST(StartTest, AnAdapterThatRefusesToStartSaysWhy) {
  const auto engine = Engine::start(test::pool_config(1, "broken_adapters:Refuses"));
  ASSERT_FALSE(engine);
  EXPECT_THAT(engine.error().describe(), HasSubstr("the licence file is missing"));
}

TEST(StartTest, APythonWithoutThePackageIsNamed) {
  Config config = test::pool_config(1);
  config.worker.python = DSPOOL_TEST_ADAPTERS "/bare_python.sh";
  const auto engine = Engine::start(config);
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().code, "worker_died");
  EXPECT_THAT(engine.error().message,
              AllOf(HasSubstr("No module named"), HasSubstr("worker.python_path")));
}

TEST(StartTest, AnInterpreterThatDoesNotExistIsNamed) {
  Config config = test::pool_config(1);
  config.worker.python = "/no/such/python3";
  const auto engine = Engine::start(config);
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().category, ErrorCategory::kInitialization);
  EXPECT_THAT(engine.error().message, HasSubstr("/no/such/python3"));
}

TEST(StartTest, AChannelThatDoesNotFitIntoMemoryIsRefusedNotKilled) {
  Config config = test::pool_config(1024);  // 2 GiB each
  config.worker.ring_bytes = std::size_t{1} << 30;
  const auto engine = Engine::start(config);
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().code, "channel_no_memory");
  EXPECT_THAT(engine.error().message, HasSubstr("MiB"));
}

TEST(StartTest, APoolThatIsSwitchedOffRefusesEachCallByTheKey) {
  Config config = test::pool_config(1);
  config.pooling_enabled = false;
  const auto engine = Engine::start(config);
  ASSERT_TRUE(engine);
  const auto refused = (*engine)->execute_in_session("a", "increment", {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().category, ErrorCategory::kResourceError);
  EXPECT_THAT(refused.error().message, HasSubstr("pooling_enabled"));
  EXPECT_EQ((*engine)->set_lm({.model = "m"}).error().code, refused.error().code);
  EXPECT_EQ((*engine)->end_session("a").error().code, refused.error().code);
  EXPECT_FALSE((*engine)->wait_until_ready(std::chrono::minutes(1)));
}

}  // namespace
}  // namespace dspool
