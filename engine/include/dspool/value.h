// Dynamic values: what commands take and return. A Value owns one FlexBuffer and never changes;
// a ValueView looks into one without owning it.
//
//   Value args{{"question", "What is shared memory?"}, {"options", {{"k", 3}}}};
//   args["options"]["k"].as_int64();  // 3
//
// Reading never fails hard: a missing key or index is a null view, a view of another kind reads
// as that kind's zero (as_bool() of an int is false; only numbers convert to each other). Ask
// `kind()` where the difference matters.
//
// Invariants of what Value's functions make and from_bytes() accepts
//   I1  nesting: a list or map stands in at most 63 others. (A Value assembled deeper from other
//       Values works here, and is refused by whoever verifies it.)
//   I2  the keys of a map are unique and ascending in bytewise order. Keys are C strings: they
//       hold no NUL. A literal's key ends at its first NUL; parse_json() refuses one.
//   I3  integers are those of std::int64_t. A larger unsigned one is a kDouble everywhere.
//   I4  a full walk visits at most a bounded multiple of the buffer's bytes (FlexBuffers may refer
//       to one element from many places, which would otherwise make a few bytes endless).
// Strings may hold any bytes; those that are not UTF-8 are for a Python worker an error.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "dspool/error.h"

namespace dspool {

enum class Kind : std::uint8_t { kNull, kBool, kInt, kDouble, kString, kBytes, kList, kMap };
[[nodiscard]] std::string_view to_string(Kind kind) noexcept;  // "null", "bool", "int", ...

class Value;

class ValueView {
 public:
  ValueView() noexcept = default;  // null

  [[nodiscard]] Kind kind() const noexcept;
  [[nodiscard]] bool is_null() const noexcept { return kind() == Kind::kNull; }
  [[nodiscard]] bool as_bool() const noexcept;
  // Doubles are truncated; those out of range read as the nearest limit, NaN as 0.
  [[nodiscard]] std::int64_t as_int64() const noexcept;
  [[nodiscard]] double as_double() const noexcept;  // integers are converted
  [[nodiscard]] std::string_view as_string() const noexcept;
  [[nodiscard]] std::span<const std::byte> as_bytes() const noexcept;

  [[nodiscard]] std::size_t size() const noexcept;  // of a list or map; 0 for all others
  [[nodiscard]] ValueView operator[](std::string_view key) const noexcept;
  [[nodiscard]] ValueView operator[](std::size_t index) const noexcept;  // maps: in key order
  [[nodiscard]] std::string_view key(std::size_t index) const noexcept;  // of a map
  [[nodiscard]] bool contains(std::string_view key) const noexcept;

  [[nodiscard]] Value to_value() const;  // an owning copy
  // Compact JSON. Doubles round-trip and stay doubles ("3.0"); bytes become base64 strings; NaN
  // and infinities null. What is not UTF-8 in a string or key is written as U+FFFD.
  [[nodiscard]] std::string to_json() const;

 private:
  friend class Value;
  ValueView(const std::uint8_t* data, std::uint8_t parent_width, std::uint8_t packed_type) noexcept
      : data_(data), parent_width_(parent_width), packed_type_(packed_type) {}

  const std::uint8_t* data_ = nullptr;
  std::uint8_t parent_width_ = 1;
  std::uint8_t packed_type_ = 0;
};

// Equal when of the same kind and equal throughout; kInt and kDouble never equal each other, and
// doubles compare as doubles do (NaN equals nothing). How a value is encoded makes no difference.
[[nodiscard]] bool operator==(const ValueView& a, const ValueView& b) noexcept;

class Value {
 public:
  class Item;  // what a literal may hold
  using Member = std::pair<std::string_view, Item>;

  Value() noexcept = default;                         // null, without a buffer
  Value(std::initializer_list<Member> members);       // a map; of equal keys the last one counts
  static Value map(std::span<const Member> members);  // the same
  static Value list(std::initializer_list<Item> items);
  static Value list(std::span<const Item> items);
  static Value of(Item item);  // a scalar

  // Strict JSON (RFC 8259). A number without fraction and exponent that fits is a kInt, every
  // other one a kDouble; of equal keys the last one counts. Errors: communication / "invalid_json",
  // with line and column (in characters): also for nesting deeper than 64, numbers that no double
  // holds, invalid UTF-8, unpaired surrogates, and keys with a NUL.
  static Result<Value> parse_json(std::string_view text);
  // Takes bytes that somebody else encoded, after verifying them (invariants I1, I2, I4).
  // Errors: communication / "invalid_value".
  static Result<Value> from_bytes(std::vector<std::uint8_t> bytes);
  // The same for bytes that were verified already.
  static Value from_verified(std::vector<std::uint8_t> bytes) noexcept;

  // The FlexBuffer. A null Value without a buffer gives the encoding of an empty map: what a
  // command without arguments receives.
  [[nodiscard]] std::span<const std::uint8_t> bytes() const noexcept;

  [[nodiscard]] ValueView view() const noexcept;
  operator ValueView() const noexcept { return view(); }  // NOLINT(google-explicit-constructor)

  [[nodiscard]] Kind kind() const noexcept { return view().kind(); }
  [[nodiscard]] bool is_null() const noexcept { return view().is_null(); }
  [[nodiscard]] bool as_bool() const noexcept { return view().as_bool(); }
  [[nodiscard]] std::int64_t as_int64() const noexcept { return view().as_int64(); }
  [[nodiscard]] double as_double() const noexcept { return view().as_double(); }
  [[nodiscard]] std::string_view as_string() const noexcept { return view().as_string(); }
  [[nodiscard]] std::size_t size() const noexcept { return view().size(); }
  [[nodiscard]] ValueView operator[](std::string_view key) const noexcept { return view()[key]; }
  [[nodiscard]] ValueView operator[](std::size_t index) const noexcept { return view()[index]; }
  [[nodiscard]] bool contains(std::string_view key) const noexcept { return view().contains(key); }
  [[nodiscard]] std::string to_json() const { return view().to_json(); }

 private:
  std::vector<std::uint8_t> buffer_;
};

// One member or element of a literal, and of what map() and list() are given. It owns nothing:
// what it was made from must live until the Value is made. In a literal, `{}` is an empty map and
// `{{"k", 1}}` a map; a list is written `Value::list({1, 2})`.
class Value::Item {
 public:
  struct Text {
    std::string_view characters;
    bool terminated;  // a NUL follows the last character
  };
  using Content =
      std::variant<std::nullptr_t, bool, std::int64_t, double, Text, std::span<const std::byte>,
                   ValueView, std::span<const Member>, std::span<const Item>>;

  // NOLINTBEGIN(google-explicit-constructor): literals are made of implicit conversions
  Item(std::nullptr_t) noexcept : content_(nullptr) {}
  template <std::same_as<bool> T>
  Item(T value) noexcept : content_(value) {}
  template <std::integral T>
  requires(!std::same_as<T, bool>) Item(T value)
  noexcept : content_(static_cast<std::int64_t>(value)) {
    if (!std::in_range<std::int64_t>(value)) content_ = static_cast<double>(value);
  }
  Item(char) = delete;  // "c", or an integer type
  template <std::floating_point T>
  Item(T value) noexcept : content_(static_cast<double>(value)) {}
  Item(const char* text) noexcept : content_(Text{text, true}) {}  // REQUIRES: not null
  Item(const std::string& text) noexcept : content_(Text{text, true}) {}
  Item(std::string_view text) noexcept : content_(Text{text, false}) {}
  template <std::convertible_to<std::span<const std::byte>> Bytes>
  Item(const Bytes& bytes) noexcept : content_(std::span<const std::byte>(bytes)) {}
  Item(ValueView value) noexcept : content_(value) {}
  Item(const Value& value) noexcept : content_(value.view()) {}
  Item(std::initializer_list<Member> members) noexcept;
  template <std::convertible_to<std::span<const Member>> Members>
  Item(const Members& members) noexcept : content_(std::span<const Member>(members)) {}  // a map
  template <std::convertible_to<std::span<const Item>> Items>
  Item(const Items& items) noexcept : content_(std::span<const Item>(items)) {}  // a list
  // NOLINTEND(google-explicit-constructor)

  [[nodiscard]] const Content& content() const noexcept { return content_; }

 private:
  Content content_;
};

inline Value::Item::Item(std::initializer_list<Member> members) noexcept
    : content_(std::span<const Member>(members.begin(), members.size())) {}

}  // namespace dspool
