#include "engine/dispatch/statistics.h"

namespace dspool::dispatch {

Stats Statistics::collect() const {
  return gate_.arena().execute([this] {
    constexpr double kNsPerMs = 1e6;
    const auto response_time = metrics_.response_time.snapshot();
    Stats stats{.pool_size = pool_size_.load(),
                .active_sessions = sessions_.size(),
                .total_requests = metrics_.calls_ended.value(),
                .total_errors = metrics_.total_errors(),
                .uptime_seconds = std::chrono::duration<double>(Gate::now() - started_).count(),
                .attempts = metrics_.attempts.value(),
                .retries = metrics_.retries.value(),
                .commits = metrics_.commits.value(),
                .hydrations = metrics_.hydrations.value(),
                .worker_restarts = metrics_.worker_restarts.value(),
                .workers_recycled = metrics_.workers_recycled.value(),
                .migrations = metrics_.migrations.value(),
                .workers_lost = metrics_.workers_lost.value(),
                .late_answers = metrics_.late_answers.value(),
                .violations = metrics_.violations.value(),
                .expired_sessions = metrics_.ended_by(SessionEnd::kExpired).value(),
                .evicted_sessions = metrics_.sessions_evicted.value(),
                .loaded_sessions = metrics_.sessions_loaded.value(),
                .store_writes = metrics_.store_writes.value(),
                .store_failures = metrics_.store_failures.value(),
                .store_retries = metrics_.store_retries.value(),
                .response_time_p50_ms = response_time.quantile_ns(0.5) / kNsPerMs,
                .response_time_p99_ms = response_time.quantile_ns(0.99) / kNsPerMs};
    if (response_time.count != 0) {
      stats.average_response_time = static_cast<double>(response_time.sum_ns) / kNsPerMs /
                                    static_cast<double>(response_time.count);
    }
    gate_.ask([&](const Dispatcher& dispatcher, TimePoint) {
      stats.waiting_calls = dispatcher.waiting_calls();
      stats.attempts_in_flight = dispatcher.in_flight();
      for (std::uint32_t i = 0; i < dispatcher.workers(); ++i) {
        const WorkerSlot& worker = dispatcher.worker(i);
        if (worker.state == WorkerState::kResting) ++stats.spare_workers;
        if (worker.state != WorkerState::kReady) continue;
        if (stats.active_workers == stats.pool_size) {
          ++stats.overflow_workers;
          continue;
        }
        ++stats.active_workers;
        if (worker.in_flight() == 0) ++stats.available_workers;
      }
    });
    metrics_.sessions.set(static_cast<std::int64_t>(stats.active_sessions));
    metrics_.waiting.set(static_cast<std::int64_t>(stats.waiting_calls));
    metrics_.in_flight.set(static_cast<std::int64_t>(stats.attempts_in_flight));
    return stats;
  });
}

}  // namespace dspool::dispatch
