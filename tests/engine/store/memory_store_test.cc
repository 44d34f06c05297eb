#include "engine/store/memory_store.h"

#include <gtest/gtest.h>

namespace dspool::store {
namespace {

constexpr std::size_t kLimitBytes = 1024;

session::Delta put(std::string_view key, std::span<const std::uint8_t> value) {
  session::Delta delta;
  delta.puts.push_back({.key = key, .value = value});
  return delta;
}

TEST(MemoryStoreTest, ACommitMakesTheNextVersion) {
  MemoryStore store(kLimitBytes);
  session::Record record;
  const std::vector<std::uint8_t> value(8, 1);
  ASSERT_TRUE(store.commit(record, put("b", value), 7));
  ASSERT_TRUE(store.commit(record, put("a", value), 9));
  EXPECT_EQ(record.version(), 2U);
  EXPECT_EQ(record.state_id(), 9U);
  EXPECT_EQ(record.bytes(), 2 * (1 + value.size()));
  EXPECT_EQ(record.fields().front().key, "a");
}

TEST(MemoryStoreTest, ADeleteGivesTheBytesBack) {
  MemoryStore store(kLimitBytes);
  session::Record record;
  const std::vector<std::uint8_t> value(8, 1);
  ASSERT_TRUE(store.commit(record, put("a", value), 1));
  session::Delta gone;
  gone.deletes = {"a", "never"};
  ASSERT_TRUE(store.commit(record, gone, 2));
  EXPECT_EQ(record.bytes(), 0U);
  EXPECT_EQ(record.find("a"), nullptr);
}

TEST(MemoryStoreTest, ACommitThatGrowsTooLargeChangesNothing) {
  MemoryStore store(kLimitBytes);
  session::Record record;
  const std::vector<std::uint8_t> small(8, 1);
  const std::vector<std::uint8_t> large(kLimitBytes, 2);
  ASSERT_TRUE(store.commit(record, put("a", small), 1));
  const auto refused = store.commit(record, put("a", large), 2);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "state_too_large");
  EXPECT_EQ(record.version(), 1U);
  EXPECT_EQ(record.find("a")->value.size(), small.size());
}

}  // namespace
}  // namespace dspool::store
