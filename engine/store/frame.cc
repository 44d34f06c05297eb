#include "engine/store/frame.h"

#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

#include <cassert>
#include <cstring>
#include <limits>

namespace dspool::store {
namespace {

constexpr std::uint32_t kMark = 0x31727364;  // "dsr1"
constexpr std::size_t kAlignment = 8;

constexpr std::size_t padded(std::size_t bytes) noexcept {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

std::uint64_t checksum(std::span<const std::uint8_t> body) noexcept {
  const std::uint64_t seed = std::uint64_t{kMark} << 32 | body.size();
  return XXH3_64bits_withSeed(body.data(), body.size(), seed);
}

}  // namespace

void append_frame(std::span<const std::uint8_t> body, std::vector<std::byte>& to) {
  assert(body.size() <= std::numeric_limits<std::uint32_t>::max());
  const FrameHeader header{
      .length = static_cast<std::uint32_t>(body.size()), .mark = kMark, .checksum = checksum(body)};
  const std::size_t at = to.size();
  to.resize(at + sizeof header + padded(body.size()));
  std::memcpy(&to[at], &header, sizeof header);
  std::memcpy(&to[at + sizeof header], body.data(), body.size());
}

tl::expected<std::span<const std::uint8_t>, std::string> FrameReader::next() {
  const auto rest = log_.subspan(at_);
  FrameHeader header;
  if (rest.size() < sizeof header) {
    return tl::unexpected(fmt::format("it ends after {} bytes of a header", rest.size()));
  }
  std::memcpy(&header, rest.data(), sizeof header);
  if (header.mark != kMark) return tl::unexpected(std::string("no record begins there"));
  const std::size_t room = rest.size() - sizeof header;
  if (header.length > room || padded(header.length) > room) {
    return tl::unexpected(
        fmt::format("a record of {} bytes begins there, and {} follow", header.length, room));
  }
  const std::span body(reinterpret_cast<const std::uint8_t*>(rest.data()) + sizeof header,
                       header.length);
  if (checksum(body) != header.checksum) {
    return tl::unexpected(
        fmt::format("the checksum of a record of {} bytes does not match", header.length));
  }
  at_ += sizeof header + padded(header.length);
  return body;
}

}  // namespace dspool::store
