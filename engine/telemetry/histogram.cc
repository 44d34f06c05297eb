#include "engine/telemetry/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace dspool::telemetry {

std::size_t Histogram::bucket_of(std::uint64_t ns) noexcept {
  constexpr std::uint64_t kShortest = std::uint64_t{1} << kFirstOctave;
  constexpr std::uint64_t kLongest = (std::uint64_t{1} << (kLastOctave + 1)) - 1;
  const std::uint64_t clamped = std::clamp(ns, kShortest, kLongest);
  const auto octave = static_cast<std::size_t>(std::bit_width(clamped)) - 1;
  // The kOctaveBits below the leading one tell the bucket within the octave.
  const std::uint64_t within = (clamped >> (octave - kOctaveBits)) % kOctaveBuckets;
  return (octave - kFirstOctave) * kOctaveBuckets + within;
}

double Histogram::middle_ns(std::size_t bucket) noexcept {
  const std::size_t octave = kFirstOctave + bucket / kOctaveBuckets;
  const auto width = static_cast<double>(std::uint64_t{1} << (octave - kOctaveBits));
  return width * (static_cast<double>(kOctaveBuckets + bucket % kOctaveBuckets) + 0.5);
}

void Histogram::record(std::int64_t ns) noexcept {
  const auto duration = static_cast<std::uint64_t>(std::max<std::int64_t>(ns, 0));
  Shard& shard = shards_[this_thread_shard()];
  shard.buckets[bucket_of(duration)].fetch_add(1, std::memory_order_relaxed);
  shard.sum_ns.fetch_add(duration, std::memory_order_relaxed);
}

Histogram::Snapshot Histogram::snapshot() const {
  Snapshot snapshot;
  snapshot.buckets.resize(kBuckets);
  for (const Shard& shard : shards_) {
    snapshot.sum_ns += shard.sum_ns.load(std::memory_order_relaxed);
    for (std::size_t i = 0; i < kBuckets; ++i) {
      const std::uint64_t count = shard.buckets[i].load(std::memory_order_relaxed);
      snapshot.buckets[i] += count;
      snapshot.count += count;
    }
  }
  return snapshot;
}

double Histogram::Snapshot::quantile_ns(double q) const noexcept {
  if (count == 0) return 0;
  const double rank = std::max(1.0, std::ceil(q * static_cast<double>(count)));
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i < buckets.size(); ++i) {
    seen += buckets[i];
    if (static_cast<double>(seen) >= rank) return middle_ns(i);
  }
  return middle_ns(kBuckets - 1);
}

double Histogram::Snapshot::mean_ns() const noexcept {
  return count == 0 ? 0 : static_cast<double>(sum_ns) / static_cast<double>(count);
}

}  // namespace dspool::telemetry
