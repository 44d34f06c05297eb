// A session's id where the session keeps it: a short one lies within, so that whoever compares it
// and then counts a reference beside it waits for one cache line; a long one is allocated.
//
// Threads: never changes.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string_view>

#include "dspool/session_id.h"

namespace dspool::session {

class StoredId {
 public:
  // Those that SessionId::generate makes have 40.
  static constexpr std::size_t kNearBytes = 55;

  explicit StoredId(std::string_view id)
      : size_(static_cast<std::uint8_t>(id.size())),
        far_(id.size() > kNearBytes ? std::make_unique<char[]>(id.size()) : nullptr) {
    std::ranges::copy(id, far_ ? far_.get() : near_.data());
  }

  [[nodiscard]] std::string_view view() const noexcept {
    return {size_ > kNearBytes ? far_.get() : near_.data(), size_};
  }

 private:
  static_assert(SessionId::kMaxBytes <= std::numeric_limits<std::uint8_t>::max());

  std::uint8_t size_;
  std::array<char, kNearBytes> near_;
  std::unique_ptr<char[]> far_;
};

}  // namespace dspool::session
