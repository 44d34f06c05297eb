// A session's id where the session keeps it: a short one lies within, so that whoever compares it
// and then counts a reference beside it waits for one cache line; a long one is allocated.
//
// Threads: never changes.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>

#include "dspool/session_id.h"

namespace dspool::session {

class StoredId {
 public:
  // Those that SessionId::generate makes have 40.
  static constexpr std::size_t kNearBytes = 55;

  explicit StoredId(std::string_view id) : size_(static_cast<std::uint8_t>(id.size())) {
    char* place = bytes_.data();
    if (is_far()) {
      place = new char[id.size()];
      std::memcpy(bytes_.data(), &place, sizeof place);
    }
    std::ranges::copy(id, place);
  }
  StoredId(const StoredId&) = delete;
  StoredId& operator=(const StoredId&) = delete;
  ~StoredId() {
    if (is_far()) delete[] far();
  }

  [[nodiscard]] std::string_view view() const noexcept {
    return {is_far() ? far() : bytes_.data(), size_};
  }

 private:
  static_assert(SessionId::kMaxBytes <= std::numeric_limits<std::uint8_t>::max());

  [[nodiscard]] bool is_far() const noexcept { return size_ > kNearBytes; }
  [[nodiscard]] const char* far() const noexcept {
    const char* place = nullptr;
    std::memcpy(&place, bytes_.data(), sizeof place);
    return place;
  }

  std::uint8_t size_;
  std::array<char, kNearBytes> bytes_;  // the id, or where it is
};

}  // namespace dspool::session
