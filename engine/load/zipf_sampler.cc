#include "engine/load/zipf_sampler.h"

#include <algorithm>
#include <cmath>

namespace dspool::load {
namespace {

constexpr double kSmall = 1e-8;  // below it, two terms of the series are exact

double log1p_over(double x) { return std::abs(x) > kSmall ? std::log1p(x) / x : 1 - x / 2; }

double expm1_over(double x) { return std::abs(x) > kSmall ? std::expm1(x) / x : 1 + x / 2; }

}  // namespace

ZipfSampler::ZipfSampler(std::uint32_t count, double exponent) noexcept
    : count_(count),
      exponent_(exponent),
      integral_first_(h_integral(1.5) - 1),
      integral_last_(h_integral(count + 0.5)),
      accept_within_(2 - h_integral_inverse(h_integral(2.5) - h(2))) {}

std::uint32_t ZipfSampler::draw(std::mt19937_64& random) const {
  // From the last to the first: where the uniform numbers are sparse, the weights are small.
  std::uniform_real_distribution<double> uniform;
  for (;;) {
    const double y = integral_last_ + uniform(random) * (integral_first_ - integral_last_);
    const double x = h_integral_inverse(y);
    const double rank = std::clamp(std::floor(x + 0.5), 1.0, static_cast<double>(count_));
    if (rank - x <= accept_within_ || y >= h_integral(rank + 0.5) - h(rank)) {
      return static_cast<std::uint32_t>(rank) - 1;
    }
  }
}

double ZipfSampler::h(double x) const noexcept { return std::exp(-exponent_ * std::log(x)); }

// (x^(1 - exponent) - 1) / (1 - exponent), which near the exponent 1 is log(x).
double ZipfSampler::h_integral(double x) const noexcept {
  const double log_x = std::log(x);
  return expm1_over((1 - exponent_) * log_x) * log_x;
}

double ZipfSampler::h_integral_inverse(double y) const noexcept {
  const double t = std::max(-1.0, y * (1 - exponent_));  // rounding may take it below
  return std::exp(log1p_over(t) * y);
}

}  // namespace dspool::load
