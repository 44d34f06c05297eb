// How a FlexBuffer lies in memory, for those who read one in place.
//
//   [ string: size | bytes | NUL ]  [ vector: size | elements | packed types ]  ...  [ root ]
//
// An element is a slot in its parent: a scalar, or how far *back* the thing lies that it means.
// A slot is as wide as its parent says (1, 2, 4 or 8 bytes); the packed type, which stands
// elsewhere, has the type in its upper six bits and in its lower two how wide the slots (or the
// size) of the thing are. A map is a vector of values with two slots before its size: where its
// keys are, a vector of their own, and how wide that vector's slots are.
//
// The library's accessors are not used to read: they need aligned memory (a load through a cast
// pointer is undefined behaviour elsewhere), NUL-terminated keys to look for, and a terminator that
// the library's verifier does not look for. These loads work at any address.
#pragma once

#include <flatbuffers/flexbuffers.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace dspool::flex {

static_assert(FLATBUFFERS_LITTLEENDIAN);

using flexbuffers::Type;

constexpr std::uint8_t kPackedNull = flexbuffers::FBT_NULL << 2;
// A null alone: its slot, its packed type, how wide the slot is.
constexpr std::array<std::uint8_t, 3> kNullValue{0, kPackedNull, 1};

[[nodiscard]] constexpr std::uint8_t pack(Type type, std::uint8_t width_code = 0) noexcept {
  return static_cast<std::uint8_t>(type << 2 | width_code);
}
[[nodiscard]] constexpr Type type_of(std::uint8_t packed) noexcept {
  return static_cast<Type>(packed >> 2);
}
[[nodiscard]] constexpr std::uint8_t width_of(std::uint8_t packed) noexcept {
  return static_cast<std::uint8_t>(1U << (packed & 3U));
}

template <typename T>
[[nodiscard]] T load(const std::uint8_t* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

[[nodiscard]] inline std::uint64_t read_unsigned(const std::uint8_t* from,
                                                 std::uint8_t width) noexcept {
  switch (width) {
    case 1:
      return *from;
    case 2:
      return load<std::uint16_t>(from);
    case 4:
      return load<std::uint32_t>(from);
    default:
      return load<std::uint64_t>(from);
  }
}

[[nodiscard]] inline std::int64_t read_signed(const std::uint8_t* from,
                                              std::uint8_t width) noexcept {
  switch (width) {
    case 1:
      return static_cast<std::int8_t>(*from);
    case 2:
      return load<std::int16_t>(from);
    case 4:
      return load<std::int32_t>(from);
    default:
      return load<std::int64_t>(from);
  }
}

// REQUIRES: width is 4 or 8. There are no shorter floats.
[[nodiscard]] inline double read_float(const std::uint8_t* from, std::uint8_t width) noexcept {
  return width == 4 ? static_cast<double>(load<float>(from)) : load<double>(from);
}

struct Element {
  const std::uint8_t* slot = nullptr;
  std::uint8_t slot_width = 1;
  std::uint8_t packed = kPackedNull;

  [[nodiscard]] Type type() const noexcept { return type_of(packed); }
  [[nodiscard]] std::uint8_t width() const noexcept { return width_of(packed); }
  // REQUIRES: the type is not an inline one.
  [[nodiscard]] const std::uint8_t* target() const noexcept {
    return slot - read_unsigned(slot, slot_width);
  }
};

// The elements of any of the kinds of vectors; of a map, its values.
struct Elements {
  const std::uint8_t* first = nullptr;
  std::uint8_t width = 1;
  std::size_t size = 0;
  bool typed = false;                          // else each element's packed type follows the last
  std::uint8_t packed_if_typed = kPackedNull;  // the one of all of them

  // REQUIRES: index < size.
  [[nodiscard]] Element operator[](std::size_t index) const noexcept {
    return {first + index * width, width, typed ? packed_if_typed : first[size * width + index]};
  }
};

// Empty for what is no vector.
[[nodiscard]] inline Elements elements_of(const Element& vector) noexcept {
  const Type type = vector.type();
  if (type == flexbuffers::FBT_VECTOR || type == flexbuffers::FBT_MAP ||
      flexbuffers::IsTypedVector(type)) {
    const std::uint8_t* const first = vector.target();
    const std::uint8_t width = vector.width();
    const auto size = static_cast<std::size_t>(read_unsigned(first - width, width));
    if (!flexbuffers::IsTypedVector(type)) return {first, width, size};
    const Type element = flexbuffers::ToTypedVectorElementType(type);
    // A vector of strings does not say how wide their sizes are: they can only be read as keys.
    return {first, width, size, true,
            pack(element == flexbuffers::FBT_STRING ? flexbuffers::FBT_KEY : element)};
  }
  if (flexbuffers::IsFixedTypedVector(type)) {
    std::uint8_t size = 0;
    const Type element = flexbuffers::ToFixedTypedVectorElementType(type, &size);
    return {vector.target(), vector.width(), size, true, pack(element)};
  }
  return {};
}

// REQUIRES: the type is FBT_MAP.
[[nodiscard]] inline Elements keys_of(const Element& map) noexcept {
  const std::uint8_t width = map.width();
  const std::uint8_t* const prefix = map.target() - std::size_t{3} * width;
  const std::uint8_t* const first = prefix - read_unsigned(prefix, width);
  const auto key_width = static_cast<std::uint8_t>(read_unsigned(prefix + width, width));
  const auto size = static_cast<std::size_t>(read_unsigned(first - key_width, key_width));
  return {first, key_width, size, true, pack(flexbuffers::FBT_KEY)};
}

[[nodiscard]] inline std::string_view key_text(const Element& key) noexcept {
  return reinterpret_cast<const char*>(key.target());
}

}  // namespace dspool::flex
