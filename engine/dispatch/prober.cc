#include "engine/dispatch/prober.h"

#include <fmt/format.h>

#include <thread>

namespace dspool::dispatch {
namespace {

using Milliseconds = std::chrono::duration<double, std::milli>;

// How often an answer is looked for; a probe stands beside the work, so it need not be quick.
constexpr std::chrono::milliseconds kLookInterval{1};

// The time until the pong, or 0 after `until`.
double wait_for_pong(const worker::Link& link, std::uint64_t ping, TimePoint sent,
                     TimePoint until) {
  for (;;) {
    const std::uint64_t pong = link.last_pong.load(std::memory_order_acquire);
    const TimePoint now = Gate::now();
    if (pong == worker::kGoneForEver) return 0;
    if (pong >= ping) return Milliseconds(now - sent).count();
    if (now >= until) return 0;
    std::this_thread::sleep_for(kLookInterval);
  }
}

WorkerStatus status_of(const WorkerSlot& slot, bool has_process, bool ponged) {
  switch (slot.state) {
    case WorkerState::kAbsent:
      return has_process ? WorkerStatus::kStarting : WorkerStatus::kDead;
    case WorkerState::kDraining:
    case WorkerState::kDoomed:
      return WorkerStatus::kDraining;
    case WorkerState::kReady:
    case WorkerState::kResting:
      break;
  }
  if (slot.in_flight() != 0) return WorkerStatus::kBusy;
  return ponged ? WorkerStatus::kIdle : WorkerStatus::kSilent;
}

}  // namespace

Health Prober::probe(std::chrono::milliseconds patience) {
  std::vector<double> pongs(names_.size());
  const bool can_ask = !reactor_.is_owner();
  if (can_ask) {
    const std::uint64_t ping = pings_.fetch_add(1, std::memory_order_relaxed) + 1;
    const TimePoint sent = Gate::now();
    for (const auto& link : gate_.signal_all(wire::MessageType::ping, ping)) {
      pongs[link->slot()] = wait_for_pong(*link, ping, sent, sent + patience);
    }
  }

  Health health;
  const auto links = gate_.links();
  gate_.ask([&](const Dispatcher& dispatcher, TimePoint) {
    for (std::uint32_t i = 0; i < dispatcher.workers(); ++i) {
      const WorkerSlot& slot = dispatcher.worker(i);
      const WorkerStatus status = status_of(slot, links[i] != nullptr, pongs[i] > 0 || !can_ask);
      // A place that no worker is wanted in is not part of the picture.
      if (status == WorkerStatus::kDead && (i >= pool_size_ || slot.is_retired)) continue;
      health.workers.push_back({.worker = names_[i],
                                .pid = links[i] ? links[i]->pid : 0,
                                .epoch = slot.epoch,
                                .status = status,
                                .in_flight = slot.in_flight(),
                                .served = slot.served,
                                .warm_sessions = slot.warm_sessions,
                                .pong_ms = pongs[i]});
    }
  });

  std::uint32_t serving = 0;
  for (const WorkerHealth& worker : health.workers) {
    if (worker.status == WorkerStatus::kIdle || worker.status == WorkerStatus::kBusy) {
      ++serving;
    } else {
      health.reasons.push_back(fmt::format("{} is {}", worker.worker, to_string(worker.status)));
    }
  }
  if (serving >= pool_size_) health.reasons.clear();  // others serve in their stead
  health.status = serving >= pool_size_ ? HealthStatus::kHealthy
                  : serving > 0         ? HealthStatus::kDegraded
                                        : HealthStatus::kUnhealthy;
  return health;
}

}  // namespace dspool::dispatch
