#include "engine/dispatch/statistics.h"

#include <algorithm>

namespace dspool::dispatch {
namespace {

constexpr double kNsPerMs = 1e6;

double in_ms(std::chrono::nanoseconds time) { return static_cast<double>(time.count()) / kNsPerMs; }

template <typename Share>
double max_over_mean(const std::vector<WorkerLoad>& loads, Share&& share) {
  double sum = 0;
  double most = 0;
  for (const WorkerLoad& load : loads) {
    sum += share(load);
    most = std::max(most, share(load));
  }
  return sum == 0 ? 1 : most * static_cast<double>(loads.size()) / sum;
}

}  // namespace

WorkerLoad Statistics::load_of(const WorkerSlot& worker, TimePoint now) const {
  const double seconds = std::chrono::duration<double>(now - worker.ready_since).count();
  const double busy = std::chrono::duration<double>(worker.busy).count();
  return {.worker = names_[worker.index()],
          .utilisation = seconds > 0 ? std::min(1.0, busy / seconds / max_in_flight_) : 0,
          .warm_sessions = worker.warm_sessions};
}

Stats Statistics::collect() const {
  using telemetry::Refusal;
  return gate_.arena().execute([this] {
    const auto queue_time = metrics_.queue_time.snapshot();
    const auto response_time = metrics_.response_time.snapshot();
    Stats stats{
        .pool_size = pool_size_.load(),
        .active_sessions = sessions_.size(),
        .total_requests = metrics_.calls_ended.value(),
        .total_errors = metrics_.total_errors(),
        .uptime_seconds = std::chrono::duration<double>(Gate::now() - started_).count(),
        .attempts = metrics_.attempts.value(),
        .retries = metrics_.retries.value(),
        .retries_over_budget = metrics_.retries_over_budget.value(),
        .commits = metrics_.commits.value(),
        .hydrations = metrics_.hydrations.value(),
        .warm_hits = metrics_.warm_hits.value(),
        .misses = metrics_.misses.value(),
        .steals = metrics_.steals.value(),
        .refused_queue_full = metrics_.refused_for(Refusal::kQueueFull).value(),
        .refused_session_queue_full = metrics_.refused_for(Refusal::kSessionQueueFull).value(),
        .refused_overloaded = metrics_.refused_for(Refusal::kOverloaded).value(),
        .refused_checkout_timeout = metrics_.refused_for(Refusal::kCheckoutTimeout).value(),
        .refused_circuit_open = metrics_.refused_for(Refusal::kCircuitOpen).value(),
        .worker_restarts = metrics_.worker_restarts.value(),
        .workers_recycled = metrics_.workers_recycled.value(),
        .migrations = metrics_.migrations.value(),
        .workers_lost = metrics_.workers_lost.value(),
        .late_answers = metrics_.late_answers.value(),
        .chunks = metrics_.chunks.value(),
        .late_chunks = metrics_.late_chunks.value(),
        .input_tokens = metrics_.input_tokens.value(),
        .output_tokens = metrics_.output_tokens.value(),
        .recalls = metrics_.recalls.value(),
        .violations = metrics_.violations.value(),
        .quarantined_calls = metrics_.calls_quarantined.value(),
        .quarantined_sessions = metrics_.sessions_quarantined.value(),
        .expired_sessions = metrics_.ended_by(SessionEnd::kExpired).value(),
        .evicted_sessions = metrics_.sessions_evicted.value(),
        .loaded_sessions = metrics_.sessions_loaded.value(),
        .state_bytes = states_.used_bytes(),
        .store_writes = metrics_.store_writes.value(),
        .store_failures = metrics_.store_failures.value(),
        .store_retries = metrics_.store_retries.value(),
        .response_time_p50_ms = response_time.quantile_ns(0.5) / kNsPerMs,
        .response_time_p99_ms = response_time.quantile_ns(0.99) / kNsPerMs,
        .queue_time_p50_ms = queue_time.quantile_ns(0.5) / kNsPerMs,
        .queue_time_p99_ms = queue_time.quantile_ns(0.99) / kNsPerMs};
    if (response_time.count != 0) {
      stats.average_response_time = static_cast<double>(response_time.sum_ns) / kNsPerMs /
                                    static_cast<double>(response_time.count);
    }
    gate_.ask([&](const Dispatcher& dispatcher, TimePoint now) {
      stats.overloaded = dispatcher.overloaded();
      stats.breakers = dispatcher.breakers(now);
      stats.service_time_ms = in_ms(dispatcher.service_time());
      stats.miss_cost_ms = in_ms(dispatcher.miss_cost());
      stats.waiting_calls = dispatcher.waiting_calls();
      stats.attempts_in_flight = dispatcher.in_flight();
      for (std::uint32_t i = 0; i < dispatcher.workers(); ++i) {
        const WorkerSlot& worker = dispatcher.worker(i);
        if (worker.state == WorkerState::kResting) ++stats.spare_workers;
        if (worker.state != WorkerState::kReady) continue;
        stats.loads.push_back(load_of(worker, now));
        if (stats.active_workers == stats.pool_size) {
          ++stats.overflow_workers;
          continue;
        }
        ++stats.active_workers;
        if (worker.in_flight() == 0) ++stats.available_workers;
      }
    });
    stats.utilisation_max_over_mean =
        max_over_mean(stats.loads, [](const WorkerLoad& load) { return load.utilisation; });
    stats.warm_sessions_max_over_mean = max_over_mean(stats.loads, [](const WorkerLoad& load) {
      return static_cast<double>(load.warm_sessions);
    });
    metrics_.sessions.set(static_cast<std::int64_t>(stats.active_sessions));
    metrics_.waiting.set(static_cast<std::int64_t>(stats.waiting_calls));
    metrics_.in_flight.set(static_cast<std::int64_t>(stats.attempts_in_flight));
    return stats;
  });
}

}  // namespace dspool::dispatch
