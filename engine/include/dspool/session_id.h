// The caller's name for a session: 1 to 128 bytes, any bytes.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace dspool {

class SessionId {
 public:
  static constexpr std::size_t kMaxBytes = 128;

  // A fresh id that nobody can guess: "session-" and 32 hexadecimal digits of kernel randomness.
  static std::string generate();

  [[nodiscard]] static bool valid(std::string_view id) noexcept {
    return !id.empty() && id.size() <= kMaxBytes;
  }
};

}  // namespace dspool
