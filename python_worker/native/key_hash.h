// A hash of short keys that depends on nothing but their bytes, so that what is built with its
// help is the same in every process.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace dspool::python {

inline std::uint64_t key_hash(std::string_view key) noexcept {
  std::uint64_t head = 0;
  std::uint64_t tail = 0;
  const std::size_t length = key.size();
  if (length >= sizeof head) {
    std::memcpy(&head, key.data(), sizeof head);
    std::memcpy(&tail, key.data() + length - sizeof tail, sizeof tail);
  } else if (length >= 4) {
    std::memcpy(&head, key.data(), 4);
    std::memcpy(&tail, key.data() + length - 4, 4);
  } else {
    for (const char byte : key) head = head << 8 | static_cast<unsigned char>(byte);
  }
  std::uint64_t mixed = (head ^ (tail << 23 | tail >> 41) ^ length) * 0x9e3779b97f4a7c15;
  return mixed ^ mixed >> 32;
}

}  // namespace dspool::python
