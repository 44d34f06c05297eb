// How long each iteration took, all of them kept, so that percentiles are those of the run and
// not of a bucket. Nothing is subtracted, not even the clock's own 20 to 30 ns.
#pragma once

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace dspool::bench {

class Latencies {
 public:
  using Clock = std::chrono::steady_clock;

  // Room for all iterations, and for `more`; its pages exist before the first is recorded.
  explicit Latencies(const benchmark::State& state, std::size_t more = 0);

  void record(Clock::duration latency) noexcept {
    if (count_ < ns_.size()) ns_[count_++] = latency.count();
  }

  // What was recorded so far was for warming up.
  void forget() noexcept { count_ = 0; }

  // Sets the counters p50_us, p99_us, p999_us and items_per_second.
  void report(benchmark::State& state);

 private:
  [[nodiscard]] double percentile_us(double fraction) const;  // REQUIRES: sorted, not empty

  std::vector<std::int64_t> ns_;
  std::size_t count_ = 0;
};

}  // namespace dspool::bench
