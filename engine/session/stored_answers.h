// The answers of a session's calls that had an idempotency key, so that a repeated call is answered
// and not executed again. The oldest go first when there are too many, too large or too old.
//
// Not thread-safe: whoever owns the session serialises the access.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/session/time_point.h"

namespace dspool::session {

// What a call asks for, as a number: two calls with the same command and arguments have the same.
// XXH3 with 128 bits.
struct Fingerprint {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend bool operator==(const Fingerprint&, const Fingerprint&) noexcept = default;
};
[[nodiscard]] Fingerprint fingerprint(std::string_view command,
                                      std::span<const std::uint8_t> args) noexcept;

struct StoredAnswer {
  std::string key;
  Fingerprint asked;
  std::vector<std::uint8_t> value;  // one FlexBuffer
  std::uint64_t version = 0;        // the session's, after the call
  TimePoint stored;
};

class StoredAnswers {
 public:
  static constexpr std::size_t kMostAnswers = 64;
  static constexpr std::size_t kMostBytes = std::size_t{1} << 20;  // of keys and values
  static constexpr std::chrono::minutes kLifetime{10};

  // Null: no such key, or not any more.
  [[nodiscard]] const StoredAnswer* find(std::string_view key, TimePoint now) const noexcept;
  // REQUIRES: its key is not there, or too old. Answers above kMostBytes are not kept.
  void store(StoredAnswer answer);
  // All are as if stored now.
  void renew(TimePoint now) noexcept;
  [[nodiscard]] const std::deque<StoredAnswer>& oldest_first() const noexcept { return answers_; }

 private:
  static std::size_t size_of(const StoredAnswer& answer) noexcept;

  std::deque<StoredAnswer> answers_;  // the oldest first
  std::size_t bytes_ = 0;
};

}  // namespace dspool::session
