#include "dspool/session_id.h"

#include <sys/random.h>

#include <array>
#include <cstdint>
#include <cstdlib>

namespace dspool {

std::string SessionId::generate() {
  std::array<std::uint8_t, 16> random;
  // 16 bytes come whole and uninterrupted once the kernel's pool is ready, which it waits for.
  // A system where that fails has nothing from which an id could be made that nobody can guess.
  if (::getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) {
    std::abort();
  }
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string id = "session-";
  for (const std::uint8_t byte : random) {
    id.push_back(kDigits[byte >> 4]);
    id.push_back(kDigits[byte & 15]);
  }
  return id;
}

}  // namespace dspool
