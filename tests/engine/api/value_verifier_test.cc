// FlexBuffers that somebody else made: foreign encoders, broken ones, and hostile bytes.
#include "engine/api/value_verifier.h"

#include <flatbuffers/flexbuffers.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "dspool/value.h"
#include "tests/support/seed.h"

namespace dspool {
namespace {

using Bytes = std::vector<std::uint8_t>;

template <typename Build>
Bytes encoded(Build build, flexbuffers::BuilderFlag flags = flexbuffers::BUILDER_FLAG_SHARE_KEYS) {
  flexbuffers::Builder builder(256, flags);
  build(builder);
  builder.Finish();
  return builder.GetBuffer();
}

constexpr std::uint8_t packed(flexbuffers::Type type) {
  return static_cast<std::uint8_t>(type << 2);
}

void expect_refused(const Bytes& bytes) {
  const auto value = Value::from_bytes(bytes);
  ASSERT_FALSE(value);
  EXPECT_EQ(value.error().category, ErrorCategory::kCommunication);
  EXPECT_EQ(value.error().code, "invalid_value");
}

// Every kind of value that there is, most of them made as no encoder of ours makes them.
Bytes menagerie() {
  return encoded([](flexbuffers::Builder& builder) {
    builder.Map([&] {
      builder.Null("null");
      builder.Bool("bool", true);
      builder.Int("int", -300);
      builder.UInt("uint", 70'000);
      builder.UInt("uint max", UINT64_MAX);
      builder.Float("float", 1.5F);
      builder.IndirectInt("indirect int", INT64_MIN);
      builder.IndirectUInt("indirect uint", UINT64_MAX);
      builder.IndirectFloat("indirect float", 2.5F);
      builder.IndirectDouble("indirect double", 0.1);
      builder.String("string", "text");
      builder.Key("key");
      builder.Key("word");
      builder.Key("blob");
      builder.Blob("\x01\x02", 2);
      const std::int16_t ints[] = {-1, 300};
      const std::uint8_t uints[] = {1, 2, 255};
      const double doubles[] = {0.5, 0.1};
      const float floats[] = {0.5F, 1.5F, 2.5F, 3.5F};
      const std::int32_t triple[] = {1, -2, 70'000};
      builder.Vector("ints", ints, 2);
      builder.Vector("uints", uints, 3);
      builder.Vector("doubles", doubles, 2);
      builder.FixedTypedVector("floats", floats, 4);
      builder.FixedTypedVector("triple", triple, 3);
      builder.TypedVector("bools", [&] {
        builder.Bool(true);
        builder.Bool(false);
      });
      builder.TypedVector("keys", [&] {
        builder.Key("a");
        builder.Key("b");
      });
      builder.TypedVector("none", [&] { builder.Key("x"); });
      builder.Vector("list", [&] {
        builder.Map([&] { builder.Int("a", 1); });
        builder.Map([&] { builder.Int("a", 2); });
        builder.Vector([&] { builder.String(std::string(300, 's')); });
      });
    });
  });
}

TEST(ForeignValueTest, IsReadAsItsKind) {
  const Value value = Value::from_bytes(menagerie()).value();
  EXPECT_EQ(value["key"].kind(), Kind::kString);
  EXPECT_EQ(value["key"].as_string(), "word");
  EXPECT_EQ(value["uint"].kind(), Kind::kInt);
  EXPECT_EQ(value["uint max"].kind(), Kind::kDouble);
  EXPECT_EQ(value["uint max"].as_int64(), INT64_MAX);
  EXPECT_EQ(value["indirect int"].as_int64(), INT64_MIN);
  EXPECT_EQ(value["indirect uint"].kind(), Kind::kDouble);
  EXPECT_EQ(value["indirect float"].as_double(), 2.5);
  EXPECT_EQ(value["indirect double"].as_double(), 0.1);
  EXPECT_EQ(value["blob"].as_bytes().size(), 2);
  EXPECT_EQ(value["ints"], Value::list({-1, 300}));
  EXPECT_EQ(value["uints"], Value::list({1, 2, 255}));
  EXPECT_EQ(value["doubles"], Value::list({0.5, 0.1}));
  EXPECT_EQ(value["floats"], Value::list({0.5, 1.5, 2.5, 3.5}));
  EXPECT_EQ(value["triple"], Value::list({1, -2, 70'000}));
  EXPECT_EQ(value["bools"], Value::list({true, false}));
  EXPECT_EQ(value["keys"], Value::list({"a", "b"}));
  EXPECT_TRUE(value["ints"][2].is_null());
  EXPECT_TRUE(value["floats"][4].is_null());
  EXPECT_EQ(value.view().to_value(), value);
}

TEST(ForeignValueTest, OfStringsIsReadAsTheirTexts) {
  // A typed vector of strings, which is deprecated because it does not say how wide their sizes
  // are.
  const Bytes bytes = {
      1, 'a', 0, 1, 'b', 0, 2, 6, 4, 2, packed(flexbuffers::FBT_VECTOR_STRING_DEPRECATED), 1};
  EXPECT_EQ(Value::from_bytes(bytes).value(), Value::list({"a", "b"}));
}

TEST(ForeignValueTest, MayShareTextsAndLists) {
  const Bytes texts = encoded(
      [](flexbuffers::Builder& builder) {
        builder.Vector([&] {
          for (int i = 0; i < 1000; ++i) builder.String("user");
        });
      },
      flexbuffers::BUILDER_FLAG_SHARE_KEYS_AND_STRINGS);
  EXPECT_EQ(Value::from_bytes(texts).value()[999].as_string(), "user");
  const Bytes lists = encoded([](flexbuffers::Builder& builder) {
    builder.Vector([&] {
      builder.Vector([&] { builder.Int(1); });
      const auto list = builder.LastValue();
      for (int i = 0; i < 999; ++i) builder.ReuseValue(list);
    });
  });
  EXPECT_EQ(Value::from_bytes(lists).value()[999], Value::list({1}));
}

TEST(ForeignValueTest, MayLieAtAnyAddress) {
  const Bytes bytes = menagerie();
  for (std::size_t shift = 0; shift < 8; ++shift) {
    Bytes moved(shift);
    moved.insert(moved.end(), bytes.begin(), bytes.end());
    EXPECT_TRUE(verify_value(std::span(moved).subspan(shift))) << shift;
  }
}

TEST(HostileValueTest, OfTooFewBytesIsRefused) {
  expect_refused({});
  expect_refused({1});
  expect_refused({0, 1});
  expect_refused({0, 0, 8});
  EXPECT_TRUE(Value::from_bytes({0, 0, 1}).value().is_null());
}

TEST(HostileValueTest, CutShortIsRefused) {
  const Bytes whole = menagerie();
  for (std::size_t length = 0; length < whole.size(); ++length) {
    // What is left may be valid by chance, but is then read like any other value.
    if (const auto value = Value::from_bytes(
            Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)))) {
      (void)value->to_json();
    }
    expect_refused(Bytes(whole.end() - static_cast<std::ptrdiff_t>(length), whole.end()));
  }
}

TEST(HostileValueTest, ThatContainsItselfIsRefused) {
  const auto list = packed(flexbuffers::FBT_VECTOR);
  expect_refused({1, 0, list, 2, list, 1});
  const auto map = packed(flexbuffers::FBT_MAP);
  expect_refused({'a', 0, 1, 3, 1, 1, 1, 0, map, 2, map, 1});
}

TEST(HostileValueTest, WithAKeyWithoutTerminatorIsRefused) {
  expect_refused({'a', 'b', 2, packed(flexbuffers::FBT_KEY), 1});
  EXPECT_EQ(Value::from_bytes({'a', 0, 2, packed(flexbuffers::FBT_KEY), 1}).value(),
            Value::of("a"));
}

TEST(HostileValueTest, WithATextWithoutTerminatorIsRefused) {
  expect_refused({1, 'a', 'b', 2, packed(flexbuffers::FBT_STRING), 1});
  EXPECT_EQ(Value::from_bytes({1, 'a', 0, 2, packed(flexbuffers::FBT_STRING), 1}).value(),
            Value::of("a"));
}

// 206 bytes of lists, each of which holds the one before twice.
TEST(HostileValueTest, ThatWouldNeverEndIsRefused) {
  const auto doubled = [](int times) {
    return encoded([times](flexbuffers::Builder& builder) {
      builder.Vector([&] { builder.Int(1); });
      for (int i = 0; i < times; ++i) {
        builder.ReuseValue(builder.LastValue());
        builder.EndVector(0, false, false);
      }
    });
  };
  expect_refused(doubled(40));
  EXPECT_TRUE(Value::from_bytes(doubled(8)));
}

// Among others it is refused just as it is alone, however much they may visit together.
TEST(HostileValueTest, ThatExpandsTooFarAloneIsRefusedAmongOthersToo) {
  const auto doubled = encoded([](flexbuffers::Builder& builder) {
    builder.Vector([&] { builder.Int(1); });
    for (int i = 0; i < 20; ++i) {
      builder.ReuseValue(builder.LastValue());
      builder.EndVector(0, false, false);
    }
  });
  ASSERT_FALSE(Value::from_bytes(doubled));
  std::size_t expansion_left_bytes = std::size_t{1} << 30;
  EXPECT_FALSE(verify_value(doubled, expansion_left_bytes));

  const Value text = Value::of(std::string(1'000, 'x'));
  expansion_left_bytes = 2'500;
  EXPECT_TRUE(verify_value(text.bytes(), expansion_left_bytes));
  EXPECT_EQ(expansion_left_bytes, 1'500U);
  EXPECT_TRUE(verify_value(text.bytes(), expansion_left_bytes));
  EXPECT_FALSE(verify_value(text.bytes(), expansion_left_bytes));
}

TEST(HostileValueTest, WhoseTextWouldFillTheMemoryIsRefused) {
  expect_refused(encoded(
      [](flexbuffers::Builder& builder) {
        builder.Vector([&] {
          for (int i = 0; i < 20'000; ++i) builder.String(std::string(20'000, 's'));
        });
      },
      flexbuffers::BUILDER_FLAG_SHARE_KEYS_AND_STRINGS));
}

TEST(HostileValueTest, NestedDeeperThanSixtyFourIsRefused) {
  const auto nested = [](int depth) {
    return encoded([depth](flexbuffers::Builder& builder) {
      builder.Int(1);
      for (int i = 0; i < depth; ++i) builder.EndVector(0, false, false);
    });
  };
  EXPECT_TRUE(Value::from_bytes(nested(64)));
  expect_refused(nested(65));
}

TEST(HostileValueTest, WithKeysTwiceOrOutOfOrderIsRefused) {
  expect_refused(encoded([](flexbuffers::Builder& builder) {
    builder.Map([&] {
      builder.Int("a", 1);
      builder.Int("a", 2);
    });
  }));
  const auto with_keys = [](std::uint8_t first, std::uint8_t second) -> Bytes {
    const auto integer = packed(flexbuffers::FBT_INT);
    return {first, 0, second, 0, 2,       5,       4, 2,
            1,     2, 7,      9, integer, integer, 4, packed(flexbuffers::FBT_MAP),
            1};
  };
  EXPECT_EQ(Value::from_bytes(with_keys('a', 'b')).value(), (Value{{"a", 7}, {"b", 9}}));
  expect_refused(with_keys('b', 'a'));
  expect_refused(with_keys('a', 'a'));
}

TEST(HostileValueTest, WithMoreValuesThanKeysIsRefused) {
  const auto integer = packed(flexbuffers::FBT_INT);
  const auto map = packed(flexbuffers::FBT_MAP);
  EXPECT_TRUE(Value::from_bytes({'a', 0, 1, 3, 1, 1, 1, 7, integer, 2, map, 1}));
  expect_refused({'a', 0, 1, 3, 1, 1, 2, 7, 9, integer, integer, 4, map, 1});
}

TEST(HostileValueTest, WithFloatsOfAByteIsRefused) {
  expect_refused({0, packed(flexbuffers::FBT_FLOAT), 1});
  expect_refused({1, 0, 1, packed(flexbuffers::FBT_VECTOR_FLOAT), 1});
}

TEST(HostileValueTest, OfATypeThatDoesNotExistIsRefused) {
  for (int type = 0; type < 64; ++type) {
    const bool exists = type <= flexbuffers::FBT_BOOL || type == flexbuffers::FBT_VECTOR_BOOL;
    const Bytes bytes = {0, 0, 0, 0, 0, 0, 0, 0, 1, static_cast<std::uint8_t>(type << 2), 1};
    if (!exists) expect_refused(bytes);
  }
}

// Reads all that can be read; under a sanitizer, that is the check.
std::size_t walk(const ValueView& value) {
  std::size_t seen = value.as_string().size() + value.as_bytes().size() +
                     static_cast<std::size_t>(value.as_bool());
  (void)value.as_int64();
  (void)value.as_double();
  for (const std::byte each : value.as_bytes()) seen += std::to_integer<std::size_t>(each);
  for (const char each : value.as_string()) seen += each == 'x' ? 1 : 0;
  for (std::size_t i = 0; i < value.size(); ++i) {
    seen += walk(value[i]);
    if (value.kind() == Kind::kMap) {
      EXPECT_TRUE(value.contains(value.key(i)));
      EXPECT_EQ(value[value.key(i)].kind(), value[i].kind());
    }
  }
  return seen;
}

// One to four random changes to a valid buffer, 20,000 times: never a crash, and what is accepted
// can be walked, printed and copied, and is still the same.
TEST(HostileValueTest, IsRefusedOrCanBeReadWhole) {
  std::mt19937_64 random(test::test_seed());
  const auto below = [&random](std::size_t bound) { return random() % bound; };
  const Bytes seeds[] = {menagerie(), encoded([](flexbuffers::Builder& builder) {
                           builder.Map([&] {
                             builder.String("question", "What is shared memory?");
                             builder.Map("options", [&] { builder.Int("k", 3); });
                           });
                         }),
                         encoded([](flexbuffers::Builder& builder) {
                           builder.Vector([&] {
                             builder.Map([&] { builder.Bool("a", true); });
                             builder.Vector([&] { builder.Key("key"); });
                           });
                         })};
  std::size_t accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    Bytes bytes = seeds[below(std::size(seeds))];
    for (std::size_t changes = 1 + below(4); changes > 0; --changes) {
      std::uint8_t& byte = bytes[below(bytes.size())];
      switch (below(3)) {
        case 0:
          byte = static_cast<std::uint8_t>(random());
          break;
        case 1:
          byte = static_cast<std::uint8_t>(byte ^ 1U << below(8));
          break;
        default:
          byte = static_cast<std::uint8_t>(byte + below(5) - 2);
      }
    }
    if (below(10) == 0)
      bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(below(bytes.size())));
    const auto value = Value::from_bytes(bytes);
    if (!value) continue;
    ++accepted;
    (void)walk(*value);
    EXPECT_EQ(value->view().to_value().to_json(), value->to_json());
    (void)(*value == value->view().to_value());
  }
  EXPECT_GT(accepted, 1000);
}

}  // namespace
}  // namespace dspool
