// How long each iteration took, all of them kept, so that percentiles are those of the run and
// not of a bucket. Nothing is subtracted, not even the clock's own 20 to 30 ns: what takes less
// than some of these is timed in batches, and a latency is then the mean of one.
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

  // Iterations between two readings of the clock, in `time_in_batches`.
  static constexpr benchmark::IterationCount kBatch = 64;

  // Room for all iterations, and for `more`; its pages exist before the first is recorded.
  explicit Latencies(const benchmark::State& state, std::size_t more = 0)
      : Latencies(state, more, 1) {}

  // Runs the benchmark: calls `operation` for each iteration, and reports.
  template <typename Operation>
  static void time_in_batches(benchmark::State& state, Operation&& operation);

  void record(Clock::duration latency) noexcept {
    if (count_ < ns_.size()) ns_[count_++] = latency.count();
  }

  // What was recorded so far was for warming up.
  void forget() noexcept { count_ = 0; }

  // Sets the counters p50_us, p99_us, p999_us and items_per_second.
  void report(benchmark::State& state);

 private:
  Latencies(const benchmark::State& state, std::size_t more, benchmark::IterationCount batch);

  [[nodiscard]] double percentile_us(double fraction) const;  // REQUIRES: sorted, not empty

  std::vector<std::int64_t> ns_;  // of a batch
  std::size_t count_ = 0;
  benchmark::IterationCount batch_;  // iterations in it
};

template <typename Operation>
void Latencies::time_in_batches(benchmark::State& state, Operation&& operation) {
  Latencies latencies(state, 1, kBatch);
  auto before = Clock::now();
  while (state.KeepRunningBatch(kBatch)) {
    for (benchmark::IterationCount i = 0; i < kBatch; ++i) operation();
    const auto now = Clock::now();
    latencies.record(now - before);
    before = now;
  }
  latencies.report(state);
}

}  // namespace dspool::bench
