// The gate towards workers and the reactor: what comes from links, how they come and go, and what
// is due by time.
#include <csignal>
#include <utility>

#include "engine/dispatch/gate.h"
#include "ipc/pidfd.h"

namespace dspool::dispatch {
namespace {

constexpr std::uint32_t kSilentLooks = 10;

}  // namespace

// ---- workers ----

void Gate::deliver(worker::Link& link, std::span<worker::Letter> letters) {
  const std::uint32_t slot = link.slot();
  bool is_ready = false;
  if (!letters.empty()) {
    step([&](Dispatcher& dispatcher, TimePoint now) {
      for (worker::Letter& letter : letters) {
        if (letter.type == wire::MessageType::response) link.outbox().forget(letter.request_id);
        if (letter.type == wire::MessageType::response &&
            !dispatcher.answered(slot, letter.request_id, letter.outcome, now)) {
          link.set_violation("an answer to an attempt that is not in flight");
          break;
        }
        if (letter.type == wire::MessageType::chunk &&
            !dispatcher.chunk_came(slot, letter.request_id, letter.chunk)) {
          link.set_violation("a chunk that nobody has asked for, or not now");
          break;
        }
        if (letter.type == wire::MessageType::pong && link.take_readiness()) {
          is_ready = true;
          dispatcher.worker_ready(slot, link.epoch(), now);
        }
      }
    });
  }
  for (worker::Letter& letter : letters) {
    switch (letter.type) {
      case wire::MessageType::ready:
        link.python = std::move(letter.ready.python);
        break;
      case wire::MessageType::failure:
        parts_.supervisor.failed(slot, link.epoch(), std::move(letter.failure));
        break;
      case wire::MessageType::pong:
        if (letter.request_id > link.last_pong.load(std::memory_order_relaxed)) {
          link.last_pong_ns.store(now().time_since_epoch().count(), std::memory_order_relaxed);
          link.last_pong.store(letter.request_id, std::memory_order_release);
        }
        break;
      case wire::MessageType::response:
        letter.outcome.delta.clear();  // ends the long values that others took the place of
        break;
      default:
        break;
    }
  }
  if (is_ready) parts_.supervisor.ready(slot, link.epoch(), link.python);
  if (link.violated() && !link.condemned) condemn(link);
}

void Gate::condemn(worker::Link& link) {
  link.condemned = true;
  parts_.metrics.violations.add(1);
  step([&](Dispatcher& dispatcher, TimePoint now) { dispatcher.doom(link.slot(), now); });
  parts_.supervisor.kill(link.slot(), link.epoch(), link.violation());
}

void Gate::open(std::shared_ptr<worker::Link> link) {
  const std::lock_guard lock(mutex_);
  dispatcher_.open_places(link->slot() + 1);
  links_[link->slot()] = std::move(link);
}

bool Gate::close(worker::Link& link, std::string_view how) {
  std::shared_ptr<worker::Link> last;
  bool has_served = false;
  link.outbox().close();  // before what it would have handed over goes
  step([&](Dispatcher& dispatcher, TimePoint now) {
    const WorkerSlot& worker = dispatcher.worker(link.slot());
    has_served = worker.served != 0;
    dispatcher.worker_lost(link.slot(), link.violated() ? Loss::kViolation : Loss::kDeath,
                           link.violated() ? std::string_view(link.violation()) : how, now);
    has_served = has_served || worker.is_excused;
    last = std::move(links_[link.slot()]);
  });
  link.last_pong.store(worker::kGoneForEver, std::memory_order_release);
  return has_served;
}

void Gate::bury(const worker::Link& link, bool has_served) {
  parts_.supervisor.lost(link.slot(), link.epoch(), has_served);
}

void Gate::hung_up(worker::Link& link) {
  bool is_at_work = false;
  step([&](Dispatcher& dispatcher, TimePoint now) {
    dispatcher.hung_up(link.slot(), now);
    is_at_work = dispatcher.worker(link.slot()).in_flight() != 0;
  });
  if (is_at_work) ipc::send_signal(link.pidfd, SIGKILL);
  link.channel().ring_end();
}

std::vector<std::shared_ptr<worker::Link>> Gate::links() const {
  const std::lock_guard lock(mutex_);
  return links_;
}

bool Gate::withdraw(std::uint32_t worker) {
  bool told = false;
  step([&](Dispatcher& dispatcher, TimePoint now) {
    if (!dispatcher.withdraw(worker, now)) return;
    const auto& link = links_[worker];
    told = link->send_signal(wire::MessageType::drain);
    ring_later(link);
  });
  return told;
}

std::vector<std::shared_ptr<worker::Link>> Gate::signal_all(wire::MessageType type,
                                                            std::uint64_t id) {
  std::vector<std::shared_ptr<worker::Link>> signalled;
  step([&](Dispatcher& dispatcher, TimePoint) {
    for (const auto& link : links_) {
      if (!link || !dispatcher.worker(link->slot()).is_up()) continue;
      if (type == wire::MessageType::ping && link->owes_pong()) continue;
      if (!link->send_signal(type, id)) continue;
      ring_later(link);
      signalled.push_back(link);
    }
  });
  return signalled;
}

// ---- the reactor ----

TimePoint Gate::plan_wake(TimePoint latest) {
  const std::lock_guard lock(mutex_);
  reactor_wakes_ = latest;
  if (!sweep_enqueued_) {
    const auto timer = dispatcher_.next_timer(now());
    if (timer && *timer < latest) reactor_wakes_ = *timer;
  }
  return reactor_wakes_;
}

void Gate::sweep() {
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(sweep_enqueued_, true)) return;
  }
  arena_.enqueue([this] { sweep_on(); });
}

// A step, and the rest behind whatever else is due.
void Gate::sweep_on() {
  bool more = false;
  step([&](Dispatcher& dispatcher, TimePoint now) {
    more = dispatcher.advance(now);
    if (more) return;
    sweep_enqueued_ = false;
    effects_->wake_reactor = true;  // to plan anew
  });
  if (more) arena_.enqueue([this] { sweep_on(); });
}

void Gate::listen_to_hearts() {
  step([&](Dispatcher& dispatcher, TimePoint now) {
    for (std::uint32_t i = 0; i < dispatcher.workers(); ++i) {
      const WorkerSlot& slot = dispatcher.worker(i);
      if (!links_[i] || !slot.is_up()) continue;
      worker::Link& link = *links_[i];
      const std::uint64_t heartbeat = link.channel().heartbeat();
      const bool silent = slot.in_flight() == 0 && heartbeat == link.last_heartbeat;
      link.last_heartbeat = heartbeat;
      link.silent_looks = silent ? link.silent_looks + 1 : 0;
      if (link.silent_looks < kSilentLooks) continue;
      dispatcher.doom(i, now);
      kill(i, "its heart has stopped although it has nothing to do");
    }
  });
}

}  // namespace dspool::dispatch
