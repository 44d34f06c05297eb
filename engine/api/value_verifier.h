// Whether bytes that somebody else wrote are a FlexBuffer that can be read without looking again.
//
// The library's own verifier (2.0.8) does not do here. It takes a key without a terminator, so that
// reading it runs past the buffer; with its reuse tracker it takes cycles, and 206 bytes that walk
// as 2^40 elements; and it refuses what is harmless, a buffer in which 64 strings are shared.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace dspool {

// Lists and maps in each other. What ValueView and the JSON writer recurse over.
constexpr std::size_t kMaxValueDepth = 64;

// True when a walk over everything reachable from the root
//   - stays inside `bytes`, meets only types and widths that exist, properly aligned,
//   - nests no deeper than kMaxValueDepth,
//   - visits at most expansion_limit_bytes(bytes.size()),
//   - and finds texts terminated, and keys unique, in ascending order, and one for each value.
// Allocates nothing; `bytes` may lie at any address, though it was made for an aligned one.
// Only the caller may be able to change `bytes` from here on.
[[nodiscard]] bool verify_value(std::span<const std::uint8_t> bytes) noexcept;

// How many bytes a walk over a buffer of this size may visit. What is shared counts each time that
// it is referred to, so that this bounds what verifying costs, and what a copy takes.
[[nodiscard]] constexpr std::size_t expansion_limit_bytes(std::size_t size_bytes) noexcept {
  return size_bytes * 64 + (std::size_t{1} << 20);
}

// The same for one of several values that came together: what it visits is also taken from what
// they may visit together, `expansion_left_bytes`, or it is refused. What passes here passes alone,
// too: it may be read again without those that it came with.
[[nodiscard]] bool verify_value(std::span<const std::uint8_t> bytes,
                                std::size_t& expansion_left_bytes) noexcept;

}  // namespace dspool
