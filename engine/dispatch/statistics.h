// The counters as an operator reads them.
#pragma once

#include <atomic>
#include <cstdint>

#include "dspool/stats.h"
#include "engine/dispatch/gate.h"
#include "engine/session/session.h"
#include "engine/telemetry/metrics.h"

namespace dspool::dispatch {

class Statistics {
 public:
  // All arguments outlive *this.
  Statistics(Gate& gate, const session::SessionTable& sessions, telemetry::Metrics& metrics,
             const std::atomic<std::uint32_t>& pool_size, TimePoint started)
      : gate_(gate),
        sessions_(sessions),
        metrics_(metrics),
        pool_size_(pool_size),
        started_(started) {}

  // Adds up what all threads have counted, on the arena, and sets the gauges.
  [[nodiscard]] Stats collect() const;

 private:
  Gate& gate_;
  const session::SessionTable& sessions_;
  telemetry::Metrics& metrics_;
  const std::atomic<std::uint32_t>& pool_size_;
  TimePoint started_;
};

}  // namespace dspool::dispatch
