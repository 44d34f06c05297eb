// Values at the limits of what one answer may have: whatever is committed can be loaded again, from
// single commits and from a log that was written anew.
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/e2e/pool.h"
#include "tests/support/temporary_directory.h"

namespace dspool {
namespace {

class StoredLimitsTest : public testing::Test {
 protected:
  StoredLimitsTest() {
    config_.store.path = (directory_.path() / "store").string();
    config_.session.durability = Durability::kLocal;
    start();
  }

  void start() {
    engine_.reset();
    engine_ = test::start_pool(config_);
    ASSERT_NE(engine_, nullptr);
  }
  std::string json_of(const Result<Answer>& answer) {
    EXPECT_TRUE(answer) << answer.error().describe();
    return answer ? answer->value.to_json() : "";
  }
  // Executes the command, and a few more that let the log be written anew; compares what another
  // engine finds.
  void expect_loaded(std::string_view command, const Value& args) {
    const auto execute = [&] {
      return json_of(engine_->execute_in_session("a", command, args, {.idempotency_key = "once"}));
    };
    const std::string answer = execute();
    for (int commits = 0; commits < 4; ++commits) {
      const std::string fields = json_of(engine_->read_fields("a"));
      start();
      EXPECT_EQ(json_of(engine_->read_fields("a")), fields);
      EXPECT_EQ(execute(), answer);
      ASSERT_TRUE(engine_->execute_in_session("a", command, args));
    }
  }

  const test::TemporaryDirectory directory_;
  Config config_ = test::pool_config(1, "limits:Limits");
  std::unique_ptr<Engine> engine_;
};

TEST_F(StoredLimitsTest, TheDeepestValueIsLoadedAgain) { expect_loaded("nest", {{"depth", 64}}); }

TEST_F(StoredLimitsTest, ADeeperOneIsNotCommitted) {
  EXPECT_FALSE(engine_->execute_in_session("a", "nest", {{"depth", 65}}));
  EXPECT_EQ(engine_->read_fields("a")->version, 0U);
  Value deeper = Value::list({});
  for (int depth = 0; depth < 64; ++depth) deeper = Value::list({deeper});
  const auto refused = engine_->update_fields("a", {.puts = {{"nested", deeper}}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "invalid_update");
}

TEST_F(StoredLimitsTest, VeryManyFieldsAreLoadedAgain) {
  expect_loaded("scatter", {{"fields", 20'000}});
}

TEST_F(StoredLimitsTest, AKeyThatIsSharedVeryOftenIsLoadedAgain) {
  expect_loaded("share", {{"count", 20'000}});
}

}  // namespace
}  // namespace dspool
