// How records stand in a log: each in a frame that says how long it is, and what it hashes to.
//
//   offset  0        4        8                16
//           [ length | mark   | checksum       | body: `length` bytes | zeros up to a multiple of 8
//           ]
//
// The checksum is over the body, seeded with length and mark: a frame whose header is damaged does
// not pass either. Bodies are aligned to 8 where the log is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <tl/expected.hpp>
#include <vector>

namespace dspool::store {

struct FrameHeader {
  std::uint32_t length = 0;
  std::uint32_t mark = 0;
  std::uint64_t checksum = 0;
};
static_assert(sizeof(FrameHeader) == 16);

void append_frame(std::span<const std::uint8_t> body, std::vector<std::byte>& to);

// Reads frames from a log's beginning.
class FrameReader {
 public:
  explicit FrameReader(std::span<const std::byte> log) noexcept : log_(log) {}

  [[nodiscard]] bool at_end() const noexcept { return at_ == log_.size(); }
  // Where the next frame begins.
  [[nodiscard]] std::size_t at() const noexcept { return at_; }
  // The next body, or what is wrong. REQUIRES: not at_end().
  tl::expected<std::span<const std::uint8_t>, std::string> next();

 private:
  const std::span<const std::byte> log_;
  std::size_t at_ = 0;
};

}  // namespace dspool::store
