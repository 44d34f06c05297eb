#include "engine/dispatch/prober.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

namespace dspool::dispatch {
namespace {

using Milliseconds = std::chrono::duration<double, std::milli>;

// How often an answer is looked for; a probe stands beside the work, so it need not be quick.
constexpr std::chrono::milliseconds kLookInterval{1};

bool has_answered(const worker::Link& link, std::uint64_t ping) {
  return link.last_pong.load(std::memory_order_acquire) >= ping;
}

WorkerStatus status_of(const WorkerSlot& slot, bool has_process, bool is_silent) {
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
  return is_silent ? WorkerStatus::kSilent : WorkerStatus::kIdle;
}

}  // namespace

Prober::Prober(Gate& gate, const Waker& reactor, std::span<const std::string> worker_names,
               const std::atomic<std::uint32_t>& pool_size)
    : gate_(gate),
      reactor_(reactor),
      names_(worker_names),
      pool_size_(pool_size),
      asked_(worker_names.size()) {}

void Prober::ask() {
  const std::lock_guard lock(mutex_);  // so that pings go out in the order of their ids
  const std::uint64_t ping = pings_.fetch_add(1, std::memory_order_relaxed) + 1;
  const TimePoint now = Gate::now();
  for (const auto& link : gate_.signal_all(wire::MessageType::ping, ping)) {
    asked_[link->slot()] = {.epoch = link->epoch(), .ping = ping, .at = now};
  }
}

Health Prober::probe(std::chrono::milliseconds patience) {
  if (reactor_.is_owner() || patience.count() <= 0) return judge();
  ask();
  const TimePoint until = Gate::now() + patience;
  while (is_awaited() && Gate::now() < until) std::this_thread::sleep_for(kLookInterval);
  return judge(std::min<std::chrono::milliseconds>(patience, kSilence));
}

Health Prober::judge() { return judge(kSilence); }

Prober::Asked Prober::asked_of(std::uint32_t slot) {
  const std::lock_guard lock(mutex_);
  return asked_[slot];
}

// Whether a worker that has nothing else to do has yet to answer.
bool Prober::is_awaited() {
  const auto links = gate_.links();
  std::vector<std::uint32_t> silent;
  for (const auto& link : links) {
    if (!link) continue;
    const Asked asked = asked_of(link->slot());
    if (asked.epoch == link->epoch() && !has_answered(*link, asked.ping)) {
      silent.push_back(link->slot());
    }
  }
  return gate_.ask([&](const Dispatcher& dispatcher, TimePoint) {
    return std::ranges::any_of(silent, [&](std::uint32_t slot) {
      const WorkerSlot& worker = dispatcher.worker(slot);
      return worker.is_up() && worker.epoch == links[slot]->epoch() && worker.in_flight() == 0;
    });
  });
}

Health Prober::judge(std::chrono::milliseconds silence) {
  Health health;
  const auto links = gate_.links();
  std::vector<Asked> asked;
  {
    const std::lock_guard lock(mutex_);
    asked = asked_;
  }
  gate_.ask([&](const Dispatcher& dispatcher, TimePoint now) {
    for (std::uint32_t i = 0; i < dispatcher.workers(); ++i) {
      const WorkerSlot& slot = dispatcher.worker(i);
      const worker::Link* const link = links[i].get();
      const bool was_asked = link != nullptr && asked[i].epoch == link->epoch();
      const bool answered = was_asked && has_answered(*link, asked[i].ping);
      const bool is_silent = was_asked && !answered && now - asked[i].at >= silence;
      const WorkerStatus status = status_of(slot, link != nullptr, is_silent);
      // A place that no worker is wanted in is not part of the picture.
      if (status == WorkerStatus::kDead && (i >= pool_size_ || slot.is_retired)) continue;
      const auto pong_after = answered ? std::chrono::nanoseconds(link->last_pong_ns.load()) -
                                             asked[i].at.time_since_epoch()
                                       : std::chrono::nanoseconds(0);
      health.workers.push_back({.worker = names_[i],
                                .pid = link != nullptr ? link->pid : 0,
                                .epoch = slot.epoch,
                                .status = status,
                                .in_flight = slot.in_flight(),
                                .served = slot.served,
                                .warm_sessions = slot.warm_sessions,
                                .pong_ms = Milliseconds(pong_after).count()});
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
