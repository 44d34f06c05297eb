// Numbers that many threads add to. A counter is split into shards on cache lines of their own,
// and a thread adds to the shard of its index, so that threads do not wait for each other's lines.
//
// Thread-safe throughout. All accesses are relaxed: numbers order nothing. What is added while a
// value is read is in it or not.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace dspool::telemetry {

// More threads than this share shards, and are counted right all the same.
inline constexpr std::size_t kShards = 8;
inline constexpr std::size_t kCacheLineBytes = 64;

// Deals the shards out to threads, in the order in which they first ask.
[[nodiscard]] std::size_t assign_shard() noexcept;

[[nodiscard]] inline std::size_t this_thread_shard() noexcept {
  static constexpr std::size_t kUnassigned = kShards;
  thread_local constinit std::size_t shard = kUnassigned;
  if (shard == kUnassigned) shard = assign_shard();
  return shard;
}

class Counter {
 public:
  void add(std::uint64_t n = 1) noexcept {
    cells_[this_thread_shard()].value.fetch_add(n, std::memory_order_relaxed);
  }

  [[nodiscard]] std::uint64_t value() const noexcept {
    std::uint64_t sum = 0;
    for (const Cell& cell : cells_) sum += cell.value.load(std::memory_order_relaxed);
    return sum;
  }

 private:
  struct alignas(kCacheLineBytes) Cell {
    std::atomic<std::uint64_t> value{0};
  };
  std::array<Cell, kShards> cells_;
};

// A level. One cell, so that nobody reads a level that never was.
class Gauge {
 public:
  void add(std::int64_t n) noexcept { value_.fetch_add(n, std::memory_order_relaxed); }
  void set(std::int64_t value) noexcept { value_.store(value, std::memory_order_relaxed); }
  [[nodiscard]] std::int64_t value() const noexcept {
    return value_.load(std::memory_order_relaxed);
  }

 private:
  alignas(kCacheLineBytes) std::atomic<std::int64_t> value_{0};
};

}  // namespace dspool::telemetry
