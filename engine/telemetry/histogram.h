// A distribution of durations in log-linear buckets, as in HdrHistogram: each octave from 64 ns to
// 2^40 ns (18 minutes) has 32 equal buckets, so that a quantile is right within 1.6 %. What is
// shorter or longer counts in the first or the last bucket.
//
// Sharded and thread-safe as a Counter is.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/telemetry/counter.h"

namespace dspool::telemetry {

class Histogram {
 public:
  struct Snapshot {
    std::uint64_t count = 0;
    std::uint64_t sum_ns = 0;
    std::vector<std::uint64_t> buckets;

    // The shortest duration that at least the fraction `q`, from 0 to 1, of all durations do not
    // exceed; 0 if there are none.
    [[nodiscard]] double quantile_ns(double q) const noexcept;
    [[nodiscard]] double mean_ns() const noexcept;
  };

  Histogram() : shards_(kShards) {}

  // A negative duration counts as none.
  void record(std::int64_t ns) noexcept;
  [[nodiscard]] Snapshot snapshot() const;

 private:
  static constexpr std::size_t kFirstOctave = 6;
  static constexpr std::size_t kLastOctave = 39;
  static constexpr std::size_t kOctaveBits = 5;
  static constexpr std::size_t kOctaveBuckets = std::size_t{1} << kOctaveBits;
  static constexpr std::size_t kBuckets = (kLastOctave - kFirstOctave + 1) * kOctaveBuckets;

  struct alignas(kCacheLineBytes) Shard {
    std::atomic<std::uint64_t> sum_ns{0};
    std::array<std::atomic<std::uint64_t>, kBuckets> buckets{};
  };

  [[nodiscard]] static std::size_t bucket_of(std::uint64_t ns) noexcept;
  [[nodiscard]] static double middle_ns(std::size_t bucket) noexcept;

  std::vector<Shard> shards_;
};

}  // namespace dspool::telemetry
