// A session that is damaged where it lies, and the engine that is started on its store: the damage
// is as large as the session, and is told wherever somebody could miss what is lost.
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

#include "dspool/store.h"
#include "engine/store/rocksdb_store.h"
#include "tests/e2e/captured_log.h"
#include "tests/e2e/pool.h"
#include "tests/support/temporary_directory.h"

namespace dspool {
namespace {

using test::code_of;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Bytes that no compression makes fewer.
std::string noise(std::size_t bytes) {
  std::minstd_rand random;
  std::string made(bytes, '\0');
  for (char& byte : made) byte = static_cast<char>(random() >> 8);
  return made;
}

class CorruptionTest : public testing::Test {
 protected:
  CorruptionTest() {
    config_.store.path = path_.string();
    config_.session.durability = Durability::kLocal;
    log_.capture(config_, LogLevel::kError);
    start();
    for (const char* id : {"a", "damaged", "z"}) increment(id);
  }

  // Stops the engine, if one runs, and starts one on the same store.
  void start() {
    engine_.reset();
    engine_ = test::start_pool(config_);
    ASSERT_NE(engine_, nullptr);
  }
  std::string increment(std::string_view session) {
    const auto answer = engine_->execute_in_session(session, "increment", {});
    return answer ? std::to_string(answer->value.as_int64()) : answer.error().code;
  }

  // Changes a bit of the session's log, which RocksDB takes for what was written.
  void damage(std::string_view id) {
    engine_.reset();
    const auto store = store::RocksDbStore::open(path_).value();
    const auto owner = store->own().value();
    std::string log = store->read(id).value()->log;
    log[log.size() / 2] = static_cast<char>(log[log.size() / 2] ^ 1);
    const store::Write write{.kind = store::Write::Kind::kReplace,
                             .session = id,
                             .records = std::as_bytes(std::span(log)),
                             .terms = nullptr};
    ASSERT_TRUE(store->write(owner, std::span(&write, 1), store::Sync::kYes));
  }

  // Writes over `what` in RocksDB's table, whose checksum then does not match.
  void damage_table_at(std::string_view what) {
    engine_.reset();
    ASSERT_TRUE(store::RocksDbStore::open(path_));  // what was in the write-ahead log is in tables
    int damaged = 0;
    for (const auto& file : std::filesystem::directory_iterator(path_)) {
      if (file.path().extension() != ".sst") continue;
      std::fstream table(file.path(), std::ios::in | std::ios::out | std::ios::binary);
      const std::string bytes(std::istreambuf_iterator<char>(table), {});
      const std::size_t at = bytes.find(what);
      if (at == std::string::npos) continue;
      table.seekp(static_cast<std::streamoff>(at));
      table << "damaged";
      ++damaged;
    }
    ASSERT_EQ(damaged, 1);
  }

  void expect_it_is_told_to_everybody() {
    EXPECT_EQ(increment("damaged"), "session_corrupted");
    const auto read = engine_->read_fields("damaged");
    EXPECT_EQ(code_of(read), "session_corrupted");
    EXPECT_EQ(read.error().category, ErrorCategory::kSession);
    EXPECT_EQ(code_of(engine_->update_fields("damaged", {.deletes = {"value"}})),
              "session_corrupted");
    EXPECT_EQ(code_of(engine_->get_session("damaged")), "session_corrupted");
    EXPECT_EQ(code_of(engine_->touch_session("damaged")), "session_corrupted");
    for (const IfExists if_exists : {IfExists::kFail, IfExists::kKeep}) {
      EXPECT_EQ(code_of(engine_->create_session("damaged", {.if_exists = if_exists})),
                "session_corrupted");
    }
    EXPECT_THAT(*engine_->list_sessions(), ElementsAre("a", "damaged", "z"));
    EXPECT_THAT(log_.text(), HasSubstr("the session \"damaged\" cannot be read"));
  }

  // Of `dspool store check`, with the engine stopped: its exit status, and what it says.
  std::pair<int, std::string> check() {
    engine_.reset();
    const std::string command = std::string(DSPOOL_PROGRAM) + " store check " + path_.string();
    std::FILE* const pipe = ::popen(command.c_str(), "r");
    std::string text;
    std::array<char, 4096> block{};
    while (const std::size_t got = std::fread(block.data(), 1, block.size(), pipe)) {
      text.append(block.data(), got);
    }
    return {WEXITSTATUS(::pclose(pipe)), text};
  }

  const test::TemporaryDirectory directory_;
  const std::filesystem::path path_ = directory_.path() / "store";
  test::CapturedLog log_;
  Config config_ = test::pool_config(1);
  std::unique_ptr<Engine> engine_;
};

TEST_F(CorruptionTest, ADamagedRecordIsToldAndAllOthersGoOn) {
  damage("damaged");
  start();
  EXPECT_EQ(increment("a"), "2");
  expect_it_is_told_to_everybody();
  EXPECT_EQ(increment("z"), "2");
  EXPECT_EQ(increment("new"), "1");
}

TEST_F(CorruptionTest, ADamagedTableIsToldAndAllOthersGoOn) {
  const std::string long_field = noise(200'000);
  const auto keep = [&](std::string_view id, std::size_t bytes) {
    const auto part = std::as_bytes(std::span(long_field)).first(bytes);
    ASSERT_TRUE(engine_->update_fields(id, {.puts = {{"long", Value::of(part)}}}));
  };
  keep("a", 100'000);  // fills a block of the table, so that the next one is alone in its own
  keep("damaged", 200'000);
  damage_table_at(long_field.substr(150'000, 50));
  start();
  EXPECT_EQ(increment("a"), "2");
  expect_it_is_told_to_everybody();
  EXPECT_EQ(increment("z"), "2");
}

TEST_F(CorruptionTest, WhatWasSetAsideIsToldByEveryLaterEngineAndByCheck) {
  damage("damaged");
  EXPECT_THAT(StoreAtRest::open(path_).value()->check({}).damaged, testing::SizeIs(1));
  start();
  EXPECT_EQ(increment("damaged"), "session_corrupted");
  for (int engines = 0; engines < 2; ++engines) {
    const auto [status, text] = check();
    EXPECT_EQ(status, 1);
    EXPECT_THAT(text, HasSubstr("\"damaged\" was set aside"));
    const StoreReport report = StoreAtRest::open(path_).value()->check({});
    EXPECT_THAT(report.set_aside, ElementsAre("damaged"));
    EXPECT_THAT(report.damaged, IsEmpty());
    EXPECT_EQ(report.sessions, 2U);
    EXPECT_EQ(code_of(StoreAtRest::open(path_).value()->show("damaged")), "session_corrupted");
    start();
    expect_it_is_told_to_everybody();
  }
}

TEST_F(CorruptionTest, ASessionIsFreeAgainOnceItIsEnded) {
  damage("damaged");
  start();
  EXPECT_EQ(increment("damaged"), "session_corrupted");
  EXPECT_EQ(code_of(engine_->end_session("damaged")), "ok");
  EXPECT_EQ(code_of(engine_->get_session("damaged")), "session_not_found");
  EXPECT_EQ(increment("damaged"), "1");
  start();
  EXPECT_EQ(increment("damaged"), "2");
  EXPECT_EQ(check().first, 0);
}

TEST_F(CorruptionTest, ALaterEngineEndsWhatWasSetAside) {
  damage("damaged");
  start();
  EXPECT_EQ(increment("damaged"), "session_corrupted");
  start();
  EXPECT_EQ(code_of(engine_->end_session("damaged")), "ok");
  EXPECT_EQ(increment("damaged"), "1");
  EXPECT_EQ(check().first, 0);
}

TEST_F(CorruptionTest, ASessionIsFreeAgainOnceItIsReplaced) {
  for (const bool used : {true, false}) {
    damage("damaged");
    start();
    if (used) {
      EXPECT_EQ(increment("damaged"), "session_corrupted");
    }
    EXPECT_EQ(code_of(engine_->create_session("damaged", {.if_exists = IfExists::kReplace})), "ok");
    EXPECT_EQ(increment("damaged"), "1");
    start();
    EXPECT_EQ(increment("damaged"), "2");
    EXPECT_EQ(check().first, 0);
  }
}

// A limit on the size of files stands for a disk that is full: whether the session was replaced is
// not known then, and the store is asked when it can be written again.
TEST_F(CorruptionTest, AReplacementThatTheStoreDidNotTakeHasNotHappened) {
  ::signal(SIGXFSZ, SIG_IGN);
  damage("damaged");
  start();
  EXPECT_EQ(increment("damaged"), "session_corrupted");
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit full{.rlim_cur = 1, .rlim_max = before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &full);
  const auto replaced = engine_->create_session("damaged", {.if_exists = IfExists::kReplace});
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(code_of(replaced), "store_failed");
  const std::string then = increment("damaged");
  start();
  EXPECT_EQ(increment("damaged"), then == "1" ? "2" : "session_corrupted") << then;
}

TEST_F(CorruptionTest, AnExportNamesWhatWasSetAside) {
  damage("damaged");
  start();
  EXPECT_EQ(increment("damaged"), "session_corrupted");
  engine_.reset();
  std::ostringstream lines;
  const auto exported = StoreAtRest::open(path_).value()->export_lines(lines, {});
  ASSERT_TRUE(exported);
  EXPECT_EQ(exported->sessions, 2U);
  ASSERT_THAT(exported->damaged, testing::SizeIs(1));
  EXPECT_EQ(exported->damaged[0].id, "damaged");
}

}  // namespace
}  // namespace dspool
