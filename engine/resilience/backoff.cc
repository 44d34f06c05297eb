#include "engine/resilience/backoff.h"

#include <algorithm>
#include <variant>

namespace dspool::resilience {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr std::uint32_t kMostDoublings = 32;  // the longest base_delay, a week, is below 2^30 ms

}  // namespace

Pauses choose_pauses(const BackoffChoice& choice, std::uint32_t max_retries,
                     const RetryConfig& config) {
  Pauses pauses{.kind = config.backoff};
  if (const auto* const kind = std::get_if<Backoff>(&choice)) {
    pauses.kind = *kind;
  } else if (const auto* const ask = std::get_if<BackoffFunction>(&choice);
             ask != nullptr && *ask) {
    const std::uint32_t count = std::min(max_retries, kMostPauses);
    pauses.given.reserve(count);
    for (std::uint32_t retry = 1; retry <= count; ++retry) {
      pauses.given.push_back(std::max((*ask)(retry), milliseconds(0)));
    }
  }
  return pauses;
}

milliseconds pause_in_series(Backoff kind, std::uint32_t retry,
                             const RetryConfig& config) noexcept {
  const std::int64_t factor = kind == Backoff::kLinear
                                  ? std::int64_t{retry}
                                  : std::int64_t{1} << std::min(retry - 1, kMostDoublings);
  return std::min(config.base_delay * factor, config.max_delay);
}

nanoseconds draw_pause(const Pauses& pauses, std::uint32_t retry, const RetryConfig& config,
                       std::minstd_rand& random) {
  if (!pauses.given.empty()) {
    return pauses.given[std::min<std::size_t>(retry, pauses.given.size()) - 1];
  }
  const nanoseconds longest = pause_in_series(pauses.kind, retry, config);
  if (!config.jitter) return longest;
  return nanoseconds(std::uniform_int_distribution<std::int64_t>(0, longest.count())(random));
}

}  // namespace dspool::resilience
