#include "engine/api/value_verifier.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include "engine/api/flexbuffer.h"

namespace dspool {
namespace {

bool is_width(std::uint64_t width) noexcept {
  return width == 1 || width == 2 || width == 4 || width == 8;
}

// Walks the buffer by offsets into it, each of which is checked before anything is read there.
class Walk {
 public:
  Walk(std::span<const std::uint8_t> bytes, std::size_t& expansion_left) noexcept
      : bytes_(bytes), expansion_left_(expansion_left) {}

  bool root() noexcept {
    if (bytes_.size() < 3) return false;
    const std::uint8_t width = bytes_.back();
    if (!is_width(width) || bytes_.size() < std::size_t{2} + width) return false;
    const std::size_t slot = bytes_.size() - 2 - width;
    return slot % width == 0 && element({slot, width}, bytes_[bytes_.size() - 2], 0);
  }

 private:
  struct Slot {
    std::size_t at;
    std::uint8_t width;
  };
  struct Run {
    std::size_t first;
    std::uint64_t size;
  };

  // `depth` lists and maps stand around it. REQUIRES: the slot lies inside the buffer.
  bool element(Slot slot, std::uint8_t packed, std::size_t depth) noexcept {
    const flex::Type type = flex::type_of(packed);
    const std::uint8_t width = flex::width_of(packed);
    switch (type) {
      case flexbuffers::FBT_NULL:
      case flexbuffers::FBT_INT:
      case flexbuffers::FBT_UINT:
      case flexbuffers::FBT_BOOL:
        return true;
      case flexbuffers::FBT_FLOAT:
        return slot.width >= 4;
      case flexbuffers::FBT_INDIRECT_INT:
      case flexbuffers::FBT_INDIRECT_UINT:
        return fixed(slot, width, 1);
      case flexbuffers::FBT_INDIRECT_FLOAT:
        return width >= 4 && fixed(slot, width, 1);
      case flexbuffers::FBT_KEY:
        return key(slot).has_value();
      case flexbuffers::FBT_STRING: {
        const auto text = sized(slot, width, 1, 1);
        return text && bytes_[text->first + text->size] == 0;
      }
      case flexbuffers::FBT_BLOB:
        return sized(slot, width, 1, 0).has_value();
      case flexbuffers::FBT_VECTOR:
        return depth < kMaxValueDepth && vector(slot, width, depth).has_value();
      case flexbuffers::FBT_MAP:
        return depth < kMaxValueDepth && map(slot, width, depth);
      case flexbuffers::FBT_VECTOR_INT:
      case flexbuffers::FBT_VECTOR_UINT:
      case flexbuffers::FBT_VECTOR_BOOL:
        return depth < kMaxValueDepth && sized(slot, width, width, 0);
      case flexbuffers::FBT_VECTOR_FLOAT:
        return depth < kMaxValueDepth && width >= 4 && sized(slot, width, width, 0);
      case flexbuffers::FBT_VECTOR_KEY:
      case flexbuffers::FBT_VECTOR_STRING_DEPRECATED:
        return depth < kMaxValueDepth && keys(slot, width, false).has_value();
      default:
        return depth < kMaxValueDepth && flexbuffers::IsFixedTypedVector(type) &&
               fixed_vector(slot, type, width);
    }
  }

  // Where the slot points to, when that lies before it and is aligned.
  std::optional<std::size_t> target(Slot slot, std::uint8_t alignment) const noexcept {
    const std::uint64_t back = flex::read_unsigned(&bytes_[slot.at], slot.width);
    if (back > slot.at || (slot.at - back) % alignment != 0) return std::nullopt;
    return slot.at - back;
  }

  // Nothing is visited that has not been paid for here: each element costs a byte at least.
  bool expand(std::uint64_t size) noexcept {
    if (size > expansion_left_) return false;
    expansion_left_ -= size;
    return true;
  }

  // `count` scalars of `width` bytes, without a size before them.
  bool fixed(Slot slot, std::uint8_t width, std::size_t count) noexcept {
    const auto at = target(slot, width);
    return at && width * count <= bytes_.size() - *at && expand(width * count);
  }

  bool fixed_vector(Slot slot, flex::Type type, std::uint8_t width) noexcept {
    std::uint8_t count = 0;
    const flex::Type element = flexbuffers::ToFixedTypedVectorElementType(type, &count);
    return (element != flexbuffers::FBT_FLOAT || width >= 4) && fixed(slot, width, count);
  }

  // `stride` bytes for each of as many elements as the size before them says, and `trailing` more.
  std::optional<Run> sized(Slot slot, std::uint8_t width, std::size_t stride,
                           std::size_t trailing) noexcept {
    const auto first = target(slot, width);
    if (!first || *first < width) return std::nullopt;
    const std::uint64_t size = flex::read_unsigned(&bytes_[*first - width], width);
    const std::size_t room = bytes_.size() - *first;
    if (room < trailing || size > (room - trailing) / stride) return std::nullopt;
    if (!expand(size * stride)) return std::nullopt;
    return Run{*first, size};
  }

  std::optional<Run> vector(Slot slot, std::uint8_t width, std::size_t depth) noexcept {
    const auto run = sized(slot, width, std::size_t{width} + 1, 0);
    if (!run) return std::nullopt;
    for (std::size_t i = 0; i < run->size; ++i) {
      const std::uint8_t packed = bytes_[run->first + run->size * width + i];
      if (!element({run->first + i * width, width}, packed, depth + 1)) return std::nullopt;
    }
    return run;
  }

  bool map(Slot slot, std::uint8_t width, std::size_t depth) noexcept {
    const auto values = vector(slot, width, depth);
    if (!values || values->first < std::size_t{3} * width) return false;
    const std::size_t prefix = values->first - std::size_t{3} * width;
    const std::uint64_t key_width = flex::read_unsigned(&bytes_[prefix + width], width);
    if (!is_width(key_width)) return false;
    const auto names = keys({prefix, width}, static_cast<std::uint8_t>(key_width), true);
    return names && names->size == values->size;
  }

  std::optional<Run> keys(Slot slot, std::uint8_t width, bool ascending) noexcept {
    const auto run = sized(slot, width, width, 0);
    if (!run) return std::nullopt;
    std::optional<std::string_view> previous;
    for (std::size_t i = 0; i < run->size; ++i) {
      const auto name = key({run->first + i * width, width});
      if (!name || (ascending && previous && *previous >= *name)) return std::nullopt;
      previous = name;
    }
    return run;
  }

  std::optional<std::string_view> key(Slot slot) noexcept {
    const auto at = target(slot, 1);
    if (!at) return std::nullopt;
    const auto* const text = reinterpret_cast<const char*>(&bytes_[*at]);
    const auto* const end = static_cast<const char*>(std::memchr(text, 0, bytes_.size() - *at));
    if (end == nullptr || !expand(static_cast<std::size_t>(end - text))) return std::nullopt;
    return std::string_view(text, static_cast<std::size_t>(end - text));
  }

  const std::span<const std::uint8_t> bytes_;
  std::size_t& expansion_left_;  // bytes that may still be visited
};

}  // namespace

bool verify_value(std::span<const std::uint8_t> bytes) noexcept {
  std::size_t expansion_left = expansion_limit_bytes(bytes.size());
  return verify_value(bytes, expansion_left);
}

bool verify_value(std::span<const std::uint8_t> bytes, std::size_t& expansion_left_bytes) noexcept {
  const std::size_t most = std::min(expansion_limit_bytes(bytes.size()), expansion_left_bytes);
  std::size_t left = most;
  const bool good = Walk(bytes, left).root();
  expansion_left_bytes -= most - left;
  return good;
}

}  // namespace dspool
