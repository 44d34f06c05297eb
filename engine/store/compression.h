// Values as they are stored: with zstd where that makes them smaller.
//
// What is read may claim anything, so a value expands to at most kMostExpansion times its bytes:
// what reading a log costs follows from the log's length. One that would shrink further (zeros) is
// filled up with a frame that zstd skips.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace dspool::store {

// Shorter ones are not tried: as a rule they save little (`BM_Compress` shows what, and its cost).
inline constexpr std::size_t kCompressedFrom = 1024;
inline constexpr std::size_t kMostExpansion = 256;

// False: it does not get smaller; `to` is then anything.
bool compress(std::span<const std::uint8_t> value, std::vector<std::uint8_t>& to);
// False: these are not `raw_bytes` compressed by compress(); `to` is then anything.
bool decompress(std::span<const std::uint8_t> compressed, std::size_t raw_bytes,
                std::vector<std::uint8_t>& to);

}  // namespace dspool::store
