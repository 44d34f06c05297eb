#include "engine/store/rocksdb_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <random>
#include <string>

#include "engine/store/holder.h"
#include "engine/store/store_key.h"
#include "tests/engine/store/store_in.h"
#include "tests/support/seed.h"
#include "tests/support/temporary_directory.h"

namespace dspool::store {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::system_clock;
using testing::ElementsAre;
using testing::HasSubstr;
using Kind = Write::Kind;

std::vector<std::string> ids_of(const std::vector<DurableStore::Listed>& listed) {
  std::vector<std::string> ids;
  ids.reserve(listed.size());
  for (const auto& session : listed) ids.push_back(session.id);
  return ids;
}

TEST(StoreKeyTest, KeysSortAsIdsDo) {
  std::mt19937_64 random(test::test_seed());
  const auto any_id = [&] {
    std::string id(random() % 6, '\0');
    for (char& byte : id) byte = std::string("\0\1\x7F\xFE\xFF", 5)[random() % 5];
    return id;
  };
  for (int round = 0; round < 20'000; ++round) {
    const std::string a = any_id();
    const std::string b = any_id();
    const std::string key_a = store_key(RecordKind::kLog, a);
    const std::string key_b = store_key(RecordKind::kLog, b);
    ASSERT_EQ(a < b, key_a < key_b);
    ASSERT_EQ(id_of_key(key_a), a);
    ASSERT_TRUE(a == b || !key_b.starts_with(key_a));
    ASSERT_TRUE(key_a > first_key(RecordKind::kLog) && key_a < end_key(RecordKind::kLog));
  }
}

TEST(RocksDbStoreTest, WhatWasWrittenIsThereAtTheNextStart) {
  const test::TemporaryDirectory directory;
  StoreIn store(directory.path() / "made" / "here");
  ASSERT_TRUE(store.begin("a"));
  ASSERT_TRUE(store.append("a", "one,"));
  ASSERT_TRUE(store.append("a", "two,"));
  store.reopen();
  ASSERT_TRUE(store.append("a", "three"));
  const auto found = store->read("a");
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->log, "one,two,three");
  ASSERT_TRUE((*found)->terms);
  EXPECT_EQ((*found)->terms->ttl, std::chrono::milliseconds(5'000));
  EXPECT_EQ((*found)->terms->created, StoreIn::kCreated);
}

TEST(RocksDbStoreTest, ASessionThatIsNotThereIsNothing) {
  const test::TemporaryDirectory directory;
  StoreIn store(directory.path());
  const auto found = store->read("nobody");
  ASSERT_TRUE(found);
  EXPECT_FALSE(*found);
}

TEST(RocksDbStoreTest, ReplacingLeavesNothingOfWhatWasThere) {
  const test::TemporaryDirectory directory;
  StoreIn store(directory.path());
  ASSERT_TRUE(store.begin("a"));
  ASSERT_TRUE(store.append("a", "old"));
  ASSERT_TRUE(store.write({StoreIn::of(Kind::kReplace, "a", "snapshot,"),
                           StoreIn::of(Kind::kAppend, "a", "and more")}));
  EXPECT_EQ(store.log("a"), "snapshot,and more");
}

TEST(RocksDbStoreTest, ASessionThatBeginsAnewHasNoState) {
  const test::TemporaryDirectory directory;
  StoreIn store(directory.path());
  ASSERT_TRUE(store.begin("a"));
  ASSERT_TRUE(store.append("a", "old"));
  ASSERT_TRUE(store.write({StoreIn::of(Kind::kExpire, "a")}));
  EXPECT_TRUE(store->expired("a"));
  ASSERT_TRUE(store.begin("a"));
  EXPECT_EQ(store.log("a"), "");
  EXPECT_FALSE(store->expired("a"));
}

TEST(RocksDbStoreTest, ListsInTheOrderOfIdsWhateverBytesTheyHave) {
  const test::TemporaryDirectory directory;
  StoreIn store(directory.path());
  std::vector<std::string> ids = {std::string("a\0b", 3),
                                  "a",
                                  "b",
                                  std::string("\0", 1),
                                  "\xFF",
                                  std::string("a\0", 2),
                                  "a\x01",
                                  std::string("\xFF\0", 2)};
  for (const std::string& id : ids) ASSERT_TRUE(store.begin(id));
  std::ranges::sort(ids);
  std::vector<std::string> listed;
  for (;;) {
    const auto some = store->list(listed.empty() ? "" : listed.back(), 3, "");
    ASSERT_TRUE(some);
    if (some->empty()) break;
    std::ranges::copy(ids_of(*some), std::back_inserter(listed));
  }
  EXPECT_EQ(listed, ids);
}

TEST(RocksDbStoreTest, ListsWhatBeginsWithAPrefix) {
  const test::TemporaryDirectory directory;
  StoreIn store(directory.path());
  const std::string zero("user\0", 5);
  for (const std::string& id : {std::string("a"), std::string("user"), zero, std::string("user-1"),
                                std::string("user\xFF"), std::string("v")}) {
    ASSERT_TRUE(store.begin(id));
  }
  const auto listed = [&](std::string_view after, std::size_t limit, std::string_view prefix) {
    return ids_of(*store->list(after, limit, prefix));
  };
  EXPECT_THAT(listed("", 10, "user"), ElementsAre("user", zero, "user-1", "user\xFF"));
  EXPECT_THAT(listed("a", 10, "user"), ElementsAre("user", zero, "user-1", "user\xFF"));
  EXPECT_THAT(listed("user", 2, "user"), ElementsAre(zero, "user-1"));
  EXPECT_THAT(listed("user-1", 10, "user"), ElementsAre("user\xFF"));
  EXPECT_THAT(listed("v", 10, "user"), ElementsAre());
  EXPECT_THAT(listed("", 10, "w"), ElementsAre());
}

TEST(RocksDbStoreTest, ARemovedSessionLeavesNoTrace) {
  const test::TemporaryDirectory directory;
  StoreIn store(directory.path());
  ASSERT_TRUE(store.begin("a"));
  ASSERT_TRUE(store.append("a", "state"));
  ASSERT_TRUE(store.write({StoreIn::of(Kind::kRemove, "a")}));
  EXPECT_FALSE(store.log("a"));
  EXPECT_FALSE(store->expired("a"));
  EXPECT_THAT(ids_of(*store->list("", 10, "")), ElementsAre());
}

TEST(RocksDbStoreTest, ParkedSessionsAreThereUntilTheNextOwner) {
  const test::TemporaryDirectory directory;
  StoreIn store(directory.path());
  ASSERT_TRUE(store.park("parked", "state"));
  const auto found = store->read("parked");
  ASSERT_TRUE(found && *found);
  EXPECT_FALSE((*found)->terms);
  EXPECT_EQ((*found)->log, "state");
  EXPECT_THAT(ids_of(*store->list("", 10, "")), ElementsAre());
  store.reopen();
  EXPECT_FALSE(store.log("parked"));
}

TEST(RocksDbStoreTest, AClockThatIsSetBackOrForwardMakesNothingOfWhatHasExpired) {
  const test::TemporaryDirectory directory;
  auto now = system_clock::time_point(hours(1'000));
  StoreIn store(directory.path(), {.now = [&] { return now; }});
  ASSERT_TRUE(store.begin("a"));
  ASSERT_TRUE(store.begin("kept"));
  ASSERT_TRUE(store.write({StoreIn::of(Kind::kExpire, "a")}));
  now -= hours(500);
  EXPECT_TRUE(store->expired("a"));
  store.reopen();
  EXPECT_TRUE(store->expired("a"));
  now += hours(10'000);
  store.reopen();
  EXPECT_FALSE(store->expired("a"));
  EXPECT_THAT(ids_of(*store->list("", 10, "")), ElementsAre("kept")) << "it is no clock's to end";
}

TEST(RocksDbStoreTest, TellsForAnHourWhatHasExpired) {
  const test::TemporaryDirectory directory;
  auto now = system_clock::time_point(hours(1'000));
  StoreIn store(directory.path(), {.now = [&] { return now; }});
  ASSERT_TRUE(store.begin("a"));
  ASSERT_TRUE(store.write({StoreIn::of(Kind::kExpire, "a")}));
  now += minutes(30);
  ASSERT_TRUE(store.begin("b"));
  ASSERT_TRUE(store.write({StoreIn::of(Kind::kExpire, "b")}));
  store.reopen();
  EXPECT_EQ(store->expired("a"), system_clock::time_point(hours(1'000)));
  EXPECT_EQ(store->list_expired("", 10)->size(), 2U);
  now += minutes(30);
  EXPECT_FALSE(store->expired("a"));
  EXPECT_TRUE(store->expired("b"));
  store.reopen();
  ASSERT_EQ(store->list_expired("", 10)->size(), 1U);
  EXPECT_EQ(store->list_expired("", 10)->front().id, "b");
  EXPECT_EQ(store->list_expired("b", 10)->size(), 0U);
}

TEST(RocksDbStoreTest, RefusesTheWritesOfAnEarlierOwner) {
  const test::TemporaryDirectory directory;
  StoreIn store(directory.path());
  const OwnerEpoch before = store.owner();
  ASSERT_TRUE(store.begin("a"));
  store.reopen();
  EXPECT_GT(store.owner(), before);
  const auto written =
      store->write(before, std::vector{StoreIn::of(Kind::kRemove, "a")}, Sync::kYes);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, "stale_owner");
  EXPECT_FALSE(store->set_aside(before, "a"));
  EXPECT_TRUE(store.log("a"));
}

TEST(RocksDbStoreTest, WhatIsSetAsideIsListedAndNotFound) {
  const test::TemporaryDirectory directory;
  StoreIn store(directory.path());
  ASSERT_TRUE(store.begin("a"));
  ASSERT_TRUE(store.append("a", "damaged"));
  ASSERT_TRUE(store->set_aside(store.owner(), "a"));
  EXPECT_FALSE(store.log("a"));
  EXPECT_THAT(ids_of(*store->list("", 10, "")), ElementsAre());
  store.reopen();
  EXPECT_THAT(store->list_set_aside(), ElementsAre("a"));
}

TEST(RocksDbStoreTest, RefusesASecondEngineInTheSameProcess) {
  const test::TemporaryDirectory directory;
  StoreIn store(directory.path());
  const auto second = RocksDbStore::open(directory.path());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().category, ErrorCategory::kInitialization);
  EXPECT_EQ(second.error().code, "store_in_use");
  EXPECT_THAT(second.error().message, HasSubstr("pid " + std::to_string(::getpid())));
}

TEST(RocksDbStoreTest, NamesTheProcessThatUsesIt) {
  const test::TemporaryDirectory directory;
  std::array<int, 2> ready{};
  ASSERT_EQ(::pipe(ready.data()), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto held = Holder::take(directory.path(), Holder::Use::kAlone);
    const char told = held ? 'y' : 'n';
    if (::write(ready[1], &told, 1) == 1) ::pause();
    ::_exit(0);
  }
  char told = 0;
  ASSERT_EQ(::read(ready[0], &told, 1), 1);
  ASSERT_EQ(told, 'y');
  const auto refused = RocksDbStore::open(directory.path());
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "store_in_use");
  EXPECT_THAT(refused.error().message, HasSubstr("the engine with pid " + std::to_string(child)));
  EXPECT_TRUE(RocksDbStore::open(directory.path())) << "the dead hold nothing";
}

TEST(RocksDbStoreTest, RefusesADirectoryThatCannotBeMade) {
  const test::TemporaryDirectory directory;
  std::ofstream(directory.path() / "file") << "no directory";
  const auto opened = RocksDbStore::open(directory.path() / "file" / "store");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, "store_unreadable");
}

TEST(RocksDbStoreTest, ABackupIsAStoreOfItsOwn) {
  const test::TemporaryDirectory directory;
  StoreIn store(directory.path() / "store");
  ASSERT_TRUE(store.begin("a"));
  ASSERT_TRUE(store.append("a", "before"));
  ASSERT_TRUE(store->backup(directory.path() / "backup"));
  ASSERT_TRUE(store.append("a", ",after"));
  StoreIn backup(directory.path() / "backup");
  EXPECT_EQ(backup.log("a"), "before");
  const auto again = store->backup(directory.path() / "backup");
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, "backup_exists");
}

TEST(RocksDbStoreTest, ManyAppendsAreOneLog) {
  const test::TemporaryDirectory directory;
  StoreIn store(directory.path());
  ASSERT_TRUE(store.begin("a"));
  std::string expected;
  for (int i = 0; i < 5'000; ++i) {
    const std::string record = std::to_string(i) + ",";
    ASSERT_TRUE(store.append("a", record, Sync::kNo));
    expected += record;
  }
  EXPECT_EQ(store.log("a"), expected);
  store.reopen();
  EXPECT_EQ(store.log("a"), expected);
}

}  // namespace
}  // namespace dspool::store
