#include "engine/session/record.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <variant>

#include "dspool/value.h"
#include "engine/session/session.h"
#include "ipc/value_sequence.h"
#include "tests/support/seed.h"

namespace dspool::session {
namespace {

Value list_of(std::initializer_list<Value::Item> items) { return Value::list(items); }

class RecordTest : public testing::Test {
 protected:
  bool put(std::string_view key, const Value& value) {
    Delta delta;
    delta.puts.push_back({.key = key, .value = value.bytes()});
    return commit(delta);
  }
  bool append(std::string_view key, const Value& value) {
    Delta delta;
    delta.appends.push_back({.key = key, .value = value.bytes()});
    return record_.can_append_all(delta) && commit(delta);
  }
  bool commit(Delta& delta) {
    auto staged = record_.stage(delta, segment_, 0);
    if (!staged) return false;
    record_.apply(delta, *std::move(staged), record_.version() + 100);
    return true;
  }
  std::string json(std::string_view key) { return record_.find(key)->value().view().to_json(); }

  ipc::StateSegment segment_{16 * ipc::StateSegment::kExtentBytes};
  Record record_;
};

TEST_F(RecordTest, ACommitMakesTheNextVersion) {
  ASSERT_TRUE(put("b", Value::of(1)));
  ASSERT_TRUE(put("a", Value::of(2)));
  EXPECT_EQ(record_.version(), 2U);
  EXPECT_EQ(record_.state_id(), 101U);
  EXPECT_EQ(record_.fields().front().key(), "a");
  EXPECT_EQ(json("b"), "1");
  record_.reset();
  EXPECT_EQ(record_.version(), 0U);
  EXPECT_EQ(record_.bytes(), 0U);
  EXPECT_EQ(segment_.used_bytes(), 0U);
}

TEST_F(RecordTest, AValueOfTheSameSizeIsWrittenWhereTheOneBeforeLay) {
  ASSERT_TRUE(put("count", Value::of(1)));
  const auto* const place = record_.find("count")->base().data();
  Delta delta;
  const Value two = Value::of(2);
  delta.puts.push_back({.key = "count", .value = two.bytes()});
  const auto staged = record_.stage(delta, segment_, 0);
  ASSERT_TRUE(staged);
  EXPECT_TRUE(staged->blocks.empty());
  ASSERT_TRUE(commit(delta));
  EXPECT_EQ(record_.find("count")->base().data(), place);
  EXPECT_EQ(json("count"), "2");
}

TEST_F(RecordTest, AShortValueDoesNotKeepTheMemoryOfALongOne) {
  ASSERT_TRUE(put("a", Value::of(std::string(100'000, 'x'))));
  ASSERT_TRUE(put("a", Value::of(1)));
  EXPECT_LT(segment_.used_bytes(), 1'000U);
}

TEST_F(RecordTest, AppendsExtendAListAndAText) {
  ASSERT_TRUE(put("list", list_of({1, "two"})));
  ASSERT_TRUE(put("text", Value::of("once ")));
  ASSERT_TRUE(append("list", list_of({3.5, {{"four", 4}}})));
  ASSERT_TRUE(append("list", list_of({})));
  ASSERT_TRUE(append("text", Value::of("upon a time")));
  EXPECT_EQ(json("list"), R"([1,"two",3.5,{"four":4}])");
  EXPECT_EQ(json("text"), R"("once upon a time")");
  ASSERT_TRUE(put("list", Value::of(7)));
  EXPECT_EQ(json("list"), "7") << "a put replaces what was appended, too";
}

TEST_F(RecordTest, NothingIsAppendedToAnotherKindOrToNothing) {
  ASSERT_TRUE(put("list", list_of({1})));
  ASSERT_TRUE(put("text", Value::of("t")));
  ASSERT_TRUE(put("map", Value{{"k", 1}}));
  const Value list = list_of({2});
  const Value text = Value::of("u");
  EXPECT_TRUE(record_.can_append("list", list.bytes()));
  EXPECT_TRUE(record_.can_append("text", text.bytes()));
  EXPECT_FALSE(record_.can_append("list", text.bytes()));
  EXPECT_FALSE(record_.can_append("text", list.bytes()));
  EXPECT_FALSE(record_.can_append("map", Value{{"l", 2}}.bytes()));
  EXPECT_FALSE(record_.can_append("none", list.bytes()));
}

// A conversation of 4 MiB, appended in 20,000 turns: few chunks, and little room that is not used.
TEST_F(RecordTest, ALongFieldHasFewChunks) {
  ASSERT_TRUE(put("turns", list_of({})));
  const Value turn = list_of({std::string(200, 'x')});
  for (int i = 0; i < 20'000; ++i) ASSERT_TRUE(append("turns", turn));
  EXPECT_LT(record_.find("turns")->chunks().size(), 60U);
  EXPECT_LT(segment_.used_bytes(), record_.bytes() * 3 / 2);
  EXPECT_EQ(record_.find("turns")->value().size(), 20'000U);
}

TEST_F(RecordTest, LongValuesArePlacedBeforeTheyAreApplied) {
  const Value text = Value::of(std::string(10'000, 'x'));
  const Value more = Value::of(std::string(kLongAppendBytes + 1, 'y'));
  for (int times = 0; times < 2; ++times) {
    Delta delta;
    delta.puts.push_back({.key = "text", .value = text.bytes()});
    prepare(delta, segment_, 0);
    ASSERT_TRUE(delta.puts[0].placed);
    const auto* const place = delta.puts[0].placed.bytes().data();
    ASSERT_TRUE(commit(delta));
    EXPECT_EQ(record_.find("text")->base_block().bytes().data(), place);
    EXPECT_EQ(static_cast<bool>(delta.puts[0].placed), times == 1)
        << "what was there before ends with the delta";
    Delta longer;
    longer.appends.push_back({.key = "text", .value = more.bytes()});
    prepare(longer, segment_, 0);
    ASSERT_TRUE(longer.appends[0].placed);
    ASSERT_TRUE(commit(longer));
    EXPECT_EQ(record_.find("text")->value().as_string().size(), 10'000 + kLongAppendBytes + 1);
  }
}

TEST_F(RecordTest, WhatWasReleasedIsStillCounted) {
  ASSERT_TRUE(put("a", list_of({1})));
  ASSERT_TRUE(append("a", list_of({2})));
  ASSERT_TRUE(put("b", Value::of("text")));
  const std::size_t bytes = record_.bytes();
  record_.release_fields();
  EXPECT_FALSE(record_.is_resident());
  EXPECT_EQ(record_.field_count(), 2U);
  EXPECT_EQ(record_.bytes(), bytes);
  EXPECT_EQ(record_.version(), 3U);
  EXPECT_EQ(segment_.used_bytes(), 0U);

  const Value one = list_of({1});
  const Value two = list_of({2});
  const Value text = Value::of("text");
  std::vector<std::byte> appended(ipc::sequence_bytes(two.bytes().size()));
  ipc::write_in_sequence(appended.data(), std::as_bytes(two.bytes()));
  const std::vector<LoadedField> fields{{.key = "a", .base = one.bytes(), .appended = appended},
                                        {.key = "b", .base = text.bytes(), .appended = {}}};
  ipc::StateSegment none(0);
  EXPECT_FALSE(record_.replace(3, 102, fields, none, 0));
  EXPECT_FALSE(record_.is_resident());
  ASSERT_TRUE(record_.replace(3, 102, fields, segment_, 0));
  EXPECT_TRUE(record_.is_resident());
  EXPECT_EQ(record_.bytes(), bytes);
  EXPECT_EQ(json("a"), "[1,2]");
  ASSERT_TRUE(append("a", list_of({3})));
  EXPECT_EQ(json("a"), "[1,2,3]");
}

// ---- against a map ----

using List = std::vector<std::int64_t>;
using Plain = std::variant<std::int64_t, std::string, List>;

Value encoded(const Plain& plain) {
  if (const auto* number = std::get_if<std::int64_t>(&plain)) return Value::of(*number);
  if (const auto* text = std::get_if<std::string>(&plain)) return Value::of(*text);
  const List& list = std::get<List>(plain);
  return Value::list(std::vector<Value::Item>(list.begin(), list.end()));
}

struct Modelled {
  Plain plain;
  std::size_t bytes = 0;  // as it was put and appended
};

// Random deltas, under a limit that often leaves no memory for one: then nothing has changed.
class RecordModelTest : public testing::Test {
 protected:
  Plain some() {
    const std::size_t length = random_() % (random_() % 20 == 0 ? 40'000 : 60);
    switch (random_() % 3) {
      case 0:
        return static_cast<std::int64_t>(random_());
      case 1:
        return std::string(length, static_cast<char>('a' + random_() % 26));
      default:
        return List(length, static_cast<std::int64_t>(random_() % 1'000));
    }
  }
  std::string some_key() { return "key-" + std::to_string(random_() % 12); }

  void step();
  void compare() const;
  void release_and_load();

  std::minstd_rand random_{static_cast<std::uint32_t>(test::test_seed())};
  ipc::StateSegment segment_{ipc::StateSegment::kExtentBytes};
  // Most of it is taken.
  ipc::StateBlock half_ = segment_.allocate(ipc::StateSegment::kLongestShared, 0);
  ipc::StateBlock third_ = segment_.allocate(600 * 1024, 0);
  Record record_;
  std::map<std::string, Modelled, std::less<>> model_;
  std::uint64_t version_ = 0;
  int refused_ = 0;
  int appended_ = 0;
};

void RecordModelTest::step() {
  auto next = model_;
  std::map<std::string, Plain> puts;
  std::map<std::string, Plain> appends;
  std::map<std::string, bool> deletes;
  for (std::uint32_t changes = random_() % 4; changes > 0; --changes) {
    const std::string key = some_key();
    if (puts.contains(key) || appends.contains(key) || deletes.contains(key)) continue;
    const std::uint32_t kind = random_() % 8;
    if (kind == 0) {
      deletes[key] = true;
      next.erase(key);
      continue;
    }
    const Plain value = some();
    const std::size_t bytes = encoded(value).bytes().size();
    const auto at = next.find(key);
    const bool can_append =
        at != next.end() && value.index() != 0 && at->second.plain.index() == value.index();
    EXPECT_EQ(record_.can_append(key, encoded(value).bytes()), can_append);
    if (kind < 5 && can_append) {
      appends[key] = value;
      at->second.bytes += bytes;
      if (auto* text = std::get_if<std::string>(&at->second.plain)) {
        *text += std::get<std::string>(value);
      } else {
        const List& more = std::get<List>(value);
        List& list = std::get<List>(at->second.plain);
        list.insert(list.end(), more.begin(), more.end());
      }
    } else {
      puts[key] = value;
      next[key] = {value, bytes};
    }
  }
  std::vector<Value> values;
  values.reserve(puts.size() + appends.size());
  Delta delta;
  const auto add = [&](const auto& from, std::vector<Delta::Put>& to) {
    for (const auto& [key, value] : from) {
      values.push_back(encoded(value));
      to.push_back({.key = key, .value = values.back().bytes()});
    }
  };
  add(puts, delta.puts);
  add(appends, delta.appends);
  for (const auto& [key, unused] : deletes) delta.deletes.push_back(key);

  if (random_() % 2 == 0) prepare(delta, segment_, random_());
  std::size_t bytes_after = 0;
  for (const auto& [key, field] : next) bytes_after += key.size() + field.bytes;
  ASSERT_EQ(record_.bytes_after(delta), bytes_after);
  ASSERT_TRUE(record_.can_append_all(delta));
  auto staged = record_.stage(delta, segment_, random_());
  if (!staged) {
    ++refused_;
    return;
  }
  appended_ += static_cast<int>(delta.appends.size());
  record_.apply(delta, *std::move(staged), ++version_ * 3);
  model_ = std::move(next);
  ASSERT_EQ(record_.bytes(), bytes_after);
}

void RecordModelTest::compare() const {
  ASSERT_EQ(record_.version(), version_);
  ASSERT_EQ(record_.state_id(), version_ * 3);
  ASSERT_EQ(record_.fields().size(), model_.size());
  auto at = record_.fields().begin();
  for (const auto& [key, field] : model_) {
    ASSERT_EQ(at->key(), key);
    ASSERT_TRUE(at->value().view() == encoded(field.plain).view()) << key;
    ++at;
  }
}

void RecordModelTest::release_and_load() {
  struct Stored {
    std::string key;
    std::vector<std::uint8_t> base;
    std::vector<std::byte> appended;
  };
  std::vector<Stored> stored;
  for (const Field& field : record_.fields()) {
    stored.push_back({field.key(), {field.base().begin(), field.base().end()}, {}});
    for (const Field::Chunk& chunk : field.chunks()) {
      stored.back().appended.insert(stored.back().appended.end(), chunk.bytes().begin(),
                                    chunk.bytes().end());
    }
  }
  std::vector<LoadedField> fields;
  fields.reserve(stored.size());
  for (const Stored& each : stored) fields.push_back({each.key, each.base, each.appended});
  const std::size_t bytes = record_.bytes();
  record_.release_fields();
  ASSERT_EQ(record_.field_count(), model_.size());
  if (!record_.replace(version_, version_ * 3, fields, segment_, random_())) {
    record_.reset();  // the chunks were joined to one that does not fit
    model_.clear();
    version_ = 0;
    return;
  }
  ASSERT_EQ(record_.bytes(), bytes);
}

TEST_F(RecordModelTest, ItIsWhatItsDeltasMakeOfIt) {
  for (int round = 0; round < 4'000; ++round) {
    ASSERT_NO_FATAL_FAILURE(step());
    if (round % 50 == 0) release_and_load();
    if (round % 10 == 0) compare();
    ASSERT_FALSE(HasFailure());
    if (random_() % 300 == 0) {
      record_.reset();
      model_.clear();
      version_ = 0;
    }
  }
  EXPECT_GT(refused_, 0);
  EXPECT_GT(appended_, 100);
  record_.reset();
  half_ = {};
  third_ = {};
  EXPECT_EQ(segment_.used_bytes(), 0U);
}

}  // namespace
}  // namespace dspool::session
