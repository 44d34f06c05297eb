#include "engine/store/memory_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace dspool::store {
namespace {

using testing::HasSubstr;

constexpr std::size_t kLimitBytes = 1024;

session::Delta put(std::string_view key, std::span<const std::uint8_t> value) {
  session::Delta delta;
  delta.puts.push_back({.key = key, .value = value});
  return delta;
}

class MemoryStoreTest : public testing::Test {
 protected:
  Result<void> commit(session::Delta delta, std::uint64_t state_id) {
    auto staged = store_.prepare(record_, delta);
    if (!staged) return tl::unexpected(std::move(staged.error()));
    record_.apply(delta, *std::move(staged), state_id);
    return {};
  }

  ipc::StateSegment segment_{ipc::StateSegment::kExtentBytes};
  MemoryStore store_{kLimitBytes, segment_};
  session::Record record_;
  const std::vector<std::uint8_t> value_ = std::vector<std::uint8_t>(8, 1);
};

TEST_F(MemoryStoreTest, ACommitMakesTheNextVersion) {
  ASSERT_TRUE(commit(put("b", value_), 7));
  ASSERT_TRUE(commit(put("a", value_), 9));
  EXPECT_EQ(record_.version(), 2U);
  EXPECT_EQ(record_.state_id(), 9U);
  EXPECT_EQ(record_.bytes(), 2 * (1 + value_.size()));
  EXPECT_EQ(record_.fields().front().key(), "a");
}

TEST_F(MemoryStoreTest, ADeleteGivesTheBytesBack) {
  ASSERT_TRUE(commit(put("a", value_), 1));
  session::Delta gone;
  gone.deletes = {"a", "never"};
  ASSERT_TRUE(commit(std::move(gone), 2));
  EXPECT_EQ(record_.bytes(), 0U);
  EXPECT_EQ(record_.find("a"), nullptr);
  EXPECT_EQ(segment_.used_bytes(), 0U);
}

TEST_F(MemoryStoreTest, ACommitThatGrowsTooLargeChangesNothing) {
  const std::vector<std::uint8_t> large(kLimitBytes, 2);
  ASSERT_TRUE(commit(put("a", value_), 1));
  const auto refused = commit(put("a", large), 2);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "state_too_large");
  EXPECT_EQ(record_.version(), 1U);
  EXPECT_EQ(record_.find("a")->base().size(), value_.size());
}

TEST_F(MemoryStoreTest, ACommitWithoutMemoryChangesNothing) {
  std::vector<ipc::StateBlock> others;
  while (ipc::StateBlock block = segment_.allocate(1, 0)) others.push_back(std::move(block));
  const auto refused = commit(put("a", value_), 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "state_memory_full");
  EXPECT_TRUE(refused.error().retryable);
  EXPECT_THAT(refused.error().message, HasSubstr("raise store.memory_limit"));
  EXPECT_EQ(record_.version(), 0U);
  others.pop_back();
  EXPECT_TRUE(commit(put("a", value_), 2));
}

TEST_F(MemoryStoreTest, SaysWhenLittleRoomIsLeft) {
  std::vector<ipc::StateBlock> others;
  EXPECT_FALSE(store_.is_nearly_full());
  while (ipc::StateBlock block = segment_.allocate(16 * 1024, 0))
    others.push_back(std::move(block));
  EXPECT_TRUE(store_.is_nearly_full());
  others.clear();
  EXPECT_FALSE(store_.is_nearly_full());
}

}  // namespace
}  // namespace dspool::store
