// Sessions are listed page by page while others begin and end: each that exists all the while is
// listed once, in the order of ids.
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/pool.h"
#include "tests/support/temporary_directory.h"

namespace dspool {
namespace {

using testing::ElementsAre;

constexpr std::size_t kPage = 16;
constexpr int kChangers = 2;

class ListingTest : public testing::Test {
 protected:
  void start(const Config& config) {
    engine_.reset();
    engine_ = test::start_pool(config);
    ASSERT_NE(engine_, nullptr);
  }
  // Named so that those that come and go lie between them.
  void create_staying(int count, Durability durability) {
    for (int i = 0; i < count; ++i) {
      const std::string id = "chat-" + std::to_string(i) + "-stays";
      ASSERT_TRUE(engine_->create_session(id, {.durability = durability}));
      staying_.insert(id);
    }
    ASSERT_TRUE(engine_->create_session("bot", {.durability = durability}));
    ASSERT_TRUE(engine_->create_session("chau", {.durability = durability}));
  }
  void change(int number, std::uint64_t count) {
    for (std::uint64_t i = 0; !done_; ++i) {
      const std::string id = "chat-" + std::to_string(i * 7 % count) + "-" + std::to_string(number);
      EXPECT_TRUE(engine_->create_session(id, {.durability = Durability::kMemory}));
      EXPECT_TRUE(engine_->end_session(id));
      ++changes_;
    }
  }
  bool may_exist(const std::string& id) const {
    return staying_.contains(id) || id.ends_with("-0") || id.ends_with("-1");
  }
  void expect_whole_listing() {
    std::vector<std::string> ids;
    for (;;) {
      const auto page = engine_->list_sessions(ids.empty() ? "" : ids.back(), kPage, "chat-");
      ASSERT_TRUE(page) << page.error().describe();
      ASSERT_LE(page->size(), kPage);
      ids.insert(ids.end(), page->begin(), page->end());
      if (page->size() < kPage) break;
    }
    EXPECT_TRUE(std::ranges::is_sorted(ids, std::ranges::less_equal())) << "or repeats one";
    EXPECT_TRUE(std::ranges::includes(ids, staying_)) << "one that stays is missing";
    for (const std::string& id : ids) EXPECT_TRUE(may_exist(id)) << id;
  }
  void list_beside_changes(int listings) {
    std::vector<std::jthread> changers;
    changers.reserve(kChangers);
    for (int i = 0; i < kChangers; ++i) {
      changers.emplace_back([this, i] { change(i, staying_.size()); });
    }
    for (int i = 0; i < listings || changes_ < 100; ++i) expect_whole_listing();
    done_ = true;
  }

  const test::TemporaryDirectory directory_;
  std::unique_ptr<Engine> engine_;
  std::set<std::string> staying_;
  std::atomic<bool> done_{false};
  std::atomic<int> changes_{0};
};

TEST_F(ListingTest, MissesNothingThatStaysWhileOthersComeAndGo) {
  start(test::pool_config(1));
  create_staying(150, Durability::kMemory);
  list_beside_changes(100);
}

// The next engine lists from the first moment on, while it still counts what its store has.
TEST_F(ListingTest, NorWhileTheEngineGetsToKnowItsStore) {
  Config config = test::pool_config(1);
  config.store.path = (directory_.path() / "store").string();
  start(config);
  create_staying(150, Durability::kLocal);
  start(config);
  expect_whole_listing();
  list_beside_changes(50);
}

TEST_F(ListingTest, GoesOnAfterASessionThatHasEnded) {
  start(test::pool_config(1));
  for (const char* id : {"a-1", "a-2", "a-3", "b"}) ASSERT_TRUE(engine_->create_session(id));
  ASSERT_THAT(*engine_->list_sessions({}, 2, "a-"), ElementsAre("a-1", "a-2"));
  ASSERT_TRUE(engine_->end_session("a-2"));
  EXPECT_THAT(*engine_->list_sessions("a-2", 2, "a-"), ElementsAre("a-3"));
}

}  // namespace
}  // namespace dspool
