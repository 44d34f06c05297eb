// What a load test found out: for machines as one JSON object, for people as a table.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "bench/loadtest/churner.h"
#include "bench/loadtest/order_checker.h"
#include "bench/loadtest/outage.h"
#include "bench/loadtest/tally.h"
#include "bench/loadtest/workload.h"

namespace dspool::loadtest {

struct Report {
  Tally tally;
  Verdicts verdicts;
  Check check = Check::kVersionsOnly;
  std::uint64_t sessions = 0;  // that were used
  std::uint64_t worker_restarts = 0;
  std::optional<std::uint64_t> kills = {};         // none: nobody was to be killed
  std::optional<Changes> changes = {};             // none: the pool was let alone
  std::optional<Recovery> recovery = {};           // none: no half of them was killed
  double hit_rate = 0;                             // of attempts in sessions that have state
  std::uint64_t unsettled_sessions = 0;            // whose end could not be looked at
  std::optional<double> capacity_per_second = {};  // where it is known how long operations take
  bool stopped_early = false;

  [[nodiscard]] std::uint64_t operations() const { return tally.successes + tally.failures; }
  // Nothing was lost, duplicated, out of order, crossed or damaged.
  [[nodiscard]] bool clean() const { return verdicts.clean() && tally.damaged == 0; }
  // Of the operations; 0 when there were none.
  [[nodiscard]] double success_rate() const;
  // Successes per second.
  [[nodiscard]] double ops_per_second() const;
};

// {"total_operations", "successes", "failures", "errors_by_category", "duration_ms",
// "ops_per_second", "success_rate", "latency_us": {"p50", "p90", "p99", "p999", "max"},
// "refusal_us": {"p50", "p99", "max"}, "capacity_per_second" or null, "lost",
// "duplicated", "out_of_order", "crossed", "damaged", "worker_restarts", "hit_rate",
// "kills", "changes", "killed_at_once", "recovery_ms"}: "kills" is null without --kill-every,
// "changes" without --churn, the last two without --kill-half-at, and the last also where what it
// was before was not reached again. Operations are calls, however many attempts they took; those of
// the warm-up are not counted, but checked. Latencies are those of successes, and apart from them
// of what was refused for want of room; in `errors_by_category`, categories without an error are
// left out.
[[nodiscard]] std::string to_json(const Report& report);

[[nodiscard]] std::string to_table(const Report& report);

// What could not be proved, in a line; empty where all was.
[[nodiscard]] std::string unproved(const Report& report);

// "12.3 µs", "4.56 ms", "1.23 s"
[[nodiscard]] std::string readable(std::chrono::nanoseconds time);

}  // namespace dspool::loadtest
