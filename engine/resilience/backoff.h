// The pauses before the retries of a call. A retry is counted from 1.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>
#include <vector>

#include "dspool/retry.h"

namespace dspool::resilience {

// What a call chose of its pauses, ready to be looked up.
struct Pauses {
  Backoff kind = Backoff::kLinear;
  std::vector<std::chrono::milliseconds> given{};  // by the caller's function; empty: none
};

// Asks the caller's function, if there is one, for the pauses of so many retries.
[[nodiscard]] Pauses choose_pauses(const BackoffChoice& choice, std::uint32_t max_retries,
                                   const RetryConfig& config);

// The series, without jitter. REQUIRES: retry >= 1, and config is valid.
[[nodiscard]] std::chrono::milliseconds pause_in_series(Backoff kind, std::uint32_t retry,
                                                        const RetryConfig& config) noexcept;

// The pause to make: as given, or drawn from 0 to what the series says, or the series.
[[nodiscard]] std::chrono::nanoseconds draw_pause(const Pauses& pauses, std::uint32_t retry,
                                                  const RetryConfig& config,
                                                  std::minstd_rand& random);

}  // namespace dspool::resilience
