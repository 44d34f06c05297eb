#include "engine/dispatch/census.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/fragile_store.h"

namespace dspool::dispatch {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

class CensusTest : public testing::Test {
 protected:
  void write(store::Write::Kind kind, std::string_view id) {
    const store::StoredTerms terms{.ttl = milliseconds(5), .created = {}};
    const store::Write write{.kind = kind, .session = id, .records = {}, .terms = &terms};
    ASSERT_TRUE(store_.write(owner_, std::span(&write, 1), store::Sync::kYes));
  }

  test::FragileStore store_;
  store::OwnerEpoch owner_ = store_.own().value();
  session::SessionTable sessions_;
  session::Tombstones tombstones_;
  telemetry::Log log_{LogLevel::kOff};
  std::vector<std::string> known_;
  Census census_{store_, sessions_, tombstones_, log_,
                 [this](std::span<const session::SessionRef> found) {
                   for (const auto& session : found) known_.emplace_back(session->id());
                 }};
};

TEST_F(CensusTest, MakesAllKnownThatTheStoreHas) {
  for (const char* id : {"a", "b", "gone"}) write(store::Write::Kind::kBegin, id);
  write(store::Write::Kind::kExpire, "gone");
  ASSERT_TRUE(store_.set_aside(owner_, "b"));
  while (census_.step()) {
  }
  EXPECT_TRUE(census_.is_done());
  EXPECT_THAT(sessions_.list("", 10), ElementsAre("a", "b"));
  EXPECT_THAT(known_, ElementsAre("a")) << "what was set aside does not expire";
  EXPECT_EQ(sessions_.find("a")->ttl, milliseconds(5));
  EXPECT_EQ(sessions_.find("a")->tier, session::Tier::kAtRest);
  EXPECT_TRUE(tombstones_.has("gone", std::chrono::steady_clock::now()));
}

TEST_F(CensusTest, GoesOnWhereTheStoreFailedAfterAWhileThatGrows) {
  for (int i = 0; i < 1'000; ++i) write(store::Write::Kind::kBegin, std::to_string(i));
  ASSERT_EQ(census_.step(), milliseconds(0));  // tombstones
  ASSERT_EQ(census_.step(), milliseconds(0));  // the first sessions
  const std::size_t before = known_.size();
  ASSERT_GT(before, 0U);
  store_.fail_reads(20);
  milliseconds expected = Census::kFirstRetry;
  for (int failures = 0; failures < 20; ++failures) {
    ASSERT_EQ(census_.step(), expected);
    expected = std::min(2 * expected, Census::kLongestRetry);
  }
  EXPECT_EQ(known_.size(), before);
  EXPECT_FALSE(census_.is_done());
  while (const auto delay = census_.step()) EXPECT_EQ(*delay, milliseconds(0));
  EXPECT_TRUE(census_.is_done());
  EXPECT_EQ(known_.size(), 1'000U);
}

TEST_F(CensusTest, ATombstoneThatCouldNotBeListedIsKnownLater) {
  write(store::Write::Kind::kExpire, "gone");
  store_.fail_reads(1);
  EXPECT_EQ(census_.step(), Census::kFirstRetry);
  while (census_.step()) {
  }
  EXPECT_TRUE(tombstones_.has("gone", std::chrono::steady_clock::now()));
}

TEST_F(CensusTest, ListsWhatBeginsWithAPrefixAndReadsNoLog) {
  for (const char* id : {"a", "user", "user-1", "user-2", "v"}) {
    write(store::Write::Kind::kBegin, id);
  }
  const std::size_t reads = store_.reads();
  EXPECT_THAT(*census_.list("", 10, "user"), ElementsAre("user", "user-1", "user-2"));
  EXPECT_THAT(*census_.list("user", 1, "user"), ElementsAre("user-1"));
  EXPECT_THAT(*census_.list("", 10, "user-1"), ElementsAre("user-1"));
  EXPECT_THAT(*census_.list("user-2", 10, "user"), ElementsAre());
  EXPECT_THAT(*census_.list("b", 10, ""), ElementsAre("user", "user-1", "user-2", "v"));
  EXPECT_EQ(store_.reads(), reads);
}

TEST_F(CensusTest, ListsMoreThanTheStoreListsAtOnce) {
  for (int i = 0; i < 1'500; ++i) write(store::Write::Kind::kBegin, "s" + std::to_string(i));
  EXPECT_EQ(census_.list("", 2'000, "s")->size(), 1'500U);
  EXPECT_EQ(census_.list("", 1'200, "s")->size(), 1'200U);
}

}  // namespace
}  // namespace dspool::dispatch
