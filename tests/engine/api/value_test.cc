#include "dspool/value.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <concepts>
#include <limits>
#include <map>
#include <string>
#include <vector>

namespace dspool {
namespace {

using namespace std::literals;

constexpr auto kIntMax = std::numeric_limits<std::int64_t>::max();
constexpr auto kIntMin = std::numeric_limits<std::int64_t>::min();

template <typename Item>
constexpr bool kTakesTwoTextsInBraces = requires {
  Item({"a", "b"});
};

std::string json_of(const Value& value) { return value.to_json(); }

TEST(ValueLiteralTest, IsAMapOfMembers) {
  const Value args{{"question", "What is shared memory?"}, {"options", {{"k", 3}}}};
  EXPECT_EQ(args.kind(), Kind::kMap);
  EXPECT_EQ(args.size(), 2);
  EXPECT_EQ(args["question"].as_string(), "What is shared memory?");
  EXPECT_EQ(args["options"].kind(), Kind::kMap);
  EXPECT_EQ(args["options"]["k"].as_int64(), 3);
}

TEST(ValueLiteralTest, StandsWhereAValueIsExpected) {
  EXPECT_EQ(json_of({{"question", "…"}}), R"({"question":"…"})");
  EXPECT_EQ(json_of({{"a", 1}, {"b", {{"c", 2.5}}}}), R"({"a":1,"b":{"c":2.5}})");
  EXPECT_EQ(json_of({}), "null");
  EXPECT_EQ(json_of(Value::of(1)), "1");
}

// string_view has a constructor from two pointers, to the beginning and the end of one text. Two
// literals in braces must never be taken for these.
TEST(ValueLiteralTest, PairsOfTextsAreKeysAndValues) {
  EXPECT_EQ(json_of({{"a", "b"}, {"c", "d"}}), R"({"a":"b","c":"d"})");
  EXPECT_EQ(json_of({{"x", {{"a", "b"}}}}), R"({"x":{"a":"b"}})");
  EXPECT_EQ(json_of({{"x", {{"a", "b"}, {"c", "d"}}}}), R"({"x":{"a":"b","c":"d"}})");
  EXPECT_EQ(json_of({{"x", {{{"a", "b"}, {"c", "d"}}}}}), R"({"x":{"a":"b","c":"d"}})");
  EXPECT_EQ(json_of(Value::list({"a", "b"})), R"(["a","b"])");
  EXPECT_EQ(json_of(Value::list({{{"a", "b"}}})), R"([{"a":"b"}])");
  static_assert(!kTakesTwoTextsInBraces<Value::Item>);
}

TEST(ValueLiteralTest, HoldsEveryKind) {
  const std::string text = "text";
  const std::array bytes = {std::byte{1}, std::byte{2}, std::byte{0xFF}};
  const Value inner{{"deep", true}};
  const Value value{{"null", nullptr},
                    {"bool", false},
                    {"char", static_cast<signed char>(-1)},
                    {"size", std::size_t{7}},
                    {"long", -5'000'000'000L},
                    {"float", 0.5F},
                    {"double", 0.1},
                    {"string", text},
                    {"temporary", text + "!"},
                    {"view", std::string_view(text).substr(1, 2)},
                    {"bytes", bytes},
                    {"value", inner},
                    {"null value", Value()},
                    {"member", inner["deep"]},
                    {"list", Value::list({1, "two", Value::list({}), {{"three", 3}}})},
                    {"empty", {}}};
  EXPECT_EQ(value.to_json(),
            R"({"bool":false,"bytes":"AQL/","char":-1,"double":0.1,"empty":{},"float":0.5,)"
            R"("list":[1,"two",[],{"three":3}],"long":-5000000000,"member":true,"null":null,)"
            R"("null value":null,"size":7,"string":"text","temporary":"text!",)"
            R"("value":{"deep":true},"view":"ex"})");
}

TEST(ValueLiteralTest, TakesNothingThatItWouldMisread) {
  static_assert(!std::constructible_from<Value::Item, char>);
  static_assert(!std::constructible_from<Value::Item, int*>);
  static_assert(!std::constructible_from<Value::Item, std::map<int, int>>);
}

TEST(ValueLiteralTest, OfEqualKeysTheLastCounts) {
  EXPECT_EQ(json_of({{"a", 1}, {"b", 2}, {"a", 3}, {"a", {{"c", 4}, {"c", 5}}}}),
            R"({"a":{"c":5},"b":2})");
}

TEST(ValueLiteralTest, AKeyEndsAtItsFirstNul) {
  EXPECT_EQ(json_of({{"a\0b"sv, 1}, {"b", 2}}), R"({"a":1,"b":2})");
  EXPECT_EQ(json_of({{"a", 1}, {"a\0b"sv, 2}}), R"({"a":2})");
}

// The encoder below copies one byte more than it is told to, and takes it for the terminator.
TEST(ValueLiteralTest, TextsNeedNoTerminator) {
  const std::vector<char> exactly = {'k', 'e', 'y', '1'};
  const std::string_view key(exactly.data(), 3);
  const std::string_view all(exactly.data(), exactly.size());
  const Value value{{key, all}, {all, key}};
  EXPECT_EQ(value.to_json(), R"({"key":"key1","key1":"key"})");
  EXPECT_TRUE(Value::from_bytes({value.bytes().begin(), value.bytes().end()}));
}

TEST(ValueLiteralTest, MapsAndListsAreMadeOfWhatIsKnownAtRunTime) {
  std::vector<Value::Member> members;
  std::vector<Value::Item> items;
  std::vector<std::string> keys;
  keys.reserve(1000);
  for (int i = 0; i < 1000; ++i) keys.push_back("key" + std::to_string(i));
  for (const std::string& key : keys) {
    members.emplace_back(key, members.size());
    items.emplace_back(items.size());
  }
  const Value value{{"map", members}, {"list", items}};
  EXPECT_EQ(value["map"].size(), 1000);
  EXPECT_EQ(value["map"]["key999"].as_int64(), 999);
  EXPECT_EQ(value["list"][999].as_int64(), 999);
  EXPECT_EQ(value["map"], Value::map(members));
  EXPECT_EQ(value["list"], Value::list(items));
}

TEST(ValueTest, IsNullUntilItIsMade) {
  const Value value;
  EXPECT_TRUE(value.is_null());
  EXPECT_EQ(value, Value::of(nullptr));
  EXPECT_EQ(value.to_json(), "null");
}

TEST(ValueTest, WithoutABufferEncodesAsAnEmptyMap) {
  const std::span<const std::uint8_t> bytes = Value().bytes();
  const auto read = Value::from_bytes({bytes.begin(), bytes.end()});
  ASSERT_TRUE(read);
  EXPECT_EQ(read->kind(), Kind::kMap);
  EXPECT_EQ(read->size(), 0);
  const Value empty = Value::map({});
  EXPECT_TRUE(std::ranges::equal(empty.bytes(), bytes));
}

TEST(ValueTest, ReadsAMissingKeyOrIndexAsNull) {
  const Value value{{"list", Value::list({1, 2})}};
  EXPECT_TRUE(value["nothing"].is_null());
  EXPECT_TRUE(value["nothing"]["more"][3].is_null());
  EXPECT_TRUE(value["list"][2].is_null());
  EXPECT_TRUE(value["list"]["key"].is_null());
  EXPECT_TRUE(value["list\0"sv].is_null());
  EXPECT_FALSE(value.contains("lis"));
  EXPECT_FALSE(value.contains(""));
  EXPECT_FALSE(value.contains("list\0"sv));
  EXPECT_TRUE(value.contains("list"));
  EXPECT_FALSE(ValueView().contains("list"));
}

TEST(ValueTest, ReadsAnotherKindAsZero) {
  const Value value{{"null", nullptr},         {"bool", true}, {"int", 5},
                    {"double", 2.5},           {"text", "12"}, {"map", {{"a", 1}}},
                    {"list", Value::list({7})}};
  for (const std::string_view key : {"null", "int", "double", "text", "map", "list"}) {
    EXPECT_FALSE(value[key].as_bool()) << key;
  }
  for (const std::string_view key : {"null", "bool", "text", "map", "list"}) {
    EXPECT_EQ(value[key].as_int64(), 0) << key;
    EXPECT_EQ(value[key].as_double(), 0) << key;
  }
  for (const std::string_view key : {"null", "bool", "int", "double", "map", "list"}) {
    EXPECT_EQ(value[key].as_string(), "") << key;
  }
  for (std::size_t i = 0; i < value.size(); ++i) EXPECT_TRUE(value[i].as_bytes().empty());
  for (const std::string_view key : {"null", "bool", "int", "double", "text"}) {
    EXPECT_EQ(value[key].size(), 0) << key;
    EXPECT_EQ(value[key].key(0), "") << key;
  }
}

TEST(ValueTest, ConvertsNumbersToEachOther) {
  EXPECT_EQ(Value::of(7).as_double(), 7.0);
  EXPECT_EQ(Value::of(-2.9).as_int64(), -2);
  EXPECT_EQ(Value::of(1e300).as_int64(), kIntMax);
  EXPECT_EQ(Value::of(9223372036854775808.0).as_int64(), kIntMax);
  EXPECT_EQ(Value::of(-9223372036854775808.0).as_int64(), kIntMin);
  EXPECT_EQ(Value::of(-1e300).as_int64(), kIntMin);
  EXPECT_EQ(Value::of(std::nan("")).as_int64(), 0);
}

TEST(ValueTest, KeepsIntegersOf64BitsAndReadsLargerOnesAsDoubles) {
  for (const std::int64_t value : {kIntMin, std::int64_t{-1}, std::int64_t{0}, kIntMax}) {
    EXPECT_EQ(Value::of(value).kind(), Kind::kInt);
    EXPECT_EQ(Value::of(value).as_int64(), value);
  }
  EXPECT_EQ(Value::of(std::uint64_t{kIntMax}).kind(), Kind::kInt);
  const Value larger = Value::of(std::uint64_t{kIntMax} + 1);
  EXPECT_EQ(larger.kind(), Kind::kDouble);
  EXPECT_EQ(larger.as_double(), 9223372036854775808.0);
  EXPECT_EQ(larger.as_int64(), kIntMax);
}

TEST(ValueTest, ShowsMapsInTheOrderOfTheirKeys) {
  const Value value{{"b", 1}, {"", 0}, {"ä", 3}, {"a", 2}, {"Z", 4}};
  std::vector<std::string_view> keys;
  for (std::size_t i = 0; i < value.size(); ++i) keys.push_back(value.view().key(i));
  EXPECT_EQ(keys, (std::vector<std::string_view>{"", "Z", "a", "b", "ä"}));
  EXPECT_EQ(value[1].as_int64(), 4);
  for (const std::string_view key : keys) EXPECT_TRUE(value.contains(key)) << key;
  EXPECT_EQ(value.view().key(5), "");
}

TEST(ValueTest, KeepsTextsAndBytesWithNuls) {
  const std::vector<std::byte> bytes(300, std::byte{0});
  const Value value{{"text", "a\0b"sv}, {"bytes", bytes}};
  EXPECT_EQ(value["text"].as_string(), "a\0b"sv);
  EXPECT_EQ(value["bytes"].as_bytes().size(), 300);
  EXPECT_EQ(value["bytes"].kind(), Kind::kBytes);
}

TEST(ValueTest, CopiesWhatAViewShows) {
  Value copy;
  {
    const Value value{{"a", {{"list", Value::list({1, 2.5, "x", {{"y", nullptr}}})}}}};
    copy = value["a"].to_value();
  }
  EXPECT_EQ(copy.to_json(), R"({"list":[1,2.5,"x",{"y":null}]})");
  EXPECT_TRUE(Value::from_bytes({copy.bytes().begin(), copy.bytes().end()}));
  EXPECT_TRUE(ValueView().to_value().is_null());
}

TEST(ValueTest, IsEqualWhenOfTheSameKindAndEqualThroughout) {
  const Value value{{"a", 1}, {"b", Value::list({1, "x", 2.5, {{"c", true}}})}};
  EXPECT_EQ(value, (Value{{"b", Value::list({1, "x", 2.5, {{"c", true}}})}, {"a", 1}}));
  EXPECT_NE(value, (Value{{"a", 1}, {"b", Value::list({1, "x", 2.5, {{"c", false}}})}}));
  EXPECT_NE(value, (Value{{"a", 1}, {"c", Value::list({1, "x", 2.5, {{"c", true}}})}}));
  EXPECT_NE(value, (Value{{"a", 1}}));
  EXPECT_NE(Value::list({1, 2}), Value::list({1}));
  EXPECT_NE(Value::list({}), Value::map({}));
  EXPECT_NE(Value::of(1), Value::of(1.0));
  EXPECT_NE(Value::of(1), Value::of(true));
  EXPECT_NE(Value::of("a"), Value::of("b"));
  EXPECT_NE(Value::of(std::nan("")), Value::of(std::nan("")));
  EXPECT_EQ(Value::of(std::array{std::byte{1}}), Value::of(std::array{std::byte{1}}));
  EXPECT_NE(Value::of(std::array{std::byte{1}}), Value::of(std::array{std::byte{2}}));
}

TEST(ValueTest, WritesAKeyOnceHoweverManyMapsHaveIt) {
  const std::string key(1000, 'k');
  const Value one{{key, 1}};
  const Value many{{"list", Value::list({{{key, 1}}, {{key, 2}}, {{key, 3}}, {{key, 4}}})}};
  EXPECT_LT(many.bytes().size(), one.bytes().size() + 100);
}

TEST(ValueTest, KindsHaveNames) {
  const Value value{{"a", nullptr},
                    {"b", true},
                    {"c", 1},
                    {"d", 1.5},
                    {"e", ""},
                    {"f", std::span<const std::byte>()},
                    {"g", Value::list({})},
                    {"h", {}}};
  std::string names;
  for (std::size_t i = 0; i < value.size(); ++i) names.append(to_string(value[i].kind())) += ' ';
  EXPECT_EQ(names, "null bool int double string bytes list map ");
}

}  // namespace
}  // namespace dspool
