// How long the blocks of the state segment are: multiples of 16 up to 128 bytes, then four sizes
// for each power of two up to kLongestInSpan, then whole pages.
#pragma once

#include <bit>
#include <cstddef>

namespace dspool::ipc {

inline constexpr std::size_t kStatePageBytes = 4096;
inline constexpr std::size_t kSpanPages = 16;
inline constexpr std::size_t kSpanBytes = kSpanPages * kStatePageBytes;
inline constexpr std::size_t kLongestInSpan = kSpanBytes / 4;

inline constexpr std::size_t kSizeStepBytes = 16;
inline constexpr std::size_t kFirstPower = 7;  // 128, up to which sizes differ by one step

// A class for each size. REQUIRES: 0 < bytes <= kLongestInSpan.
[[nodiscard]] constexpr std::size_t size_class_of(std::size_t bytes) noexcept {
  if (bytes <= std::size_t{1} << kFirstPower) return (bytes - 1) / kSizeStepBytes;
  const auto power = static_cast<std::size_t>(std::bit_width(bytes - 1)) - 1;
  const std::size_t quarter = (bytes - 1) >> (power - 2);  // 4 to 7
  return 8 + (power - kFirstPower) * 4 + (quarter - 4);
}

[[nodiscard]] constexpr std::size_t size_of_class(std::size_t size_class) noexcept {
  if (size_class < 8) return (size_class + 1) * kSizeStepBytes;
  const std::size_t power = kFirstPower + (size_class - 8) / 4;
  return ((size_class - 8) % 4 + 5) << (power - 2);
}

inline constexpr std::size_t kSizeClasses = size_class_of(kLongestInSpan) + 1;
static_assert(size_of_class(kSizeClasses - 1) == kLongestInSpan);
static_assert(size_of_class(size_class_of(129)) == 160 && size_of_class(size_class_of(128)) == 128);

[[nodiscard]] constexpr std::size_t pages_for(std::size_t bytes) noexcept {
  return (bytes + kStatePageBytes - 1) / kStatePageBytes;
}

}  // namespace dspool::ipc
