#include "engine/api/unknown_key.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

namespace dspool {
namespace {

struct OldKey {
  std::string_view name;
  std::string_view fate;
};

// Keys of the old pool that are not keys any more, in whichever table they stood.
constexpr std::array<OldKey, 9> kOldKeys = {{
    {"worker_module", "is gone, every worker is supervised: remove it"},
    {"python_executable", "is now worker.python"},
    {"default_timeout", "is now operation_timeout"},
    {"timeout", "is now operation_timeout"},
    {"max_overflow", "is now overflow"},
    {"failure_threshold", "is now circuit_breaker.failure_threshold"},
    {"success_threshold", "is now circuit_breaker.success_threshold"},
    {"error_rate_threshold", "is now health.error_rate_threshold"},
    {"alert_destinations", "is now health.alert_destinations"},
}};

std::string_view last_part(std::string_view key) { return key.substr(key.rfind('.') + 1); }

// Levenshtein's.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::string advice_on_unknown_key(std::string_view key, std::span<const std::string_view> known) {
  const auto* const old = std::ranges::find(kOldKeys, last_part(key), &OldKey::name);
  if (old != kOldKeys.end()) return std::string(old->fate);
  const auto nearest = std::ranges::min_element(known, {}, [key](std::string_view candidate) {
    return edit_distance(last_part(key), last_part(candidate));
  });
  return "is unknown, the nearest known key is " + std::string(*nearest);
}

}  // namespace dspool
