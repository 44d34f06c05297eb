// What a simulation found out: for machines as one JSON object a policy, for people as a table.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "engine/load/latency_recorder.h"
#include "engine/simulation/options.h"

namespace dspool::simulation {

struct Times {
  load::LatencyRecorder recorder;
  double sum_ms = 0;

  void record(std::chrono::nanoseconds time) noexcept;
  [[nodiscard]] double mean_ms() const noexcept;  // 0 where there are none
  [[nodiscard]] double percentile_ms(double fraction) const noexcept;
};

struct Report {
  Policy policy = Policy::kDspool;
  double load = 0;  // that was offered; 0: --sustain found none
  std::uint32_t workers = 0;
  std::chrono::nanoseconds duration{0};  // in which calls arrived
  std::uint64_t calls = 0;               // that arrived
  std::uint64_t refused = 0;
  std::chrono::nanoseconds busy{0};  // of all workers together, within `duration`
  std::uint64_t warm = 0;            // calls that ran where their session was warm
  std::uint64_t cold = 0;            // calls that ran where it was not, although it had state
  Times wait = {};                   // from arrival to the worker's beginning
  Times latency = {};                // from arrival to the answer
  std::optional<double> sustain_p99_ms = {};  // that was asked for
  bool stopped_early = false;

  [[nodiscard]] double utilisation() const noexcept;
  // Of the calls in sessions that had state; 0 where there were none.
  [[nodiscard]] double hit_rate() const noexcept;
};

// {"policy", "workers", "load", "duration_s", "calls", "refused", "utilisation", "hit_rate",
// "wait_ms": {"mean", "p50", "p99", "p999", "max"}, "latency_ms": {the same}}. With --sustain, also
// "sustain_p99_ms". Percentiles are within 0.4 %.
[[nodiscard]] std::string to_json(const Report& report);

// A column for each.
[[nodiscard]] std::string to_table(std::span<const Report> reports);

}  // namespace dspool::simulation
