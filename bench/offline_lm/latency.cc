#include "bench/offline_lm/latency.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "bench/offline_lm/draw.h"

namespace dspool::offline_lm {
namespace {

constexpr std::chrono::duration<double> kLongest{60.0};

}  // namespace

std::chrono::nanoseconds Latency::of(std::uint64_t prompt_hash) const noexcept {
  if (median_ <= std::chrono::nanoseconds::zero()) return {};
  Draw draw(seed_ ^ prompt_hash);
  // Box and Muller, A Note on the Generation of Random Normal Deviates, 1958.
  const double radius = std::sqrt(-2.0 * std::log(1.0 - draw.uniform()));
  const double normal = radius * std::cos(2.0 * std::numbers::pi * draw.uniform());
  const std::chrono::duration<double> time = median_ * std::exp(sigma_ * normal);
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::min(time, kLongest));
}

}  // namespace dspool::offline_lm
