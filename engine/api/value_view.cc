// Reading values in place. Everything here relies on what verify_value() has seen to.
#include <algorithm>
#include <limits>
#include <optional>

#include "dspool/value.h"
#include "engine/api/flexbuffer.h"
#include "engine/api/json_writer.h"

namespace dspool {
namespace {

constexpr auto kIntMax = std::numeric_limits<std::int64_t>::max();
constexpr auto kIntMin = std::numeric_limits<std::int64_t>::min();

// A number as it is stored: beside its parent's other elements, or elsewhere.
struct Number {
  const std::uint8_t* at;
  std::uint8_t width;
};

Number number_of(const flex::Element& element) noexcept {
  if (flexbuffers::IsInline(element.type())) return {element.slot, element.slot_width};
  return {element.target(), element.width()};
}

std::uint64_t unsigned_of(const flex::Element& element) noexcept {
  const Number number = number_of(element);
  return flex::read_unsigned(number.at, number.width);
}

std::int64_t truncated(double value) noexcept {
  if (value >= static_cast<double>(kIntMax)) return kIntMax;  // 2^63, which no int64 holds
  if (value <= static_cast<double>(kIntMin)) return kIntMin;
  return value == value ? static_cast<std::int64_t>(value) : 0;
}

// Where `key` stands, or would stand, among the keys of a map.
std::size_t lower_bound(const flex::Elements& keys, std::string_view key) noexcept {
  std::size_t first = 0;
  for (std::size_t count = keys.size; count > 0;) {
    const std::size_t half = count / 2;
    if (flex::key_text(keys[first + half]) < key) {
      first += half + 1;
      count -= half + 1;
    } else {
      count = half;
    }
  }
  return first;
}

std::optional<std::size_t> find_key(const flex::Element& map, std::string_view key) noexcept {
  if (map.type() != flexbuffers::FBT_MAP) return std::nullopt;
  const flex::Elements keys = flex::keys_of(map);
  const std::size_t index = lower_bound(keys, key);
  if (index == keys.size || flex::key_text(keys[index]) != key) return std::nullopt;
  return index;
}

}  // namespace

std::string_view to_string(Kind kind) noexcept {
  switch (kind) {
    case Kind::kNull:
      return "null";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kDouble:
      return "double";
    case Kind::kString:
      return "string";
    case Kind::kBytes:
      return "bytes";
    case Kind::kList:
      return "list";
    case Kind::kMap:
      return "map";
  }
  return "unknown";
}

Kind ValueView::kind() const noexcept {
  const flex::Element element{data_, parent_width_, packed_type_};
  switch (element.type()) {
    case flexbuffers::FBT_NULL:
      return Kind::kNull;
    case flexbuffers::FBT_BOOL:
      return Kind::kBool;
    case flexbuffers::FBT_INT:
    case flexbuffers::FBT_INDIRECT_INT:
      return Kind::kInt;
    case flexbuffers::FBT_UINT:
    case flexbuffers::FBT_INDIRECT_UINT:
      return unsigned_of(element) > std::uint64_t{kIntMax} ? Kind::kDouble : Kind::kInt;
    case flexbuffers::FBT_FLOAT:
    case flexbuffers::FBT_INDIRECT_FLOAT:
      return Kind::kDouble;
    case flexbuffers::FBT_KEY:
    case flexbuffers::FBT_STRING:
      return Kind::kString;
    case flexbuffers::FBT_BLOB:
      return Kind::kBytes;
    case flexbuffers::FBT_MAP:
      return Kind::kMap;
    default:
      return Kind::kList;
  }
}

bool ValueView::as_bool() const noexcept {
  const flex::Element element{data_, parent_width_, packed_type_};
  return element.type() == flexbuffers::FBT_BOOL && unsigned_of(element) != 0;
}

std::int64_t ValueView::as_int64() const noexcept {
  const flex::Element element{data_, parent_width_, packed_type_};
  switch (element.type()) {
    case flexbuffers::FBT_INT:
    case flexbuffers::FBT_INDIRECT_INT: {
      const Number number = number_of(element);
      return flex::read_signed(number.at, number.width);
    }
    case flexbuffers::FBT_UINT:
    case flexbuffers::FBT_INDIRECT_UINT:
      return static_cast<std::int64_t>(std::min(unsigned_of(element), std::uint64_t{kIntMax}));
    case flexbuffers::FBT_FLOAT:
    case flexbuffers::FBT_INDIRECT_FLOAT:
      return truncated(as_double());
    default:
      return 0;
  }
}

double ValueView::as_double() const noexcept {
  const flex::Element element{data_, parent_width_, packed_type_};
  switch (element.type()) {
    case flexbuffers::FBT_INT:
    case flexbuffers::FBT_INDIRECT_INT:
      return static_cast<double>(as_int64());
    case flexbuffers::FBT_UINT:
    case flexbuffers::FBT_INDIRECT_UINT:
      return static_cast<double>(unsigned_of(element));
    case flexbuffers::FBT_FLOAT:
    case flexbuffers::FBT_INDIRECT_FLOAT: {
      const Number number = number_of(element);
      return flex::read_float(number.at, number.width);
    }
    default:
      return 0;
  }
}

std::string_view ValueView::as_string() const noexcept {
  const flex::Element element{data_, parent_width_, packed_type_};
  if (element.type() == flexbuffers::FBT_KEY) return flex::key_text(element);
  if (element.type() != flexbuffers::FBT_STRING) return {};
  const std::uint8_t* const text = element.target();
  return {reinterpret_cast<const char*>(text),
          static_cast<std::size_t>(flex::read_unsigned(text - element.width(), element.width()))};
}

std::span<const std::byte> ValueView::as_bytes() const noexcept {
  const flex::Element element{data_, parent_width_, packed_type_};
  if (element.type() != flexbuffers::FBT_BLOB) return {};
  const std::uint8_t* const first = element.target();
  return {reinterpret_cast<const std::byte*>(first),
          static_cast<std::size_t>(flex::read_unsigned(first - element.width(), element.width()))};
}

std::size_t ValueView::size() const noexcept {
  return flex::elements_of({data_, parent_width_, packed_type_}).size;
}

ValueView ValueView::operator[](std::string_view key) const noexcept {
  const auto index = find_key({data_, parent_width_, packed_type_}, key);
  return index ? (*this)[*index] : ValueView();
}

ValueView ValueView::operator[](std::size_t index) const noexcept {
  const flex::Elements elements = flex::elements_of({data_, parent_width_, packed_type_});
  if (index >= elements.size) return {};
  const flex::Element element = elements[index];
  return {element.slot, element.slot_width, element.packed};
}

std::string_view ValueView::key(std::size_t index) const noexcept {
  const flex::Element element{data_, parent_width_, packed_type_};
  if (element.type() != flexbuffers::FBT_MAP) return {};
  const flex::Elements keys = flex::keys_of(element);
  return index < keys.size ? flex::key_text(keys[index]) : std::string_view();
}

bool ValueView::contains(std::string_view key) const noexcept {
  return find_key({data_, parent_width_, packed_type_}, key).has_value();
}

Value ValueView::to_value() const { return Value::of(*this); }

std::string ValueView::to_json() const {
  std::string out;
  append_json(out, *this);
  return out;
}

bool operator==(const ValueView& a, const ValueView& b) noexcept {
  const Kind kind = a.kind();
  if (kind != b.kind()) return false;
  switch (kind) {
    case Kind::kNull:
      return true;
    case Kind::kBool:
      return a.as_bool() == b.as_bool();
    case Kind::kInt:
      return a.as_int64() == b.as_int64();
    case Kind::kDouble:
      return a.as_double() == b.as_double();
    case Kind::kString:
      return a.as_string() == b.as_string();
    case Kind::kBytes:
      return std::ranges::equal(a.as_bytes(), b.as_bytes());
    case Kind::kList:
    case Kind::kMap:
      break;
  }
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a.key(i) != b.key(i) || !(a[i] == b[i])) return false;  // a list's keys are empty
  }
  return true;
}

}  // namespace dspool
