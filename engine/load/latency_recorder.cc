#include "engine/load/latency_recorder.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>

namespace dspool::load {

std::size_t LatencyRecorder::bucket_of(std::uint64_t value) noexcept {
  if (value < 2 * kSubBuckets) return value;
  const auto shift = static_cast<std::size_t>(std::bit_width(value)) - (kSubBucketBits + 1);
  return shift * kSubBuckets + (value >> shift);
}

std::uint64_t LatencyRecorder::middle_of(std::size_t bucket) noexcept {
  if (bucket < 2 * kSubBuckets) return bucket;
  const std::size_t shift = bucket / kSubBuckets - 1;
  const std::uint64_t lowest = static_cast<std::uint64_t>(bucket - shift * kSubBuckets) << shift;
  return lowest + (std::uint64_t{1} << shift) / 2;
}

void LatencyRecorder::record(std::chrono::nanoseconds latency) noexcept {
  const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(latency.count(), 0));
  ++buckets_[bucket_of(value)];
  ++count_;
  max_ = std::max(max_, value);
}

std::chrono::nanoseconds LatencyRecorder::percentile(double fraction) const noexcept {
  assert(fraction >= 0 && fraction <= 1);
  if (count_ == 0) return {};
  const double exact_rank = std::ceil(fraction * static_cast<double>(count_));
  const std::uint64_t rank = std::max<std::uint64_t>(static_cast<std::uint64_t>(exact_rank), 1);
  std::uint64_t seen = 0;
  std::size_t bucket = 0;
  while (bucket + 1 < buckets_.size() && (seen += buckets_[bucket]) < rank) ++bucket;
  return std::chrono::nanoseconds(std::min(middle_of(bucket), max_));
}

std::chrono::nanoseconds LatencyRecorder::max() const noexcept {
  return std::chrono::nanoseconds(max_);
}

}  // namespace dspool::load
