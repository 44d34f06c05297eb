// Bytes that tell where they should be, and which of several they are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace dspool::ipc {

inline std::vector<std::byte> pattern(std::size_t bytes, std::uint64_t seed) {
  std::vector<std::byte> body(bytes);
  for (std::size_t i = 0; i < bytes; ++i) body[i] = static_cast<std::byte>(i * 31 + seed);
  return body;
}

}  // namespace dspool::ipc
