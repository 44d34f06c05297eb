#include "engine/store/stored_record.h"

#include <flatbuffers/flatbuffers.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <string>

#include "engine/store/compression.h"
#include "engine/store/frame.h"
#include "engine/store/schema_version.h"
#include "schemas/stored_generated.h"
#include "tests/engine/store/log_of.h"
#include "tests/support/seed.h"

namespace dspool::store {
namespace {

using testing::HasSubstr;

// What stands in a record, written without what our encoder sees to.
template <typename Build>
std::vector<std::byte> framed(Build build, std::uint16_t schema = kSchemaVersion,
                              std::uint64_t version = 1) {
  flatbuffers::FlatBufferBuilder builder;
  const auto [type, content] = build(builder);
  builder.Finish(stored::CreateRecord(builder, schema, version, 1, 1, type, content));
  std::vector<std::byte> log;
  append_frame({builder.GetBufferPointer(), builder.GetSize()}, log);
  return log;
}

flatbuffers::Offset<stored::Value> add(flatbuffers::FlatBufferBuilder& builder,
                                       const std::vector<std::uint8_t>& bytes,
                                       std::uint32_t raw_bytes = 0) {
  builder.ForceVectorAlignment(bytes.size(), 1, 8);
  return stored::CreateValue(builder, builder.CreateVector(bytes), raw_bytes);
}

// A log of one commit that puts `bytes` as they are.
std::vector<std::byte> with_value(const std::vector<std::uint8_t>& bytes,
                                  std::uint32_t raw_bytes = 0) {
  return framed([&](flatbuffers::FlatBufferBuilder& builder) {
    const auto value = add(builder, bytes, raw_bytes);
    const auto field = stored::CreateField(builder, builder.CreateString("k"), value);
    const auto puts = builder.CreateVector(std::vector{field});
    const auto delta = stored::CreateDelta(builder, puts);
    return std::pair(stored::Content::Commit, stored::CreateCommit(builder, delta).Union());
  });
}

void expect_corrupted(std::span<const std::byte> log, std::string_view why) {
  const auto state = read_log(log);
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().category, ErrorCategory::kSession);
  EXPECT_EQ(state.error().code, "session_corrupted");
  EXPECT_THAT(state.error().message, HasSubstr(std::string(why)));
}

session::StoredAnswer answer_of(std::string key, const Value& value, std::uint64_t version) {
  return {.key = std::move(key),
          .asked = {.low = 11, .high = 22},
          .value = bytes_of(value),
          .version = version,
          .stored = {}};
}

TEST(StoredRecordTest, AnEmptyLogIsASessionWithoutState) {
  const auto state = read_log({});
  ASSERT_TRUE(state);
  EXPECT_EQ(state->version, 0U);
  EXPECT_TRUE(state->fields.empty());
}

TEST(StoredRecordTest, CommitsAreReadInTheirOrder) {
  Log log;
  log.put("b", Value::of(1)).put("a", Value{{"x", 2.5}}).put("b", Value::of(3)).erase("a");
  const auto state = read_log(log.bytes());
  ASSERT_TRUE(state) << state.error().describe();
  EXPECT_EQ(state->version, 4U);
  EXPECT_EQ(state->state_id, 104U);
  EXPECT_EQ(state->operations, 4U);
  ASSERT_EQ(state->fields.size(), 1U);
  EXPECT_EQ(state->fields[0].key, "b");
  EXPECT_EQ(state->fields[0].base, bytes_of(Value::of(3)));
}

TEST(StoredRecordTest, AppendsAreKeptAsTheyCame) {
  Log log;
  log.put("list", Value::list({1})).put("text", Value::of("a"));
  log.append("list", Value::list({2, 3})).append("text", Value::of("bc"));
  log.append("list", Value::list({4}));
  const auto state = read_log(log.bytes());
  ASSERT_TRUE(state) << state.error().describe();
  const StoredField* const list = find_field(*state, "list");
  ASSERT_NE(list, nullptr);
  const auto appended = appended_to(*list);
  ASSERT_EQ(appended.size(), 2U);
  EXPECT_EQ(appended[0], Value::list({2, 3}));
  EXPECT_EQ(appended[1], Value::list({4}));
  EXPECT_EQ(appended_to(*find_field(*state, "text"))[0], Value::of("bc"));
}

TEST(StoredRecordTest, APutTakesTheAppendedAway) {
  Log log;
  log.put("list", Value::list({1})).append("list", Value::list({2})).put("list", Value::list({3}));
  const auto state = read_log(log.bytes());
  ASSERT_TRUE(state);
  EXPECT_TRUE(state->fields[0].appended.empty());
}

TEST(StoredRecordTest, ASnapshotIsAllThereIs) {
  Log before;
  before.put("kept", Value::list({1})).append("kept", Value::list({2}));
  const auto kept = read_log(before.bytes());
  ASSERT_TRUE(kept);
  session::StoredAnswers answers;
  answers.store(answer_of("key", Value::of("answer"), 2));
  Log log;
  log.put("gone", Value::of(1)).put("gone too", Value::of(2));
  log.snapshot(
      7, {{.key = "kept", .base = kept->fields[0].base, .appended = {kept->fields[0].appended}}},
      &answers);
  log.append("kept", Value::list({3}));
  const auto state = read_log(log.bytes());
  ASSERT_TRUE(state) << state.error().describe();
  EXPECT_EQ(state->version, 8U);
  ASSERT_EQ(state->fields.size(), 1U);
  EXPECT_EQ(appended_to(state->fields[0]).size(), 2U);
  ASSERT_EQ(state->answers.size(), 1U);
  EXPECT_EQ(state->answers[0].key, "key");
  EXPECT_EQ(state->answers[0].asked, (session::Fingerprint{.low = 11, .high = 22}));
  EXPECT_EQ(state->answers[0].value, bytes_of(Value::of("answer")));
  EXPECT_EQ(state->answers[0].version, 2U);
}

TEST(StoredRecordTest, AnAnswerAloneMakesNoVersion) {
  Log log;
  log.put("a", Value::of(1)).answer(answer_of("key", Value::of(2), 1)).put("a", Value::of(3));
  const auto state = read_log(log.bytes());
  ASSERT_TRUE(state) << state.error().describe();
  EXPECT_EQ(state->version, 2U);
  EXPECT_EQ(state->operations, 3U);
  EXPECT_EQ(state->answers.size(), 1U);
}

TEST(StoredRecordTest, KeepsAsManyAnswersAsTheEngineDoes) {
  Log log;
  for (int i = 0; i < 100; ++i) log.answer(answer_of(std::to_string(i), Value::of(i), 0));
  log.answer(answer_of("99", Value::of(7), 0));  // anew, once it had grown too old
  const auto state = read_log(log.bytes());
  ASSERT_TRUE(state);
  ASSERT_EQ(state->answers.size(), session::StoredAnswers::kMostAnswers);
  EXPECT_EQ(state->answers.front().key, "36");
  EXPECT_EQ(state->answers.back().value, bytes_of(Value::of(7)));
}

TEST(StoredRecordTest, LongValuesAreCompressedAndComeBack) {
  const Value text = Value::of(std::string(100'000, 'x') + "end");
  Log log;
  log.put("text", text);
  EXPECT_LT(log.bytes().size(), text.bytes().size() / 10);
  const auto state = read_log(log.bytes());
  ASSERT_TRUE(state) << state.error().describe();
  EXPECT_EQ(state->fields[0].base, bytes_of(text));
}

TEST(StoredRecordTest, ReadsALogAtAnyAddress) {
  Log log;
  log.put("a", Value{{"b", 1}});
  std::vector<std::byte> shifted(log.bytes().size() + 1);
  std::ranges::copy(log.bytes(), shifted.begin() + 1);
  EXPECT_TRUE(read_log(std::span(shifted).subspan(1)));
}

TEST(StoredRecordTest, RefusesAGapInTheVersions) {
  Log log;
  log.put("a", Value::of(1));
  const Value two = Value::of(2);
  const session::Delta delta = test::make_delta({{"a", two.bytes()}});
  std::vector<std::byte> bytes = log.bytes();
  append_commit({.version = 3, .state_id = 1, .operations = 1, .delta = &delta}, bytes);
  expect_corrupted(bytes, "it makes version 3, where version 2 comes next");
}

TEST(StoredRecordTest, RefusesAnAppendThatDoesNotFit) {
  Log missing;
  expect_corrupted(missing.append("a", Value::list({1})).bytes(), "which is not there");
  Log text_to_list;
  text_to_list.put("a", Value::list({1})).append("a", Value::of("text"));
  expect_corrupted(text_to_list.bytes(), "not a list after a list");
  Log to_number;
  to_number.put("a", Value::of(1)).append("a", Value::of(2));
  expect_corrupted(to_number.bytes(), "not a list after a list");
}

// What is said of a key is text, whatever the key is.
TEST(StoredRecordTest, TellsOfAKeyThatIsNoText) {
  Log log;
  expect_corrupted(log.append("\xE7\x9E\xFF\n", Value::list({1})).bytes(), "\\n");
}

TEST(StoredRecordTest, RefusesEveryDamagedByte) {
  Log log;
  log.put("a", Value{{"text", std::string(2'000, 'x')}}).put("b", Value::list({1}));
  ASSERT_TRUE(read_log(log.bytes()));
  for (std::size_t at = 0; at < log.bytes().size(); ++at) {
    std::vector<std::byte> damaged = log.bytes();
    damaged[at] ^= std::byte{0x10};
    EXPECT_FALSE(read_log(damaged)) << "at byte " << at;
  }
}

TEST(StoredRecordTest, ALogThatIsCutIsRefusedUnlessItIsCutBetweenRecords) {
  Log log;
  std::vector<std::size_t> ends = {0};
  for (int i = 0; i < 4; ++i) {
    log.put("a", Value::of(i));
    ends.push_back(log.bytes().size());
  }
  for (std::size_t length = 0; length <= log.bytes().size(); ++length) {
    const auto state = read_log(std::span(log.bytes()).first(length));
    const auto end = std::ranges::find(ends, length);
    ASSERT_EQ(state.has_value(), end != ends.end()) << length;
    if (state) {
      EXPECT_EQ(state->version, static_cast<std::uint64_t>(end - ends.begin()));
    }
  }
}

TEST(StoredRecordTest, ReadsAnOlderSchema) {
  const auto log = framed(
      [](flatbuffers::FlatBufferBuilder& builder) {
        const auto delta = stored::CreateDelta(builder);
        return std::pair(stored::Content::Commit, stored::CreateCommit(builder, delta).Union());
      },
      0);
  const auto state = read_log(log);
  ASSERT_TRUE(state) << state.error().describe();
  EXPECT_EQ(state->version, 1U);
}

const session::ModelReference& own_model() {
  static const session::ModelReference kModel{.model = "openai/gpt-4o-mini",
                                              .api_base = "http://localhost:8000/v1",
                                              .temperature = 0.5,
                                              .had_key = true};
  return kModel;
}

std::uint16_t schema_of(const Log& log) {
  FrameReader frames(log.bytes());
  std::uint16_t last = 0;
  while (!frames.at_end()) last = stored::GetRecord(frames.next()->data())->schema_version();
  return last;
}

TEST(StoredRecordTest, ASessionsLanguageModelComesBack) {
  Log log;
  log.put("a", Value::of(1)).model(own_model()).put("a", Value::of(2));
  const auto state = read_log(log.bytes());
  ASSERT_TRUE(state) << state.error().describe();
  EXPECT_EQ(state->version, 3U);
  EXPECT_EQ(state->model, own_model());
  EXPECT_EQ(state->fields.size(), 1U);
}

TEST(StoredRecordTest, ALanguageModelMayBeTakenAway) {
  Log log;
  const auto state = read_log(log.model(own_model()).model({}).bytes());
  ASSERT_TRUE(state) << state.error().describe();
  EXPECT_EQ(state->version, 2U);
  EXPECT_EQ(state->model, std::nullopt);
}

TEST(StoredRecordTest, ASnapshotHasTheLanguageModelOrNone) {
  const auto with = read_log(Log().snapshot(7, {}, nullptr, &own_model()).bytes());
  ASSERT_TRUE(with) << with.error().describe();
  EXPECT_EQ(with->model, own_model());
  const auto without = read_log(Log().model(own_model()).snapshot(7, {}).bytes());
  ASSERT_TRUE(without) << without.error().describe();
  EXPECT_EQ(without->model, std::nullopt);
}

TEST(StoredRecordTest, OnlyWhatHasALanguageModelNeedsTheLaterSchema) {
  EXPECT_EQ(schema_of(Log().put("a", Value::of(1))), kFirstSchemaVersion);
  EXPECT_EQ(schema_of(Log().snapshot(1, {})), kFirstSchemaVersion);
  EXPECT_EQ(schema_of(Log().model(own_model())), kLanguageModelsVersion);
  EXPECT_EQ(schema_of(Log().snapshot(1, {}, nullptr, &own_model())), kLanguageModelsVersion);
}

TEST(StoredRecordTest, RefusesALaterSchemaByName) {
  const auto log = framed(
      [](flatbuffers::FlatBufferBuilder& builder) {
        return std::pair(stored::Content::Snapshot, stored::CreateSnapshot(builder).Union());
      },
      kSchemaVersion + 1);
  const auto state = read_log(log);
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().code, "schema_too_new");
  EXPECT_THAT(state.error().message, HasSubstr(std::to_string(kSchemaVersion + 1)));
}

TEST(StoredRecordTest, RefusesWhatIsNoValue) {
  expect_corrupted(with_value({1, 2, 3, 4}), "does not verify");
  expect_corrupted(with_value({}), "does not verify");
}

TEST(StoredRecordTest, RefusesCompressedBytesThatAreNot) {
  expect_corrupted(with_value({1, 2, 3, 4}, 100), "not 100 compressed bytes");
}

// The bytes say that they are 4 GiB of zeros. They are not looked at.
TEST(StoredRecordTest, RefusesToExpandWithoutBound) {
  std::vector<std::uint8_t> packed;
  ASSERT_TRUE(compress(std::vector<std::uint8_t>(1 << 20), packed));
  expect_corrupted(with_value(packed, std::numeric_limits<std::uint32_t>::max()), "compressed");
}

// 200 fields, all of which refer to the same 10,000 bytes.
TEST(StoredRecordTest, RefusesValuesThatShareTheirBytes) {
  const auto log = framed([](flatbuffers::FlatBufferBuilder& builder) {
    const auto value = add(builder, bytes_of(Value::of(std::string(10'000, 'x'))));
    std::vector<flatbuffers::Offset<stored::Field>> fields;
    fields.reserve(200);
    for (int i = 0; i < 200; ++i) {
      fields.push_back(
          stored::CreateField(builder, builder.CreateString(std::to_string(i)), value));
    }
    const auto all = builder.CreateVector(fields);
    return std::pair(stored::Content::Snapshot, stored::CreateSnapshot(builder, all).Union());
  });
  expect_corrupted(log, "longer than it is");
}

TEST(StoredRecordTest, RefusesAFieldThatASnapshotHasTwice) {
  const Value value = Value::of(1);
  const FieldView field{.key = "a", .base = value.bytes(), .appended = {}};
  expect_corrupted(Log().snapshot(1, {field, field}).bytes(), "twice");
}

TEST(StoredRecordTest, RefusesAppendedBytesThatAreCutShort) {
  const Value list = Value::list({1});
  const std::vector<std::byte> cut(4);
  const FieldView field{.key = "a", .base = list.bytes(), .appended = {cut}};
  expect_corrupted(Log().snapshot(1, {field}).bytes(), "cut short");
}

// Whatever is written over a log whose checksums are then made right again: refused, or a state.
TEST(StoredRecordTest, SurvivesAnyBytes) {
  std::mt19937_64 random(test::test_seed());
  Log log;
  log.put("list", Value::list({1, 2, 3})).append("list", Value::list({"four"}));
  log.put("map", Value{{"text", std::string(1'500, 'x')}, {"n", 1}});
  log.answer(answer_of("key", Value{{"a", 1}}, 3));
  for (int round = 0; round < 20'000; ++round) {
    std::vector<std::byte> hostile;
    FrameReader frames(log.bytes());
    while (!frames.at_end()) {
      const auto body = frames.next();
      std::vector<std::uint8_t> changed(body->begin(), body->end());
      for (auto changes = random() % 3; changes > 0; --changes) {
        changed[random() % changed.size()] = static_cast<std::uint8_t>(random());
      }
      append_frame(changed, hostile);
    }
    const auto state = read_log(hostile);
    if (!state) continue;
    for (const StoredField& field : state->fields) {
      EXPECT_TRUE(Value::from_bytes(field.base)) << "seed above, round " << round;
    }
  }
}

TEST(CompressionTest, NothingExpandsToMoreThanItMay) {
  for (const std::size_t size :
       {std::size_t{1} << 10, std::size_t{1} << 20, std::size_t{1} << 24}) {
    const std::vector<std::uint8_t> zeros(size);
    std::vector<std::uint8_t> packed;
    std::vector<std::uint8_t> unpacked;
    ASSERT_TRUE(compress(zeros, packed));
    EXPECT_GE(packed.size() * kMostExpansion, size);
    EXPECT_LT(packed.size(), size / 10);
    ASSERT_TRUE(decompress(packed, size, unpacked));
    EXPECT_EQ(unpacked, zeros);
    EXPECT_FALSE(decompress(packed, size + 1, unpacked));
  }
}

TEST(CompressionTest, LeavesWhatDoesNotGetSmaller) {
  std::mt19937_64 random(test::test_seed());
  std::vector<std::uint8_t> noise(4'096);
  for (std::uint8_t& byte : noise) byte = static_cast<std::uint8_t>(random());
  std::vector<std::uint8_t> packed;
  EXPECT_FALSE(compress(noise, packed));
}

}  // namespace
}  // namespace dspool::store
