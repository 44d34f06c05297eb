// Value::parse_json() and to_json().
#include <gtest/gtest.h>

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "dspool/value.h"
#include "tests/support/seed.h"

namespace dspool {
namespace {

using namespace std::literals;

std::string reread(std::string_view text) {
  const auto value = Value::parse_json(text);
  return value ? value->to_json() : value.error().describe();
}

void expect_refused(std::string_view text, std::string_view message) {
  const auto value = Value::parse_json(text);
  ASSERT_FALSE(value) << text;
  EXPECT_EQ(value.error().category, ErrorCategory::kCommunication);
  EXPECT_EQ(value.error().code, "invalid_json");
  EXPECT_NE(value.error().message.find(message), std::string::npos)
      << text << "\n  " << value.error().message;
}

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST(ParseJsonTest, ReadsScalarsListsAndMaps) {
  EXPECT_EQ(reread("null"), "null");
  EXPECT_EQ(reread(" true "), "true");
  EXPECT_EQ(reread("false"), "false");
  EXPECT_EQ(reread("\"text\""), "\"text\"");
  EXPECT_EQ(reread("\t[ 1 , \"a\" , [ ] , { } ]\r\n"), R"([1,"a",[],{}])");
  EXPECT_EQ(reread(R"({"b": {"c": [null]}, "a": 1})"), R"({"a":1,"b":{"c":[null]}})");
}

TEST(ParseJsonTest, ReadsIntegersAsFarAsTheyReachAndThenDoubles) {
  EXPECT_EQ(reread("9223372036854775807"), "9223372036854775807");
  EXPECT_EQ(reread("-9223372036854775808"), "-9223372036854775808");
  EXPECT_EQ(Value::parse_json("9223372036854775807")->kind(), Kind::kInt);
  const Value larger = Value::parse_json("9223372036854775808").value();
  EXPECT_EQ(larger.kind(), Kind::kDouble);
  EXPECT_EQ(larger.as_double(), 9223372036854775808.0);
  EXPECT_EQ(larger, Value::of(std::uint64_t{1} << 63));
  EXPECT_EQ(Value::parse_json("-9223372036854775809")->as_double(), -9223372036854775808.0);
  EXPECT_EQ(Value::parse_json(std::string(300, '9'))->kind(), Kind::kDouble);
  EXPECT_EQ(Value::parse_json("-0")->kind(), Kind::kInt);
}

TEST(ParseJsonTest, ReadsEveryDouble) {
  EXPECT_EQ(Value::parse_json("1.0")->kind(), Kind::kDouble);
  EXPECT_EQ(Value::parse_json("1e2")->kind(), Kind::kDouble);
  EXPECT_EQ(Value::parse_json("1E+2")->as_double(), 100.0);
  EXPECT_EQ(Value::parse_json("1e308")->as_double(), 1e308);
  EXPECT_EQ(Value::parse_json("5e-324")->as_double(), 5e-324);
  EXPECT_EQ(Value::parse_json("0.1")->as_double(), 0.1);
  EXPECT_TRUE(std::signbit(Value::parse_json("-0.0")->as_double()));
  EXPECT_EQ(reread("-0.0"), "-0.0");
}

TEST(ParseJsonTest, RefusesNumbersThatNoDoubleHolds) {
  expect_refused("[1e400]", "line 1, column 2: the number is outside the range of a double");
  expect_refused(std::string(400, '9'), "range of a double");
}

TEST(ParseJsonTest, RefusesNumbersThatJsonDoesNotHave) {
  for (const std::string_view text : {"+1", ".5", "-", "- 1", "NaN", "nan", "Infinity", "inf"}) {
    expect_refused(text, "a value is missing");
  }
  for (const std::string_view text : {"1.", "1e", "1e+", "1.e5", "-1.x"}) {
    expect_refused(text, "a digit is missing");
  }
  for (const std::string_view text : {"012", "00", "0x10", "1_000", "1f", "1.5.2"}) {
    expect_refused(text, "the text should end here");
  }
}

TEST(ParseJsonTest, RefusesWhatIsCutShortOrGoesOn) {
  expect_refused("", "line 1, column 1: a value is missing");
  expect_refused(" \n ", "line 2, column 2: a value is missing");
  expect_refused("{\"a\": 1} x", "line 1, column 10: the text should end here");
  expect_refused("{} {}", "the text should end here");
  expect_refused("\0"sv, "a value is missing");
  expect_refused("1\0"sv, "the text should end here");
  const std::string whole = R"({"a": [1, -2.5e3, "x\u00e9\n", true], "b": {"c": null}})";
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_FALSE(Value::parse_json(whole.substr(0, length))) << whole.substr(0, length);
  }
  EXPECT_TRUE(Value::parse_json(whole));
}

TEST(ParseJsonTest, RefusesWhatOnlyResemblesJson) {
  expect_refused("[1,]", "column 4: a value is missing");
  expect_refused("[1 2]", "',' or ']' is missing");
  expect_refused("[1}", "',' or ']' is missing");
  expect_refused("{\"a\": 1,}", "a key, in quotes, is missing");
  expect_refused("{\"a\" 1}", "column 6: ':' is missing");
  expect_refused(R"({"a": 1 "b": 2})", "',' or '}' is missing");
  expect_refused("{a: 1}", "a key, in quotes, is missing");
  expect_refused("{1: 1}", "a key, in quotes, is missing");
  expect_refused("'a'", "a value is missing");
  expect_refused("// comment\n1", "a value is missing");
  expect_refused("[1] /* comment */", "the text should end here");
  expect_refused("True", "a value is missing");
  expect_refused("nulls", "the text should end here");
  expect_refused("\xEF\xBB\xBF{}", "a value is missing");
}

TEST(ParseJsonTest, CountsColumnsInCharacters) {
  expect_refused("[\"äöü\",\n \"é\" x]", "line 2, column 6: ");
}

TEST(ParseJsonTest, OfEqualKeysTheLastCounts) {
  EXPECT_EQ(reread(R"({"a": 1, "b": 2, "a": 3, "\u0061": 4})"), R"({"a":4,"b":2})");
}

TEST(ParseJsonTest, ReadsEscapes) {
  EXPECT_EQ(Value::parse_json(R"("\"\\\/\b\f\n\r\t")")->as_string(), "\"\\/\b\f\n\r\t");
  EXPECT_EQ(Value::parse_json(R"("\u0041\u00e9\u20AC\uFFFD")")->as_string(), "Aé€\xEF\xBF\xBD");
  EXPECT_EQ(Value::parse_json(R"("\ud83d\ude00 \uDBFF\uDFFF")")->as_string(), "😀 \xF4\x8F\xBF\xBF");
  EXPECT_EQ(Value::parse_json(R"("a\u0000b")")->as_string(), "a\0b"sv);
}

TEST(ParseJsonTest, RefusesEscapesThatMeanNoCharacter) {
  for (const std::string_view text :
       {R"("\x41")", R"("\u12")", R"("\u12G4")", R"("\u+123")", R"("\ud83d")", R"("\ud83dx")",
        R"("\ud83d\n")", R"("\ud83d\u0041")", R"("\ud83d\ud83d")", R"("\ude00")", R"("\U0041")"}) {
    expect_refused(text, "line 1, column 2: no such escape");
  }
}

TEST(ParseJsonTest, RefusesControlCharactersInStrings) {
  for (const std::string_view text : {"\"a\nb\"", "\"a\tb\"", "\"\x1F\""}) {
    expect_refused(text, "a control character is not escaped");
  }
  expect_refused("\"a\0b\""sv, "a control character is not escaped");
  EXPECT_EQ(Value::parse_json("\"\x7F\"")->as_string(), "\x7F");
}

TEST(ParseJsonTest, RefusesWhatIsNotUtf8) {
  for (const std::string_view text :
       {"\xFF", "\x80", "\xC3", "\xC3\"", "\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80",
        "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82", "\xE2\x28\xA1"}) {
    expect_refused("\"" + std::string(text) + "\"", "column 2: this is not UTF-8");
    expect_refused("{\"" + std::string(text) + "\": 1}", "this is not UTF-8");
  }
  EXPECT_EQ(Value::parse_json("\"\xED\x9F\xBF\xEE\x80\x80\"")->as_string(),
            "\xED\x9F\xBF\xEE\x80\x80");
}

TEST(ParseJsonTest, RefusesKeysWithANul) {
  expect_refused(R"({"ok": 1, "a\u0000b": 1})", "column 11: a key must not contain \\u0000");
}

TEST(ParseJsonTest, NestsSixtyFourDeepAndNoDeeper) {
  EXPECT_EQ(reread(nested(64)), nested(64));
  expect_refused(nested(65), "column 65: nested deeper than 64");
  expect_refused(std::string(1'000'000, '['), "nested deeper than 64");
  std::string maps;
  for (int i = 0; i < 1'000'000; ++i) maps += "{\"a\":";
  expect_refused(maps, "nested deeper than 64");
}

TEST(ParseJsonTest, MakesWhatOthersAccept) {
  const std::string deepest = R"({"a":)" + nested(63) + "}";
  for (const std::string_view text :
       {deepest.c_str(), "0", R"({"a":[{"k":1.5,"l":"x"},{"k":2,"l":"y"}],"b":"","":[]})"}) {
    const Value value = Value::parse_json(text).value();
    EXPECT_TRUE(Value::from_bytes({value.bytes().begin(), value.bytes().end()})) << text;
  }
}

TEST(ToJsonTest, KeepsDoublesDoubles) {
  for (const double value : {0.0, 1.0, -3.0, 1e15, 1e22, 1e300, 0.1, 1.0 / 3, 5e-324}) {
    const std::string text = Value::of(value).to_json();
    EXPECT_EQ(Value::parse_json(text).value(), Value::of(value)) << text;
  }
  EXPECT_EQ(Value::of(3.0).to_json(), "3.0");
  EXPECT_EQ(Value::of(1e300).to_json(), "1e+300");
}

TEST(ToJsonTest, RoundTripsRandomDoubles) {
  std::mt19937_64 random(test::test_seed());
  for (int i = 0; i < 20'000; ++i) {
    const auto value = std::bit_cast<double>(random());
    if (!std::isfinite(value)) continue;
    const std::string text = Value::of(value).to_json();
    const Value back = Value::parse_json(text).value();
    EXPECT_EQ(back.kind(), Kind::kDouble) << text;
    EXPECT_EQ(std::bit_cast<std::uint64_t>(back.as_double()), std::bit_cast<std::uint64_t>(value))
        << text;
  }
}

TEST(ToJsonTest, WritesWhatJsonCannotSayAsNull) {
  EXPECT_EQ(Value::of(std::nan("")).to_json(), "null");
  EXPECT_EQ(Value::of(std::numeric_limits<double>::infinity()).to_json(), "null");
  EXPECT_EQ(Value::of(-std::numeric_limits<double>::infinity()).to_json(), "null");
}

TEST(ToJsonTest, EscapesStringsAndKeys) {
  const Value value{{"a\"\\\n", "\b\f\n\r\t\x01\x1F\x7F/é😀\0"sv}};
  EXPECT_EQ(value.to_json(), "{\"a\\\"\\\\\\n\":\"\\b\\f\\n\\r\\t\\u0001\\u001f\x7F/é😀\\u0000\"}");
  EXPECT_EQ(Value::parse_json(value.to_json()).value(), value);
}

TEST(ToJsonTest, ReplacesWhatIsNotUtf8) {
  const Value value{{"k\xC3", "a\xFF\xED\xA0\x80z\xE2\x82"}};
  const std::string text = value.to_json();
  EXPECT_EQ(text, "{\"k\uFFFD\":\"a\uFFFD\uFFFD\uFFFD\uFFFDz\uFFFD\uFFFD\"}");
  EXPECT_TRUE(Value::parse_json(text));
}

TEST(ToJsonTest, WritesBytesAsBase64) {
  const std::string text = "foobar";
  const std::string encoded[] = {"", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
  for (std::size_t length = 0; length <= text.size(); ++length) {
    const Value value = Value::of(std::as_bytes(std::span(text).first(length)));
    EXPECT_EQ(value.to_json(), '"' + encoded[length] + '"');
  }
  const std::array all = {std::byte{0xFB}, std::byte{0xFF}, std::byte{0xBF}};
  EXPECT_EQ(Value::of(all).to_json(), "\"+/+/\"");
}

}  // namespace
}  // namespace dspool
