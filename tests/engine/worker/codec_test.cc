#include "engine/worker/codec.h"

#include <flatbuffers/flexbuffers.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "dspool/value.h"
#include "ipc/state_segment_view.h"
#include "ipc/value_sequence.h"
#include "schemas/envelope_generated.h"
#include "tests/support/seed.h"

namespace dspool::worker {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kEpoch = 5;

std::vector<std::byte> response_with(const Value& result, const Value& field) {
  flatbuffers::FlatBufferBuilder builder;
  const auto add = [&](const Value& value) {
    builder.ForceVectorAlignment(value.bytes().size(), 1, 8);
    return builder.CreateVector(value.bytes().data(), value.bytes().size());
  };
  const auto value = add(field);
  const auto key = builder.CreateString("value");
  const std::vector<flatbuffers::Offset<wire::Field>> puts{wire::CreateField(builder, key, value)};
  const auto delta = wire::CreateDelta(builder, builder.CreateVector(puts));
  const auto bytes = add(result);
  builder.Finish(
      wire::CreateResponse(builder, kEpoch, 1, wire::Status::ok, bytes, delta, 0, 1'000));
  const auto body = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  return {body.begin(), body.end()};
}

TEST(DecodeResponseTest, GivesResultAndDelta) {
  const auto body = response_with(Value{{"answer", 42}}, Value::of(7));
  Outcome outcome;
  ASSERT_TRUE(decode_response(body, kEpoch, outcome));
  EXPECT_EQ(Value::from_verified(outcome.result)["answer"].as_int64(), 42);
  ASSERT_EQ(outcome.delta.puts.size(), 1U);
  EXPECT_EQ(outcome.delta.puts[0].key, "value");
  EXPECT_EQ(outcome.service_ns, 1'000);
}

TEST(DecodeResponseTest, RefusesAnotherEpoch) {
  const auto body = response_with(Value::of(1), Value::of(2));
  Outcome outcome;
  EXPECT_FALSE(decode_response(body, kEpoch + 1, outcome));
}

TEST(DecodeResponseTest, RefusesTruncation) {
  const auto body = response_with(Value{{"answer", "text"}}, Value::of(2));
  Outcome outcome;
  for (std::size_t length = 0; length + 8 < body.size(); ++length) {
    const std::vector<std::byte> part(body.begin(),
                                      body.begin() + static_cast<std::ptrdiff_t>(length));
    static_cast<void>(decode_response(part, kEpoch, outcome));  // must not read past the end
  }
  EXPECT_FALSE(decode_response({}, kEpoch, outcome));
}

TEST(DecodeResponseTest, GivesUsageOfAnyStatus) {
  for (const wire::Status status : {wire::Status::cancelled, wire::Status::recalled}) {
    flatbuffers::FlatBufferBuilder builder;
    builder.Finish(wire::CreateResponse(builder, kEpoch, 1, status, 0, 0, 0, 0, false, 0, 12,
                                        ~std::uint64_t{0}));
    const auto body = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
    Outcome outcome;
    ASSERT_TRUE(decode_response(std::vector(body.begin(), body.end()), kEpoch, outcome));
    EXPECT_EQ(outcome.usage.input_tokens, 12U);
    EXPECT_LT(outcome.usage.output_tokens, std::uint64_t{1} << 60) << "sums must not overflow";
  }
}

std::vector<std::byte> chunk_with(std::span<const std::uint8_t> value) {
  flatbuffers::FlatBufferBuilder builder;
  builder.ForceVectorAlignment(value.size(), 1, 8);
  const auto bytes = builder.CreateVector(value.data(), value.size());
  builder.Finish(wire::CreateChunk(builder, kEpoch, 2, 9, bytes));
  const auto body = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  return {body.begin(), body.end()};
}

TEST(DecodeChunkTest, GivesItsValue) {
  const Value value{{"text", "the next token"}};
  const auto body = chunk_with(value.bytes());
  ChunkReport chunk;
  ASSERT_TRUE(decode_chunk(body, kEpoch, chunk));
  EXPECT_EQ(chunk.attempt, 2U);
  EXPECT_EQ(chunk.index, 9U);
  EXPECT_EQ(chunk.record_bytes, body.size());
  EXPECT_EQ(Value::from_verified(chunk.value)["text"].as_string(), "the next token");
}

TEST(DecodeChunkTest, RefusesAnotherEpochTruncationAndWhatIsNoValue) {
  const auto body = chunk_with(Value{{"text", "the next token"}}.bytes());
  ChunkReport chunk;
  EXPECT_FALSE(decode_chunk(body, kEpoch + 1, chunk));
  for (std::size_t length = 0; length + 8 < body.size(); ++length) {
    const std::vector<std::byte> part(body.begin(),
                                      body.begin() + static_cast<std::ptrdiff_t>(length));
    static_cast<void>(decode_chunk(part, kEpoch, chunk));  // must not read past the end
  }
  const std::vector<std::uint8_t> garbage(24, 0xff);
  EXPECT_FALSE(decode_chunk(chunk_with(garbage), kEpoch, chunk));
  EXPECT_FALSE(decode_chunk(chunk_with({}), kEpoch, chunk));
  EXPECT_FALSE(decode_chunk({}, kEpoch, chunk));
}

// What a delta's keys may be. Each of `puts` is put with the same bytes, which they share.
std::string violation_of(const std::vector<std::string>& puts,
                         const std::vector<std::string>& deletes,
                         const Value& value = Value::of(7)) {
  flatbuffers::FlatBufferBuilder builder;
  builder.ForceVectorAlignment(value.bytes().size(), 1, 8);
  const auto shared = builder.CreateVector(value.bytes().data(), value.bytes().size());
  std::vector<flatbuffers::Offset<wire::Field>> fields;
  fields.reserve(puts.size());
  for (const std::string& key : puts) {
    fields.push_back(wire::CreateField(builder, builder.CreateString(key), shared));
  }
  const auto all_puts = builder.CreateVector(fields);
  const auto delta = wire::CreateDelta(builder, all_puts, builder.CreateVectorOfStrings(deletes));
  const auto result = builder.CreateVector(value.bytes().data(), value.bytes().size());
  builder.Finish(wire::CreateResponse(builder, kEpoch, 1, wire::Status::ok, result, delta, 0, 1));
  const auto body = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  Outcome outcome;
  const auto decoded = decode_response(body, kEpoch, outcome);
  return decoded ? "" : decoded.error();
}

std::string violation_of_shared_deletes(std::size_t count, const std::string& key) {
  flatbuffers::FlatBufferBuilder builder;
  const auto shared = builder.CreateString(key);
  const auto deletes = builder.CreateVector(std::vector(count, shared));
  const auto delta = wire::CreateDelta(builder, 0, deletes);
  const auto result = builder.CreateVector(Value().bytes().data(), Value().bytes().size());
  builder.Finish(wire::CreateResponse(builder, kEpoch, 1, wire::Status::ok, result, delta));
  Outcome outcome;
  const auto decoded = decode_response(
      std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize())), kEpoch, outcome);
  return decoded ? "" : decoded.error();
}

TEST(DecodeResponseTest, RefusesADeltaWithAKeyTwice) {
  EXPECT_EQ(violation_of({"a", "b"}, {"d", "c"}), "");
  EXPECT_THAT(violation_of({"a", "a"}, {}), HasSubstr("twice"));
  EXPECT_THAT(violation_of({"b", "a"}, {}), HasSubstr("twice")) << "they are sorted";
  EXPECT_THAT(violation_of({}, {"c", "d", "c"}), HasSubstr("twice"));
  EXPECT_THAT(violation_of({"a"}, {"a"}), HasSubstr("puts and deletes"));
}

// Each of a thousand fields would have to be verified, though the record has one.
TEST(DecodeResponseTest, RefusesFieldsThatShareTheirBytes) {
  std::vector<std::string> keys;
  for (int i = 1'000; i < 2'000; ++i) keys.push_back(std::to_string(i));
  EXPECT_THAT(violation_of(keys, {}, Value::of(std::string(4'000, 'x'))),
              HasSubstr("longer than their record"));
}

// To sort them would compare 8,000 bytes with themselves 20,000 times.
TEST(DecodeResponseTest, RefusesDeletedKeysThatShareTheirBytes) {
  EXPECT_THAT(violation_of_shared_deletes(2'000, std::string(8'000, 'k')),
              HasSubstr("longer than their record"));
  EXPECT_EQ(violation_of_shared_deletes(1, std::string(8'000, 'k')), "");
}

// One field may expand so far. Fifty would make hundreds of millions of elements of a few KiB.
TEST(DecodeResponseTest, RefusesFieldsThatExpandTooFarTogether) {
  flexbuffers::Builder builder;
  builder.Vector([&] { builder.Int(1); });
  for (int times = 0; times < 17; ++times) {  // each list holds the one before twice
    builder.ReuseValue(builder.LastValue());
    builder.EndVector(0, false, false);
  }
  builder.Finish();
  const Value field = Value::from_bytes(builder.GetBuffer()).value();
  EXPECT_THAT(violation_of({"a"}, {}, field), HasSubstr("does not verify"))
      << "it stands in the result, too";
  EXPECT_EQ(violation_of({"a"}, {}, Value::of(std::string(4'000, 'x'))), "");
}

// The store reads each value alone: one that only passes beside a long one would be lost there.
TEST(DecodeResponseTest, RefusesAFieldThatCouldNotBeReadWithoutTheOthers) {
  flexbuffers::Builder builder;
  builder.Vector([&] { builder.Int(1); });
  for (int times = 0; times < 20; ++times) {
    builder.ReuseValue(builder.LastValue());
    builder.EndVector(0, false, false);
  }
  builder.Finish();
  const Value field = Value::from_verified(builder.GetBuffer());
  Outcome outcome;
  const auto decoded = decode_response(
      response_with(Value::of(std::string(std::size_t{4} << 20, 'x')), field), kEpoch, outcome);
  ASSERT_FALSE(decoded);
  EXPECT_THAT(decoded.error(), HasSubstr("a field that does not verify"));
}

// ---- appends ----

using Fields = std::vector<std::pair<std::string, Value>>;

std::vector<std::byte> response_with(const Fields& puts, const Fields& appends,
                                     const std::vector<std::string>& deletes) {
  flatbuffers::FlatBufferBuilder builder;
  const auto add = [&builder](const Fields& fields) {
    std::vector<flatbuffers::Offset<wire::Field>> added;
    for (const auto& [key, value] : fields) {
      builder.ForceVectorAlignment(value.bytes().size(), 1, 8);
      const auto bytes = builder.CreateVector(value.bytes().data(), value.bytes().size());
      added.push_back(wire::CreateField(builder, builder.CreateString(key), bytes));
    }
    return builder.CreateVector(added);
  };
  const auto all_puts = add(puts);
  const auto all_appends = add(appends);
  const auto delta =
      wire::CreateDelta(builder, all_puts, builder.CreateVectorOfStrings(deletes), all_appends);
  const auto result = builder.CreateVector(Value().bytes().data(), Value().bytes().size());
  builder.Finish(wire::CreateResponse(builder, kEpoch, 1, wire::Status::ok, result, delta, 0, 1,
                                      /*not_kept=*/true));
  const auto body = std::as_bytes(std::span(builder.GetBufferPointer(), builder.GetSize()));
  return {body.begin(), body.end()};
}

TEST(DecodeResponseTest, GivesAppends) {
  const auto body = response_with({{"a", Value::of(1)}},
                                  {{"d", Value::list({1, 2})}, {"c", Value::of("more")}}, {"b"});
  Outcome outcome;
  ASSERT_TRUE(decode_response(body, kEpoch, outcome));
  ASSERT_EQ(outcome.delta.appends.size(), 2U);
  EXPECT_EQ(outcome.delta.appends[0].key, "c");
  EXPECT_EQ(outcome.delta.appends[1].key, "d");
  EXPECT_TRUE(outcome.not_kept);
}

TEST(DecodeResponseTest, AListOfNumbersCanBeAppended) {
  flexbuffers::Builder builder;
  const std::vector<std::int64_t> numbers{1, 2, 3};
  builder.Vector(numbers.data(), numbers.size());
  builder.Finish();
  Outcome outcome;
  EXPECT_TRUE(decode_response(
      response_with({}, {{"a", Value::from_bytes(builder.GetBuffer()).value()}}, {}), kEpoch,
      outcome));
}

TEST(DecodeResponseTest, RefusesWhatCannotBeAppended) {
  const Value list = Value::list({1});
  const auto violation = [](const Fields& puts, const Fields& appends,
                            const std::vector<std::string>& deletes) {
    Outcome outcome;
    const auto decoded = decode_response(response_with(puts, appends, deletes), kEpoch, outcome);
    return decoded ? "" : decoded.error();
  };
  EXPECT_EQ(violation({}, {{"a", list}}, {}), "");
  EXPECT_THAT(violation({}, {{"a", Value::of(1)}}, {}), HasSubstr("no list and no text"));
  EXPECT_THAT(violation({}, {{"a", Value{{"k", 1}}}}, {}), HasSubstr("no list and no text"));
  EXPECT_THAT(violation({}, {{"a", list}, {"b", list}, {"a", list}}, {}), HasSubstr("twice"));
  EXPECT_THAT(violation({{"a", list}}, {{"a", list}}, {}), HasSubstr("appends to a key"));
  EXPECT_THAT(violation({}, {{"a", list}}, {"a"}), HasSubstr("appends to a key"));
}

// Whatever is accepted can be read to its end; sanitizers watch.
TEST(DecodeResponseTest, SurvivesBytesThatWereFlipped) {
  std::minstd_rand random(static_cast<std::uint32_t>(test::test_seed()));
  const auto good = response_with(Value{{"a", 1}, {"b", "two"}, {"c", {{"d", 3.5}}}},
                                  Value{{"list", Value::list({1, 2, 3})}});
  for (int round = 0; round < 20'000; ++round) {
    auto body = good;
    for (std::uint32_t flips = 1 + random() % 4; flips > 0; --flips) {
      body[random() % body.size()] = static_cast<std::byte>(random());
    }
    Outcome outcome;
    if (!decode_response(body, kEpoch, outcome)) continue;
    if (outcome.status == OutcomeStatus::kOk) {
      static_cast<void>(Value::from_verified(outcome.result).to_json());
    }
    for (const auto& put : outcome.delta.puts) {
      static_cast<void>(Value::from_verified({put.value.begin(), put.value.end()}).to_json());
    }
  }
}

// ---- requests ----

class RequestEncoderTest : public testing::Test {
 protected:
  void commit(session::Delta delta) {
    auto staged = record_.stage(delta, segment_, 0);
    ASSERT_TRUE(staged);
    record_.apply(delta, *std::move(staged), 99);
  }
  void put(std::string_view key, const Value& value) {
    session::Delta delta;
    delta.puts.push_back({.key = key, .value = value.bytes()});
    commit(std::move(delta));
  }
  void append(std::string_view key, const Value& value) {
    session::Delta delta;
    delta.appends.push_back({.key = key, .value = value.bytes()});
    commit(std::move(delta));
  }
  const wire::Request* encode(bool hydrate) {
    const Value args{{"by", 1}};
    if (hydrate) encoder_.refer_to(record_);
    const auto body = encoder_.encode({.request_id = 1,
                                       .command = "increment",
                                       .args = args.bytes(),
                                       .session = "a",
                                       .attempt = 1,
                                       .state = &record_,
                                       .hydrate = hydrate});
    return flatbuffers::GetRoot<wire::Request>(body.data());
  }
  std::span<const std::byte> read(const wire::Piece& piece) {
    for (std::uint32_t i = 0; i < segment_.extents(); ++i) {
      EXPECT_TRUE(view_.add(i, segment_.descriptor(i)));
    }
    return view_.bytes({.at = piece.at(), .extent = piece.extent()}, piece.bytes()).value();
  }

  ipc::StateSegment segment_{std::size_t{16} << 20};
  ipc::StateSegmentView view_;
  session::Record record_;
  RequestEncoder encoder_;
};

TEST_F(RequestEncoderTest, CarriesReferencesToTheFieldsOnlyWhenAsked) {
  const Value seven = Value::of(7);
  const Value eight = Value::of(8);
  put("value", seven);
  put("zero", eight);
  const auto* warm = encode(false);
  EXPECT_EQ(warm->version(), 2U);
  EXPECT_EQ(warm->state_id(), 99U);
  EXPECT_EQ(warm->state(), nullptr);
  const auto* cold = encode(true);
  ASSERT_NE(cold->state(), nullptr);
  EXPECT_EQ(cold->state()->keys()->str(), "valuezero");
  const auto& fields = *cold->state()->fields();
  const auto& pieces = *cold->state()->pieces();
  ASSERT_EQ(fields.size(), 2U);
  EXPECT_EQ(fields.Get(0)->key_end(), 5U);
  EXPECT_EQ(fields.Get(0)->pieces_end(), 1U);
  EXPECT_EQ(fields.Get(1)->key_end(), 9U);
  EXPECT_EQ(fields.Get(1)->pieces_end(), 2U);
  ASSERT_EQ(pieces.size(), 2U);
  EXPECT_TRUE(std::ranges::equal(read(*pieces.Get(0)), std::as_bytes(seven.bytes())));
  EXPECT_TRUE(std::ranges::equal(read(*pieces.Get(1)), std::as_bytes(eight.bytes())));
}

TEST_F(RequestEncoderTest, RefersToWhatWasAppendedInItsOrder) {
  put("list", Value::list({1}));
  append("list", Value::list({2}));
  append("list", Value::list({std::string(2'000, 'x')}));  // needs another chunk
  const auto& pieces = *encode(true)->state()->pieces();
  ASSERT_EQ(pieces.size(), 3U);
  const Value two = Value::list({2});
  ipc::ValueSequence values(read(*pieces.Get(1)));
  EXPECT_TRUE(std::ranges::equal(values.next().value(), std::as_bytes(two.bytes())));
  EXPECT_FALSE(values.next());
  EXPECT_FALSE(values.is_damaged());
}

TEST_F(RequestEncoderTest, ForeseesHowMuchTheReferencesTake) {
  for (int i = 0; i < 50; ++i) {
    put("key-" + std::string(static_cast<std::size_t>(i), 'k'), Value::list({1}));
    append("key-", Value::list({std::string(2'000, 'x')}));
    encoder_.refer_to(record_);
    EXPECT_LE(encoder_.encode_state().size(), encoder_.state_bytes());
  }
}

}  // namespace
}  // namespace dspool::worker
