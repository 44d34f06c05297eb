// Values one after the other in one piece of memory: each begins on a multiple of 8 with its length
// in bytes, a u64, and is padded with zeros to the next multiple of 8. So a field grows by what is
// appended to it, and by nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace dspool::ipc {

// What a value takes in a sequence.
constexpr std::size_t sequence_bytes(std::size_t value_bytes) noexcept {
  constexpr std::size_t kAlignment = sizeof(std::uint64_t);
  return sizeof(std::uint64_t) + (value_bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// Writes a value where a sequence ends. REQUIRES: `to` is aligned to 8 and has sequence_bytes().
inline void write_in_sequence(std::byte* to, std::span<const std::byte> value) noexcept {
  const std::uint64_t length = value.size();
  std::memcpy(to, &length, sizeof length);
  if (!value.empty()) std::memcpy(to + sizeof length, value.data(), value.size());
  const std::size_t end = sizeof length + value.size();
  std::memset(to + end, 0, sequence_bytes(value.size()) - end);
}

// Reads a sequence from its beginning. A length that cannot be ends it: `is_damaged`.
class ValueSequence {
 public:
  explicit ValueSequence(std::span<const std::byte> bytes) noexcept : rest_(bytes) {}

  std::optional<std::span<const std::byte>> next() noexcept {
    std::uint64_t length = 0;
    if (rest_.size() < sizeof length) return std::nullopt;
    std::memcpy(&length, rest_.data(), sizeof length);
    if (length > rest_.size() || sequence_bytes(length) > rest_.size()) return std::nullopt;
    const auto value = rest_.subspan(sizeof length, length);
    rest_ = rest_.subspan(sequence_bytes(length));
    return value;
  }

  // Once `next` has come to the end.
  [[nodiscard]] bool is_damaged() const noexcept { return !rest_.empty(); }

 private:
  std::span<const std::byte> rest_;
};

}  // namespace dspool::ipc
