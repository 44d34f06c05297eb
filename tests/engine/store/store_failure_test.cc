// What is left of a store when its disk fails: everything that was acknowledged, of a write that
// failed all or nothing, and, once it has recovered, the same at every later start.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <string>

#include "tests/engine/store/faulty_disk.h"
#include "tests/engine/store/store_in.h"
#include "tests/support/seed.h"
#include "tests/support/temporary_directory.h"

namespace dspool::store {
namespace {

using Kind = Write::Kind;

class StoreFailureTest : public testing::TestWithParam<Fault> {
 protected:
  FaultyDisk disk_;
  const test::TemporaryDirectory directory_;
};

std::string name_of(const testing::TestParamInfo<Fault>& tested) {
  constexpr std::array kNames = {"None", "Append", "TornAppend", "Sync", "NoSpace", "Read"};
  return kNames.at(static_cast<std::size_t>(tested.param));
}

INSTANTIATE_TEST_SUITE_P(Disk, StoreFailureTest,
                         testing::Values(Fault::kAppend, Fault::kTornAppend, Fault::kSync,
                                         Fault::kNoSpace),
                         name_of);

TEST_P(StoreFailureTest, NothingAcknowledgedIsLostAndReadsGoOn) {
  StoreIn store(directory_.path(), {.env = disk_.env()});
  ASSERT_TRUE(store.begin("a"));
  ASSERT_TRUE(store.append("a", "1"));
  ASSERT_TRUE(store.park("parked", "kept in memory"));

  disk_.fail(GetParam());
  const auto failed = store.append("a", "2");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, "store_failed");
  EXPECT_TRUE(store.log("a"));
  EXPECT_EQ(store.log("parked"), "kept in memory");

  EXPECT_FALSE(store->recover()) << "the cause is still there";
  EXPECT_FALSE(store.append("a", "3"));
  EXPECT_TRUE(store.log("a"));
  EXPECT_EQ(store.log("parked"), "kept in memory");

  disk_.mend();
  EXPECT_FALSE(store.append("a", "4")) << "what is there is not known before it has recovered";
  const auto recovered = store->recover();
  ASSERT_TRUE(recovered) << recovered.error().describe();
  const auto after = store.log("a");
  EXPECT_TRUE(after == "1" || after == "12") << after.value_or("nothing");
  EXPECT_EQ(store.log("parked"), "kept in memory");
  ASSERT_TRUE(store.append("a", "5"));
  store.reopen();
  EXPECT_EQ(store.log("a"), *after + "5");
}

// Right after recovering, the process dies: nothing is written, nothing closed.
TEST_P(StoreFailureTest, WhatIsReadAfterRecoveringIsFinal) {
  StoreIn store(directory_.path() / "store", {.env = disk_.env()});
  ASSERT_TRUE(store.begin("a"));
  ASSERT_TRUE(store.append("a", "1"));
  disk_.fail(GetParam(), true);
  ASSERT_FALSE(store.append("a", "2"));
  disk_.mend();
  ASSERT_TRUE(store->recover());
  const auto after = store.log("a");
  std::filesystem::copy(directory_.path() / "store", directory_.path() / "crashed");
  StoreIn crashed(directory_.path() / "crashed");
  EXPECT_EQ(crashed.log("a"), after);
}

// Random writes of random sessions, faults now and then. What a session may be is known at any
// time: what was acknowledged, and perhaps what failed last, with all that failed in the same
// batch.
TEST_P(StoreFailureTest, BatchesAreAllOrNothing) {
  std::mt19937_64 random(test::test_seed());
  StoreIn store(directory_.path(), {.env = disk_.env()});
  constexpr std::size_t kSessions = 5;
  std::vector<std::string> ids;
  std::map<std::string, std::string> acknowledged;
  for (std::size_t i = 0; i < kSessions; ++i) {
    ids.push_back("session-" + std::to_string(i));
    ASSERT_TRUE(store.begin(ids.back()));
    acknowledged[ids.back()] = "";
  }
  for (int round = 0; round < 60; ++round) {
    const std::string record = std::to_string(round) + std::string(random() % 3'000, '.');
    std::map<std::string, std::string> changed = acknowledged;
    std::vector<Write> writes;
    for (const std::string& id : ids) {
      if (random() % 2 == 0) continue;
      writes.push_back(StoreIn::of(Kind::kAppend, id, record));
      changed[id] += record;
    }
    const bool faulty = random() % 5 == 0;
    if (faulty) disk_.fail(GetParam(), random() % 2 == 0);
    const bool written = store.write(writes).has_value();
    if (written) acknowledged = changed;
    disk_.mend();
    ASSERT_TRUE(!written || !faulty || writes.empty()) << "what failed was acknowledged";
    ASSERT_TRUE(written || store->recover());
    if (random() % 10 == 0) store.reopen();
    std::map<std::string, std::string> there;
    for (const std::string& id : ids) there[id] = store.log(id).value_or("nothing");
    ASSERT_TRUE(there == acknowledged || there == changed) << "in round " << round;
    acknowledged = there;
  }
}

// Nothing that compression makes smaller; more than one block of a table.
std::string noise(std::size_t bytes) {
  std::mt19937_64 random(bytes);
  std::string noise(bytes, ' ');
  for (char& byte : noise) byte = static_cast<char>(random());
  return noise;
}

TEST(StoreReadFailureTest, ReadingFailsAndWritingGoesOn) {
  FaultyDisk disk;
  const test::TemporaryDirectory directory;
  StoreIn store(directory.path(), {.env = disk.env()});
  for (const char* const id : {"a", "middle", "z"}) {  // a block each; the outer ones are looked
    ASSERT_TRUE(store.begin(id));                      // at when the store is opened
    ASSERT_TRUE(store.append(id, noise(20'000)));
  }
  store.reopen();  // which writes tables
  disk.fail(Fault::kRead);
  const auto found = store->read("middle");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, "store_failed");
  EXPECT_TRUE(store.begin("b"));
  disk.mend();
  EXPECT_EQ(store.log("middle"), noise(20'000));
}

// A table is damaged on the disk: that session is corrupted, and can be set aside; others are not.
TEST(StoreReadFailureTest, ADamagedTableHidesNoOtherSession) {
  const test::TemporaryDirectory directory;
  StoreIn store(directory.path());
  for (const char* const id : {"a", "damaged", "whole"}) ASSERT_TRUE(store.begin(id));
  ASSERT_TRUE(store.append("a", noise(10'000)));
  ASSERT_TRUE(store.append("damaged", noise(50'000)));
  ASSERT_TRUE(store.append("whole", "fine"));
  store.reopen();
  store.close();
  int damaged = 0;
  for (const auto& file : std::filesystem::directory_iterator(directory.path())) {
    if (file.path().extension() != ".sst") continue;
    std::fstream table(file.path(), std::ios::in | std::ios::out | std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(table), {});
    const std::size_t at = bytes.find(noise(50'000).substr(20'000, 50));
    if (at == std::string::npos) continue;
    table.seekp(static_cast<std::streamoff>(at));
    table << "damaged";
    ++damaged;
  }
  ASSERT_EQ(damaged, 1);
  store.open();
  const auto found = store->read("damaged");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, "session_corrupted") << found.error().describe();
  EXPECT_EQ(store.log("whole"), "fine");
  ASSERT_TRUE(store->set_aside(store.owner(), "damaged"));
  EXPECT_EQ(store->read("damaged").error().code, "session_corrupted");
  EXPECT_EQ(store->list_set_aside(), std::vector<std::string>{"damaged"});
  ASSERT_TRUE(store.begin("damaged"));
  EXPECT_TRUE(store->read("damaged"));
  EXPECT_TRUE(store->list_set_aside().empty());
}

// The write-ahead log of 12 batches, cut everywhere that matters: at each record's end, around it,
// and somewhere inside. What opens is what some number of batches left, and no half of one.
TEST(StoreCrashTest, ALogThatIsCutOpensAsABeginningOfWhatWasAcknowledged) {
  std::mt19937_64 random(test::test_seed());
  const test::TemporaryDirectory directory;
  const auto path = directory.path() / "store";
  StoreIn store(path);
  ASSERT_TRUE(store.begin("a"));
  ASSERT_TRUE(store.begin("b"));
  store.reopen();  // what was written so far lies in tables
  const auto log_file = [&path] {
    std::filesystem::path newest;
    for (const auto& file : std::filesystem::directory_iterator(path)) {
      if (file.path().extension() == ".log") newest = std::max(newest, file.path());
    }
    return newest.filename();
  }();
  std::vector<std::uintmax_t> ends = {std::filesystem::file_size(path / log_file)};
  std::vector<std::string> logs = {""};
  for (int i = 0; i < 12; ++i) {
    const std::string record = std::to_string(i) + std::string(random() % 20'000, '.') + ",";
    ASSERT_TRUE(store.write(
        {StoreIn::of(Kind::kAppend, "a", record), StoreIn::of(Kind::kAppend, "b", record)}));
    ends.push_back(std::filesystem::file_size(path / log_file));
    logs.push_back(logs.back() + record);
  }
  std::filesystem::copy(path, directory.path() / "crashed",
                        std::filesystem::copy_options::recursive);

  const auto expect_cut = [&](std::uintmax_t length) {
    const auto cut = directory.path() / "cut";
    std::filesystem::remove_all(cut);
    std::filesystem::copy(directory.path() / "crashed", cut);
    std::filesystem::resize_file(cut / log_file, length);
    StoreIn opened(cut);
    std::size_t whole = 0;
    while (whole + 1 < ends.size() && ends[whole + 1] <= length) ++whole;
    EXPECT_EQ(opened.log("a"), logs[whole]) << "cut at " << length;
    EXPECT_EQ(opened.log("b"), logs[whole]) << "cut at " << length;
  };
  for (std::size_t i = 0; i < ends.size(); ++i) {
    expect_cut(ends[i]);
    if (i + 1 == ends.size()) break;
    expect_cut(ends[i] + 1);
    expect_cut(ends[i + 1] - 1);
    expect_cut(ends[i] + random() % (ends[i + 1] - ends[i]));
  }
}

}  // namespace
}  // namespace dspool::store
