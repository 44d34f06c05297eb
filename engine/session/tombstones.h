// Which sessions have expired of late, so that whoever comes back to one is told instead of finding
// an empty one. An id is remembered as 128 bits of hash, for an hour, or until it is created anew.
// What is older goes as others come, a few at a time.
//
// Thread-safe throughout.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string_view>
#include <unordered_map>

#include "engine/session/time_point.h"

namespace dspool::session {

class Tombstones {
 public:
  static constexpr std::chrono::hours kLifetime{1};

  void add(std::string_view id, TimePoint now);
  [[nodiscard]] bool has(std::string_view id, TimePoint now) const;
  void remove(std::string_view id);
  [[nodiscard]] std::size_t size() const;

 private:
  struct Hash {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    friend bool operator==(const Hash&, const Hash&) noexcept = default;
  };
  struct LowBits {
    std::size_t operator()(const Hash& hash) const noexcept { return hash.low; }
  };
  struct Stone {
    Hash id;
    TimePoint set;
  };
  static Hash hash_of(std::string_view id) noexcept;
  void forget_old(TimePoint now);

  mutable std::mutex mutex_;  // guards what follows
  std::unordered_map<Hash, TimePoint, LowBits> set_;
  std::deque<Stone> oldest_first_;  // also of ids that were removed, or set anew
};

}  // namespace dspool::session
