#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <sstream>
#include <string>
#include <thread>

#include "dspool/store.h"
#include "engine/store/base64.h"
#include "tests/engine/store/log_of.h"
#include "tests/engine/store/store_in.h"
#include "tests/support/temporary_directory.h"

namespace dspool {
namespace {

using store::Log;
using store::StoreIn;
using store::Write;
using testing::HasSubstr;

class StoreAtRestTest : public testing::Test {
 protected:
  void add(StoreIn& store, std::string_view id, const Log& log) {
    ASSERT_TRUE(store.begin(id));
    ASSERT_TRUE(store.append(id, log.text()));
  }
  [[nodiscard]] std::filesystem::path at(const char* name) const {
    return directory_.path() / name;
  }
  static std::unique_ptr<StoreAtRest> opened(const std::filesystem::path& directory) {
    auto store = StoreAtRest::open(directory);
    EXPECT_TRUE(store) << store.error().describe();
    return store ? std::move(*store) : nullptr;
  }
  static std::string exported(const std::filesystem::path& directory) {
    std::ostringstream out;
    const auto done = opened(directory)->export_lines(out, {});
    EXPECT_TRUE(done) << done.error().describe();
    return out.str();
  }

  const test::TemporaryDirectory directory_;
};

TEST_F(StoreAtRestTest, CheckReadsEverySession) {
  {
    StoreIn store(at("store"));
    add(store, "a", Log().put("x", Value::of(1)).put("y", Value::of(2)));
    add(store, "b", Log().put("x", Value::list({1})).append("x", Value::list({2})).erase("x"));
    add(store, "bad", Log().append("nothing", Value::list({1})));
    add(store, "worse", Log().append("nothing", Value::list({1})));
    ASSERT_TRUE(store->set_aside(store.owner(), "worse"));
  }
  int told = 0;
  const StoreReport report = opened(at("store"))->check([&](std::uint64_t done, std::uint64_t) {
    told = static_cast<int>(done);
    return true;
  });
  EXPECT_EQ(report.sessions, 3U);
  EXPECT_EQ(told, 3);
  EXPECT_EQ(report.versions_min, 2U);
  EXPECT_EQ(report.versions_max, 3U);
  EXPECT_EQ(report.fields, 2U);
  ASSERT_EQ(report.damaged.size(), 1U);
  EXPECT_EQ(report.damaged[0].id, "bad");
  EXPECT_THAT(report.damaged[0].reason, HasSubstr("not there"));
  EXPECT_THAT(report.set_aside, testing::ElementsAre("worse"));
  EXPECT_TRUE(report.complete);
  const auto json = Value::parse_json(report.to_json());
  ASSERT_TRUE(json) << report.to_json();
  EXPECT_EQ((*json)["sessions"].as_int64(), 3);
  EXPECT_EQ((*json)["versions"]["max"].as_int64(), 3);
  EXPECT_EQ((*json)["damaged"].as_int64(), 1);
}

TEST_F(StoreAtRestTest, ListsWhatBeginsWithAPrefix) {
  {
    StoreIn store(at("store"));
    for (const char* const id : {"a", "user", "user-1", "user-2", "user-3", "v"}) {
      add(store, id, Log().put("x", Value::of(1)));
    }
  }
  const auto store = opened(at("store"));
  const auto ids = [&](std::string_view after, std::size_t limit, std::string_view prefix) {
    std::string all;
    const auto listed = store->list(after, limit, prefix);
    for (const auto& session : *listed) all += session.id + " ";
    return all;
  };
  EXPECT_EQ(ids("", 10, ""), "a user user-1 user-2 user-3 v ");
  EXPECT_EQ(ids("", 10, "user"), "user user-1 user-2 user-3 ");
  EXPECT_EQ(ids("user-1", 1, "user"), "user-2 ");
  EXPECT_EQ(ids("user-3", 10, "user"), "");
  EXPECT_EQ(ids("", 10, "w"), "");
}

TEST_F(StoreAtRestTest, ShowsAppendedListsAndTextsWhole) {
  {
    StoreIn store(at("store"));
    Log log;
    log.put("list", Value::list({1, "two"})).append("list", Value::list({3.5}));
    log.put("text", Value::of("one ")).append("text", Value::of("and more"));
    add(store, "a", log);
  }
  const auto store = opened(at("store"));
  const auto shown = store->show("a");
  ASSERT_TRUE(shown) << shown.error().describe();
  EXPECT_EQ(shown->fields,
            (Value{{"list", Value::list({1, "two", 3.5})}, {"text", "one and more"}}));
  EXPECT_EQ(shown->info.version, 4U);
  EXPECT_TRUE(Value::parse_json(shown->to_json())) << shown->to_json();
  EXPECT_EQ(store->show("nobody").error().code, "session_not_found");
}

TEST_F(StoreAtRestTest, RefusesAStoreInUseAndNoStore) {
  StoreIn store(at("store"));
  const auto used = StoreAtRest::open(at("store"));
  ASSERT_FALSE(used);
  EXPECT_EQ(used.error().code, "store_in_use");
  EXPECT_THAT(used.error().message, HasSubstr("pid "));
  std::istringstream lines;
  const auto imported =
      StoreAtRest::import_lines(at("store"), lines, StoreAtRest::Existing::kRefuse, {});
  ASSERT_FALSE(imported);
  EXPECT_EQ(imported.error().code, "store_in_use");
  EXPECT_EQ(StoreAtRest::open(at("nothing")).error().code, "store_unreadable");
}

TEST_F(StoreAtRestTest, AnEngineWaitsForWhoReads) {
  { StoreIn store(at("store")); }
  const auto reader = opened(at("store"));
  const auto second_reader = opened(at("store"));
  const auto refused = store::RocksDbStore::open(at("store"));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("a program that reads it"));
}

TEST_F(StoreAtRestTest, ExportAndImportLoseNothing) {
  Value nested = Value::list({1});
  for (int i = 0; i < 60; ++i) nested = Value::list({nested});
  const std::string bytes("\0\x01\xFF", 3);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  const std::string odd_id("\xFF\0id", 4);
  {
    StoreIn store(at("store"));
    Log log;
    log.put("int", Value::of(std::numeric_limits<std::int64_t>::min()))
        .put("double", Value::of(3.0));
    log.put("tiny", Value::of(5e-324))
        .put("minus", Value::of(-0.0))
        .put("null", Value::of(nullptr));
    log.put("numbers", Value::list({nan, infinity, -infinity}));
    log.put("bytes", Value::of(std::as_bytes(std::span(bytes)))).put("text", Value::of(bytes));
    log.put("nul", Value::of(std::string("a\0b", 3))).put("nested", nested);
    log.put(bytes, Value::of("odd key")).put("odd map", Value{{"k\xFF", 1}});
    log.put("tag", Value{{"$flexbuffer", "AAAA"}}).put("bool", Value::of(true));
    const session::StoredAnswer answer{.key = bytes,
                                       .asked = {.low = 7, .high = ~std::uint64_t{0}},
                                       .value = store::bytes_of(Value{{"n", 1}}),
                                       .version = 3,
                                       .stored = {}};
    log.answer(answer);
    add(store, odd_id, log);
    add(store, "h\xC3\xA9", Log().put("list", Value::list({1})).append("list", Value::list({2})));
  }
  const std::string lines = exported(at("store"));
  std::istringstream in(lines);
  const auto imported =
      StoreAtRest::import_lines(at("other"), in, StoreAtRest::Existing::kRefuse, {});
  ASSERT_TRUE(imported) << imported.error().describe();
  EXPECT_EQ(imported->sessions, 2U);
  EXPECT_EQ(exported(at("other")), lines);

  StoreIn other(at("other"));
  const auto found = other->read(odd_id);
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->terms->created, StoreIn::kCreated);
  const auto state = store::read_log(std::as_bytes(std::span((*found)->log)));
  ASSERT_TRUE(state) << state.error().describe();
  EXPECT_EQ(state->version, 14U);
  EXPECT_EQ(state->state_id, 114U);
  EXPECT_EQ(state->operations, 15U);
  const auto field = [&](std::string_view key) {
    return Value::from_verified(store::find_field(*state, key)->base);
  };
  EXPECT_EQ(field("int").as_int64(), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(field("double").kind(), Kind::kDouble);
  EXPECT_TRUE(std::signbit(field("minus").as_double()));
  EXPECT_EQ(field("null").kind(), Kind::kNull);
  EXPECT_TRUE(std::isnan(field("numbers")[std::size_t{0}].as_double()));
  EXPECT_EQ(field("numbers")[2].as_double(), -infinity);
  EXPECT_EQ(field("bytes").kind(), Kind::kBytes);
  EXPECT_EQ(field("text").as_string(), bytes);
  EXPECT_EQ(field("nested"), nested);
  EXPECT_EQ(field(bytes).as_string(), "odd key");
  EXPECT_EQ(field("tag")["$flexbuffer"].as_string(), "AAAA");
  ASSERT_EQ(state->answers.size(), 1U);
  EXPECT_EQ(state->answers[0].key, bytes);
  EXPECT_EQ(state->answers[0].asked.high, ~std::uint64_t{0});
}

TEST_F(StoreAtRestTest, ExportLeavesOutWhatIsDamagedAndGoesOn) {
  {
    StoreIn store(at("store"));
    add(store, "a", Log().append("nothing", Value::list({1})));
    add(store, "b", Log().put("x", Value::of(1)));
  }
  std::ostringstream out;
  const auto done = opened(at("store"))->export_lines(out, {});
  ASSERT_TRUE(done);
  EXPECT_EQ(done->sessions, 1U);
  ASSERT_EQ(done->damaged.size(), 1U);
  EXPECT_EQ(done->damaged[0].id, "a");
  EXPECT_THAT(out.str(), HasSubstr("\"id\":\"b\""));
}

TEST_F(StoreAtRestTest, ImportRefusesALineByItsNumber) {
  const std::string good =
      R"({"id":"a","ttl_ms":1,"created_ns":2,"version":3,"state_id":"4","operations":5,"fields":{}})";
  for (
      const char* const bad :
      {"no json", "[]", "{}", R"({"id":"b"})",
       R"({"id":"b","ttl_ms":1,"created_ns":2,"version":3,"state_id":"x","operations":5,"fields":{}})",
       R"({"id":"","ttl_ms":1,"created_ns":2,"version":3,"state_id":"4","operations":5,"fields":{}})",
       R"({"id":"b","ttl_ms":-1,"created_ns":2,"version":3,"state_id":"4","operations":5,"fields":{}})",
       R"({"id":"b","ttl_ms":1,"created_ns":2,"version":3,"state_id":"4","operations":5,"fields":{"x":{"$flexbuffer":"AAAA"}}})",
       R"({"id":"b","ttl_ms":1,"created_ns":2,"version":3,"state_id":"4","operations":5,"fields":{},"more":1})"}) {
    std::istringstream in(good + "\n\n" + bad + "\n");
    const auto done =
        StoreAtRest::import_lines(at("store"), in, StoreAtRest::Existing::kReplace, {});
    ASSERT_FALSE(done) << bad;
    EXPECT_EQ(done.error().code, "invalid_line");
    EXPECT_THAT(done.error().message, testing::StartsWith("line 3: "));
    EXPECT_THAT(done.error().message, HasSubstr("1 sessions before it"));
  }
  EXPECT_EQ(opened(at("store"))->check({}).sessions, 1U);
}

// Two thousand maps with the same key of 10,000 bytes: it would be written once, and reading it
// would visit 20 MB of 60 KB.
TEST_F(StoreAtRestTest, ImportRefusesWhatCouldNotBeReadAgain) {
  std::string maps;
  for (int i = 0; i < 2'000; ++i) {
    maps += (i == 0 ? "{\"" : ",{\"") + std::string(10'000, 'k') + "\":1}";
  }
  std::istringstream in(
      R"({"id":"a","ttl_ms":1,"created_ns":2,"version":3,"state_id":"4","operations":5,"fields":{"x":[)" +
      maps + "]}}\n");
  const auto done = StoreAtRest::import_lines(at("store"), in, StoreAtRest::Existing::kReplace, {});
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().message, HasSubstr("the field \"x\" is not a value"));
  EXPECT_TRUE(opened(at("store"))->check({}).damaged.empty());
}

TEST_F(StoreAtRestTest, ImportReplacesOnlyWhenItIsAskedTo) {
  {
    StoreIn store(at("store"));
    add(store, "a", Log().put("x", Value::of(1)));
  }
  const std::string lines = exported(at("store"));
  {
    StoreIn store(at("store"));
    add(store, "a", Log().put("y", Value::of(2)));
  }
  std::istringstream again(lines);
  const auto refused =
      StoreAtRest::import_lines(at("store"), again, StoreAtRest::Existing::kRefuse, {});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, "session_exists");
  std::istringstream replacing(lines);
  const auto replaced =
      StoreAtRest::import_lines(at("store"), replacing, StoreAtRest::Existing::kReplace, {});
  ASSERT_TRUE(replaced);
  EXPECT_EQ(replaced->replaced, 1U);
  EXPECT_EQ(exported(at("store")), lines);
}

// While an engine writes batches that change two sessions alike, copies are made: in each, both are
// the same, and no copy is behind what was acknowledged before it began.
TEST_F(StoreAtRestTest, ABackupIsOfOneMomentWhileAnEngineWrites) {
  StoreIn store(at("store"));
  ASSERT_TRUE(store.begin("a"));
  ASSERT_TRUE(store.begin("b"));
  ASSERT_TRUE(store.park("parked", "not copied"));
  std::atomic<bool> stop{false};
  std::atomic<int> acknowledged{0};
  std::thread engine([&] {
    while (!stop) {
      const int number = acknowledged + 1;
      const std::string log = std::to_string(number) + std::string(3'000, '.');
      ASSERT_TRUE(store.write({StoreIn::of(Write::Kind::kReplace, "a", log),
                               StoreIn::of(Write::Kind::kReplace, "b", log)},
                              store::Sync::kNo));
      acknowledged = number;
    }
  });
  for (int i = 0; i < 5; ++i) {
    const int before = acknowledged;
    const auto to = at("backup") += std::to_string(i);
    const auto copied = StoreAtRest::backup(at("store"), to, {});
    ASSERT_TRUE(copied) << copied.error().describe();
    EXPECT_EQ(*copied, 2U);
    StoreIn copy(to);
    EXPECT_EQ(copy.log("a"), copy.log("b"));
    EXPECT_GE(std::stoi("0" + copy.log("a").value_or("")), before);
    EXPECT_FALSE(copy.log("parked"));
  }
  stop = true;
  engine.join();
  EXPECT_EQ(StoreAtRest::backup(at("store"), at("backup0"), {}).error().code, "backup_exists");
  for (const auto& entry : std::filesystem::directory_iterator(directory_.path())) {
    EXPECT_THAT(entry.path().filename().string(), testing::AnyOf("store", HasSubstr("backup")));
    EXPECT_THAT(entry.path().string(), testing::Not(testing::EndsWith("ing"))) << "left behind";
  }
}

TEST(Base64Test, ComesBackAndIsTheOnlyOne) {
  for (std::size_t size = 0; size < 20; ++size) {
    std::string bytes;
    for (std::size_t i = 0; i < size; ++i) bytes.push_back(static_cast<char>(i * 37 + size));
    EXPECT_EQ(store::from_base64(store::to_base64(bytes)), bytes);
  }
  for (const char* const bad : {"A", "AA", "AAA", "AB==", "AAB=", "A===", "A A=", "====", "AAA*"}) {
    EXPECT_FALSE(store::from_base64(bad)) << bad;
  }
}

}  // namespace
}  // namespace dspool
