// Latencies in logarithmic buckets, after Gil Tene's HdrHistogram: each power of two is divided
// into 128, so that a percentile is within 0.4 % of the true one, at a fixed 58 KiB and a few
// nanoseconds per value, however many values there are.
//
// One thread at a time.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace dspool::load {

class LatencyRecorder {
 public:
  void record(std::chrono::nanoseconds latency) noexcept;  // a negative one counts as zero

  // The latency that `fraction` of all values do not exceed; zero when there are none.
  // REQUIRES: 0 <= fraction <= 1
  [[nodiscard]] std::chrono::nanoseconds percentile(double fraction) const noexcept;
  [[nodiscard]] std::chrono::nanoseconds max() const noexcept;  // exact
  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

 private:
  static constexpr int kSubBucketBits = 7;
  static constexpr std::size_t kSubBuckets = std::size_t{1} << kSubBucketBits;
  // Values below 2 * kSubBuckets have a bucket each; each power of two above adds kSubBuckets.
  static constexpr std::size_t kBuckets = (64 - kSubBucketBits + 1) * kSubBuckets;

  static std::size_t bucket_of(std::uint64_t value) noexcept;
  static std::uint64_t middle_of(std::size_t bucket) noexcept;

  std::array<std::uint64_t, kBuckets> buckets_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
};

}  // namespace dspool::load
