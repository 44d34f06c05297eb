// A session's fields, read and changed without a worker, by many at once.
#include <gmock/gmock.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/pool.h"
#include "tests/support/history_checker.h"

namespace dspool {
namespace {

using testing::IsEmpty;

constexpr std::size_t kMebibyte = std::size_t{1} << 20;

// Fields that are all of one version say so: each is a text of its version's letter.
FieldUpdate all_of(char letter, std::size_t length) {
  const Value text = Value::of(std::string(length, letter));
  return {.puts = {{"first", text}, {"second", text}, {"third", text}}};
}

TEST(FieldsTest, WhatIsReadIsOfOneVersion) {
  constexpr int kUpdates = 60;
  const auto engine = test::start_pool(test::pool_config(1));
  ASSERT_NE(engine, nullptr);
  ASSERT_TRUE(engine->update_fields("s", all_of('a', kMebibyte / 4)));
  std::atomic<bool> done = false;
  std::vector<std::thread> readers;
  constexpr std::size_t kReaders = 2;
  readers.reserve(kReaders);
  for (std::size_t i = 0; i < kReaders; ++i) {
    readers.emplace_back([&] {
      std::uint64_t last = 0;
      while (!done) {
        const auto read = engine->read_fields("s");
        ASSERT_TRUE(read) << read.error().describe();
        EXPECT_GE(read->version, last);
        last = read->version;
        const std::string expected(kMebibyte / 4, static_cast<char>('a' + (last - 1) % 26));
        for (const char* key : {"first", "second", "third"}) {
          EXPECT_TRUE(read->value[key].as_string() == expected) << key << " of version " << last;
        }
      }
    });
  }
  for (int i = 1; i < kUpdates; ++i) {
    const auto letter = static_cast<char>('a' + i % 26);
    ASSERT_TRUE(engine->update_fields("s", all_of(letter, kMebibyte / 4)));
    ASSERT_TRUE(engine->execute_in_session("other", "increment", {}));
  }
  done = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_THAT(test::check_history(engine->history()), IsEmpty());
}

// The reader takes longer than workers take to stop, since it asks for one field very often.
TEST(FieldsTest, AnEngineThatStopsWaitsForWhoReads) {
  auto engine = test::start_pool(test::pool_config(1));
  ASSERT_NE(engine, nullptr);
  ASSERT_TRUE(engine->update_fields("s", all_of('x', 100)));
  Engine& pool = *engine;
  const std::vector<std::string> keys(2'000'000, "third");
  std::atomic<bool> has_read = false;
  std::thread reader([&] {
    const auto read = pool.read_fields("s", keys);
    has_read = true;
    ASSERT_TRUE(read) << read.error().describe();
    EXPECT_EQ(read->value["third"].as_string().size(), 100U);
  });
  while (!has_read && !pool.get_session("s")->running) std::this_thread::yield();
  std::string behind;
  pool.submit("s", "increment", {}, [&](const Result<Answer>& result) {
    behind = result ? "an answer" : result.error().code;
  });
  engine.reset();
  EXPECT_NE(behind, "");
  reader.join();
}

}  // namespace
}  // namespace dspool
