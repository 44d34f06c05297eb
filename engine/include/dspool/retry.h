// How a call is repeated that may be: when, and how often at most in the whole pool.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <variant>

namespace dspool {

enum class Backoff : std::uint8_t {
  kLinear,       // base_delay x 1, 2, 3, ...: 100, 200, 300 ms
  kExponential,  // base_delay x 1, 2, 4, ...: 100, 200, 400 ms
};

// The pause before a retry; 1 is the first. What it says is taken as it is: without jitter and
// without max_delay; below 0 is 0.
using BackoffFunction = std::function<std::chrono::milliseconds(std::uint32_t retry)>;

// What a call says of its pauses; nothing: RetryConfig::backoff. A function is asked before the
// call begins, on the caller's thread: for its first kMostPauses retries, and those that follow
// pause as the last of these.
using BackoffChoice = std::variant<std::monostate, Backoff, BackoffFunction>;
inline constexpr std::uint32_t kMostPauses = 100;

struct RetryConfig {
  bool enabled = true;                         // false: no call is repeated, whatever it allows
  Backoff backoff = Backoff::kLinear;          // of calls that do not choose
  std::chrono::milliseconds base_delay{100};   // the first pause
  std::chrono::milliseconds max_delay{5'000};  // the longest; >= base_delay
  // A pause is drawn from 0 to what the series says, so that those who failed together do not come
  // back together; false: it is what the series says.
  bool jitter = true;
  // The budget: in any ten seconds the retries of all calls are at most this part of the calls, or
  // so many a second where that is more. Beyond it calls end with the error that they met.
  std::uint32_t budget_percent = 20;    // <= 100
  std::uint32_t budget_per_second = 3;  // <= 1'000'000
};

}  // namespace dspool
