// How long the offline model takes: log-normal around a median, as language models' service times
// are, and a function of (seed, prompt), so that a run can be repeated.
#pragma once

#include <chrono>
#include <cstdint>

namespace dspool::offline_lm {

class Latency {
 public:
  // `sigma` is the standard deviation of the logarithm: with 0.5, one answer in a hundred takes
  // more than 3.2 medians. REQUIRES: neither is negative.
  Latency(std::chrono::milliseconds median, double sigma, std::uint64_t seed) noexcept
      : median_(median), sigma_(sigma), seed_(seed) {}

  // At most a minute. Zero when the median is.
  [[nodiscard]] std::chrono::nanoseconds of(std::uint64_t prompt_hash) const noexcept;

 private:
  std::chrono::milliseconds median_;
  double sigma_;
  std::uint64_t seed_;
};

}  // namespace dspool::offline_lm
