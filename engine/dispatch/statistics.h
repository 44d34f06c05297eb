// The counters as an operator reads them.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>

#include "dspool/stats.h"
#include "engine/dispatch/gate.h"
#include "engine/session/session.h"
#include "engine/telemetry/metrics.h"

namespace dspool::dispatch {

class Statistics {
 public:
  // All arguments outlive *this.
  Statistics(Gate& gate, const session::SessionTable& sessions, const ipc::StateSegment& states,
             telemetry::Metrics& metrics, std::span<const std::string> worker_names,
             const std::atomic<std::uint32_t>& pool_size, std::uint32_t max_in_flight,
             TimePoint started)
      : gate_(gate),
        sessions_(sessions),
        states_(states),
        metrics_(metrics),
        names_(worker_names),
        pool_size_(pool_size),
        max_in_flight_(max_in_flight),
        started_(started) {}

  // Adds up what all threads have counted, on the arena, and sets the gauges.
  [[nodiscard]] Stats collect() const;

 private:
  [[nodiscard]] WorkerLoad load_of(const WorkerSlot& worker, TimePoint now) const;

  Gate& gate_;
  const session::SessionTable& sessions_;
  const ipc::StateSegment& states_;
  telemetry::Metrics& metrics_;
  std::span<const std::string> names_;
  const std::atomic<std::uint32_t>& pool_size_;
  std::uint32_t max_in_flight_;
  TimePoint started_;
};

}  // namespace dspool::dispatch
