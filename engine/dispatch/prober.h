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
#include "engine/dispatch/waker.h"

namespace dspool::dispatch {

class Prober {
 public:
  // `worker_names` and `pool_size`, how many are to be ready, outlive *this.
  Prober(Gate& gate, const Waker& reactor, std::span<const std::string> worker_names,
         const std::atomic<std::uint32_t>& pool_size)
      : gate_(gate), reactor_(reactor), names_(worker_names), pool_size_(pool_size) {}

  // Blocks up to `patience`. Fills everything but the statistics. On the reactor, which reads the
  // pongs, it asks nobody: a worker that is ready counts as alive there.
  Health probe(std::chrono::milliseconds patience);

 private:
  Gate& gate_;
  const Waker& reactor_;
  std::span<const std::string> names_;
  const std::atomic<std::uint32_t>& pool_size_;
  std::atomic<std::uint64_t> pings_{0};
};

}  // namespace dspool::dispatch
