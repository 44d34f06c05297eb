#include "engine/worker/codec.h"

#include <flatbuffers/flexbuffers.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "dspool/value.h"
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

TEST(RequestEncoderTest, CarriesTheFieldsOnlyWhenAsked) {
  session::Record record;
  const Value seven = Value::of(7);
  session::Delta delta;
  delta.puts.push_back({.key = "value", .value = seven.bytes()});
  record.apply(delta, 99);
  const Value args{{"by", 1}};
  Request request{.request_id = 1,
                  .command = "increment",
                  .args = args.bytes(),
                  .session = "a",
                  .attempt = 1,
                  .state = &record};
  RequestEncoder encoder;
  const auto* warm = flatbuffers::GetRoot<wire::Request>(encoder.encode(request).data());
  EXPECT_EQ(warm->version(), 1U);
  EXPECT_EQ(warm->state_id(), 99U);
  EXPECT_EQ(warm->state(), nullptr);
  request.hydrate = true;
  const auto* cold = flatbuffers::GetRoot<wire::Request>(encoder.encode(request).data());
  ASSERT_NE(cold->state(), nullptr);
  ASSERT_EQ(cold->state()->fields()->size(), 1U);
  EXPECT_EQ(cold->state()->fields()->Get(0)->key()->str(), "value");
}

}  // namespace
}  // namespace dspool::worker
