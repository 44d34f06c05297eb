// Health, asked of the workers themselves: each is pinged through its ring and must answer, or be
// busy with a call that it still has time for. Nothing answers in a worker's place.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <span>
#include <string>

#include "dspool/stats.h"
#include "engine/dispatch/gate.h"

namespace dspool::dispatch {

class Prober {
 public:
  // `worker_names` outlives *this.
  Prober(Gate& gate, std::span<const std::string> worker_names, std::uint32_t pool_size)
      : gate_(gate), names_(worker_names), pool_size_(pool_size) {}

  // Blocks up to `patience`. Fills everything but the statistics.
  Health probe(std::chrono::milliseconds patience);

 private:
  Gate& gate_;
  std::span<const std::string> names_;
  std::uint32_t pool_size_;
  std::atomic<std::uint64_t> pings_{0};
};

}  // namespace dspool::dispatch
