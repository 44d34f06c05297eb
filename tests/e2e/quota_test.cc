// What a session and a pool may hold at most. Who would go past it is refused, and nobody else
// notices.
#include <gmock/gmock.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/pool.h"
#include "tests/support/history_checker.h"
#include "tests/support/temporary_directory.h"

namespace dspool {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::size_t kMostBytes = 64 * 1024;

// Both durabilities: a commit is refused before it is written, too.
class QuotaTest : public testing::TestWithParam<Durability> {
 protected:
  void start(std::size_t max_sessions) {
    Config config = test::pool_config(2);
    config.session.max_bytes = kMostBytes;
    config.session.max_sessions = max_sessions;
    config.session.durability = GetParam();
    config.store.path = (directory_.path() / "store").string();
    engine_ = test::start_pool(config);
    ASSERT_NE(engine_, nullptr);
  }
  void TearDown() override {
    ASSERT_NE(engine_, nullptr);
    EXPECT_THAT(test::check_history(engine_->history()), IsEmpty());
  }
  Result<Answer> keep(std::string_view id, std::int64_t bytes) {
    return engine_->execute_in_session(id, "keep", {{"size", bytes}});
  }
  static void expect_too_large(const Result<Answer>& refused) {
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().category, ErrorCategory::kResourceError);
    EXPECT_EQ(refused.error().code, "state_too_large");
    EXPECT_EQ(refused.error().state_applied, StateApplied::kNo);
    EXPECT_FALSE(refused.error().retryable);
    EXPECT_THAT(refused.error().message,
                AllOf(HasSubstr(std::to_string(kMostBytes)), HasSubstr("session.max_bytes"),
                      HasSubstr("keep less in the session")));
  }

  const test::TemporaryDirectory directory_;
  std::unique_ptr<Engine> engine_;
};

TEST_P(QuotaTest, TheCommitThatWouldGrowASessionTooLargeFailsAlone) {
  start(100);
  ASSERT_TRUE(keep("a", 60'000));
  expect_too_large(keep("a", 70'000));
  expect_too_large(
      engine_->execute_in_session("a", "append", {{"item", std::string(10'000, 'x')}}));
  expect_too_large(
      engine_->update_fields("a", {.puts = {{"more", Value::of(std::string(10'000, 'x'))}}}));
  EXPECT_EQ(engine_->get_session("a")->version, 1U);

  const auto small = engine_->execute_in_session("a", "increment", {});
  ASSERT_TRUE(small) << small.error().describe();
  EXPECT_EQ(small->version, 2U) << "the session goes on";
  ASSERT_TRUE(keep("a", 1'000)) << "and may shrink";
  EXPECT_TRUE(engine_->execute_in_session("a", "append", {{"item", std::string(10'000, 'x')}}));
  EXPECT_EQ(engine_->get_session("a")->version, 4U);
  EXPECT_TRUE(keep("b", 60'000)) << "another has room of its own";
}

TEST_P(QuotaTest, ManyAtOnceMakeNoMoreSessionsThanThePoolMayHave) {
  constexpr std::size_t kMost = 30;
  constexpr int kThreads = 4;
  constexpr int kEach = 20;
  start(kMost);
  std::atomic<std::size_t> made{0};
  std::atomic<int> wrong{0};
  const auto work = [&](int number) {
    for (int i = 0; i < kEach; ++i) {
      const std::string id = std::to_string(number) + "-" + std::to_string(i);
      const auto answer = engine_->execute_in_session(id, "increment", {});
      if (answer) {
        ++made;
      } else if (answer.error().category != ErrorCategory::kResourceError ||
                 answer.error().code != "too_many_sessions" ||
                 answer.error().message.find("session.max_sessions") == std::string::npos) {
        ++wrong;
      }
    }
  };
  {
    std::vector<std::jthread> threads;
    threads.reserve(kThreads);
    for (int i = 0; i < kThreads; ++i) threads.emplace_back(work, i);
  }
  EXPECT_EQ(made, kMost);
  EXPECT_EQ(wrong, 0);
  const std::vector<std::string> ids = *engine_->list_sessions();
  ASSERT_THAT(ids, SizeIs(kMost));
  for (const std::string& id : ids) {
    EXPECT_EQ(engine_->execute_in_session(id, "increment", {})->value.as_int64(), 2) << id;
  }
  ASSERT_TRUE(engine_->end_session(ids.front()));
  EXPECT_TRUE(engine_->execute_in_session("next", "increment", {})) << "there is room again";
  EXPECT_FALSE(engine_->execute_in_session("after", "increment", {}));
}

INSTANTIATE_TEST_SUITE_P(EveryDurability, QuotaTest,
                         testing::Values(Durability::kMemory, Durability::kLocal),
                         [](const auto& each) { return std::string(to_string(each.param)); });

}  // namespace
}  // namespace dspool
