#include "bench/latencies.h"

#include <algorithm>
#include <cmath>

namespace dspool::bench {

Latencies::Latencies(const benchmark::State& state, std::size_t more,
                     benchmark::IterationCount batch)
    : ns_(static_cast<std::size_t>(state.max_iterations / batch) + more), batch_(batch) {}

void Latencies::report(benchmark::State& state) {
  state.SetItemsProcessed(state.iterations());
  if (count_ == 0) return;
  std::sort(ns_.begin(), ns_.begin() + static_cast<std::ptrdiff_t>(count_));
  state.counters["p50_us"] = percentile_us(0.50);
  state.counters["p99_us"] = percentile_us(0.99);
  state.counters["p999_us"] = percentile_us(0.999);
}

double Latencies::percentile_us(double fraction) const {
  const auto rank = static_cast<std::size_t>(std::ceil(fraction * static_cast<double>(count_)));
  return static_cast<double>(ns_[rank == 0 ? 0 : rank - 1]) / static_cast<double>(batch_) / 1000;
}

}  // namespace dspool::bench
