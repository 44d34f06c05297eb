// What an operator asks an engine: how it is, what it did, what it holds.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dspool/circuit_breaker.h"
#include "dspool/error.h"

namespace dspool {

// What one worker does. Both are what the scheduler tries to even out.
struct WorkerLoad {
  std::string worker;               // its name
  double utilisation = 0;           // of its slots, since it was ready; 1: never idle
  std::uint32_t warm_sessions = 0;  // that have their fields there
};

// Counts are since start. The first eight carry the old pool's names.
struct Stats {
  std::uint32_t pool_size = 0;          // as it was resized last
  std::uint32_t active_workers = 0;     // ready, overflow not counted
  std::uint32_t available_workers = 0;  // of these, with a free slot and nothing in flight
  std::uint64_t active_sessions = 0;    // in the table
  std::uint64_t total_requests = 0;     // calls that ended
  std::uint64_t total_errors = 0;       // of these, with an error
  double average_response_time = 0;     // of calls that ended, ms
  double uptime_seconds = 0;

  std::uint32_t overflow_workers = 0;  // ready, above pool_size
  std::uint32_t spare_workers = 0;     // ready, and resting until they are needed
  std::uint64_t waiting_calls = 0;
  std::uint64_t attempts_in_flight = 0;
  std::uint64_t attempts = 0;
  std::uint64_t retries = 0;
  std::uint64_t retries_over_budget = 0;  // that were allowed, and not made
  std::uint64_t commits = 0;
  std::uint64_t hydrations = 0;  // requests that carried fields
  // Attempts in sessions that have state: on a worker that had it, and on one that had not; of the
  // latter those that another worker had it for.
  std::uint64_t warm_hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t steals = 0;
  std::uint64_t refused_queue_full = 0;
  std::uint64_t refused_session_queue_full = 0;
  std::uint64_t refused_overloaded = 0;
  std::uint64_t refused_checkout_timeout = 0;
  std::uint64_t refused_circuit_open = 0;
  bool overloaded = false;  // now: who would wait for long is refused
  std::uint64_t worker_restarts = 0;
  std::uint64_t workers_recycled = 0;  // replaced for their requests, age or memory
  std::uint64_t migrations = 0;        // sessions moved from one worker to another
  std::uint64_t workers_lost = 0;      // deaths that were not asked for
  std::uint64_t late_answers = 0;      // thrown away: their call had ended
  std::uint64_t chunks = 0;            // taken for callers who listen
  std::uint64_t late_chunks = 0;       // thrown away: their call had ended
  std::uint64_t input_tokens = 0;      // that language models charged for, in all attempts
  std::uint64_t output_tokens = 0;
  std::uint64_t recalls = 0;               // attempts that were taken back before they began
  std::uint64_t violations = 0;            // channels dropped for what stood in them
  std::uint64_t quarantined_calls = 0;     // that ended a worker while they were alone there
  std::uint64_t quarantined_sessions = 0;  // that no worker was given any more
  std::uint64_t expired_sessions = 0;
  std::uint64_t evicted_sessions = 0;  // whose fields left shared memory for the durable store
  std::uint64_t loaded_sessions = 0;   // whose fields came back from it
  std::uint64_t state_bytes = 0;       // of shared memory that the fields of sessions take up now
  std::uint64_t store_writes = 0;      // to the durable store, each of a group of commits
  std::uint64_t store_failures = 0;
  std::uint64_t store_retries = 0;  // ends of sessions that had to be written again
  double response_time_p50_ms = 0;
  double response_time_p99_ms = 0;
  double queue_time_p50_ms = 0;  // from a call's arrival to its first attempt, or its end
  double queue_time_p99_ms = 0;
  double service_time_ms = 0;            // of late
  double miss_cost_ms = 0;               // likewise: what a worker takes for fields that it has not
  std::vector<WorkerLoad> loads{};       // of ready workers
  double utilisation_max_over_mean = 0;  // of these; 1: even
  double warm_sessions_max_over_mean = 0;
  std::vector<BreakerInfo> breakers{};  // the pool's first
};

enum class HealthStatus : std::uint8_t { kHealthy, kDegraded, kUnhealthy };
[[nodiscard]] std::string_view to_string(HealthStatus status) noexcept;

enum class WorkerStatus : std::uint8_t { kStarting, kIdle, kBusy, kSilent, kDraining, kDead };
[[nodiscard]] std::string_view to_string(WorkerStatus status) noexcept;

struct WorkerHealth {
  std::string worker;    // its name
  std::int32_t pid = 0;  // 0: none
  std::uint64_t epoch = 0;
  WorkerStatus status = WorkerStatus::kStarting;
  std::uint32_t in_flight = 0;
  std::uint64_t served = 0;         // requests answered in this epoch
  std::uint64_t warm_sessions = 0;  // that it was left with, as far as the engine knows
  double pong_ms = 0;               // from the last probe to its answer; 0: none asked or came
};

// healthy: as many workers serve as the pool is to have. degraded: some do, or they all do and more
// calls end with errors than health.error_rate_threshold allows. unhealthy: none does. It is what
// it is now: whatever was wrong, it recovers when that is over.
struct Health {
  HealthStatus status = HealthStatus::kUnhealthy;
  std::vector<std::string> reasons;  // empty when healthy
  // Why workers are missing, where they have died too often to be replaced at once: initialization
  // / "restarts_exhausted", with the last one's last words.
  std::optional<Error> error{};
  // Of the calls that ended within health.error_rate_window, those with an error; of category
  // session, and cancelled ones, do not count.
  double error_rate = 0;
  std::vector<WorkerHealth> workers;
  Stats stats;
};

}  // namespace dspool
