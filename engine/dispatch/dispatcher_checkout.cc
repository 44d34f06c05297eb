// Checkout: where a session runs next, and how it waits until it can.
//
//   on arrival          the worker where it is warm, if that has room; else, if it is warm nowhere,
//                       the better of two that have; else it expects the warm one for as long as
//                       a miss would cost, then goes where there is room
//   as a slot frees     whoever expects this worker; else, of the first waiting ones, one that is
//                       warm here; else the oldest (WaitingList)
//
// Nobody expects a worker while others wait for any: these have the older claim.
#include <algorithm>
#include <limits>
#include <utility>

#include "engine/dispatch/dispatcher.h"
#include "ipc/planted_bug.h"

namespace dspool::dispatch {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr std::uint32_t kHandOffsPerStep = 64;
// A miss that costs less than the wheel can tell is not worth a wait.
constexpr nanoseconds kLeastPatience = milliseconds(1);
constexpr std::int64_t kMissEwmaShift = 3;

Call& first_call(session::Session& session) { return static_cast<Call&>(session.queue.front()); }

}  // namespace

// The worker that the session's next call should be sent to; nothing: it waits for one.
std::optional<std::uint32_t> Dispatcher::check_out(session::Session& session, TimePoint now) {
  if (must_be_alone(session)) {
    wait_alone(session, now);
    return std::nullopt;
  }
  const bool warm = limits_.affinity != Affinity::kOff && is_warm(session, session.warm.worker) &&
                    workers_[session.warm.worker]->state == WorkerState::kReady;
  const bool pinned = warm && limits_.affinity == Affinity::kPinned;
  if (!waiting_.empty() && !pinned) {
    wait(session, false, now);
    return std::nullopt;
  }
  if (warm) {
    const WorkerSlot& home = *workers_[session.warm.worker];
    const bool is_next = waiting_.first_expecting(home.index()) == nullptr;
    if (is_next && has_room(home)) {
      if (shedder_.watches()) shedder_.served(nanoseconds(0), service_time(), now);
      return home.index();
    }
    if (pinned || patience(session) != nanoseconds(0)) {
      expect(session, home.index(), now);
      return std::nullopt;
    }
  }
  const std::optional<std::uint32_t> worker = pick_worker();
  if (!worker) {
    wait(session, false, now);
  } else if (shedder_.watches()) {
    shedder_.served(nanoseconds(0), service_time(), now);
  }
  return worker;
}

bool Dispatcher::is_warm(const session::Session& session, std::uint32_t worker) const noexcept {
  return session.warm.epoch != 0 && session.warm.worker == worker &&
         session.warm.epoch == workers_[worker]->epoch;
}

// Counts it where it is warm. A worker's death makes all of its sessions cold at once, since none
// is warm in another epoch.
void Dispatcher::set_warm(session::Session& session, session::WarmAt warm) noexcept {
  if (session.warm == warm) return;
  if (is_warm(session, session.warm.worker)) --workers_[session.warm.worker]->warm_sessions;
  session.warm = warm;
  if (is_warm(session, warm.worker)) ++workers_[warm.worker]->warm_sessions;
}

std::optional<std::uint32_t> Dispatcher::pick_worker() noexcept {
  return seating_.better_of_two(random_, [this](std::uint32_t a, std::uint32_t b) {
    const WorkerSlot& one = *workers_[a];
    const WorkerSlot& other = *workers_[b];
    if (one.in_flight() != other.in_flight()) return one.in_flight() < other.in_flight();
    return one.warm_sessions < other.warm_sessions;
  });
}

// ---- waiting ----

void Dispatcher::wait(session::Session& session, bool first, TimePoint now) {
  if (must_be_alone(session)) return wait_alone(session, now);
  Call& call = first_call(session);
  session.phase = session::Phase::kWaiting;
  call.waits_since = now;
  call.goes_ahead = first;
  if (ipc::has_bug_once("forget_waiter", 20)) return;
  if (first) {
    waiting_.push_front(session);
  } else {
    waiting_.push_back(session);
  }
  arm_wait(call, now);
  tell_of_waiting();
}

// A session has come to wait for any worker.
void Dispatcher::tell_of_waiting() {
  if (seating_.any()) {
    ports_.listener.hand_off_due();
  } else if (std::exchange(watches_waiting_, false)) {
    ports_.listener.fleet_due();
  }
}

void Dispatcher::expect(session::Session& session, std::uint32_t worker, TimePoint now) {
  Call& call = first_call(session);
  session.phase = session::Phase::kWaiting;
  call.waits_since = now;
  call.goes_ahead = false;
  call.patient_until =
      limits_.affinity == Affinity::kPinned ? TimePoint::max() : now + patience(session);
  waiting_.expect(session, worker);
  arm_wait(call, now);
}

// How long it is worth while to wait for the warm worker.
nanoseconds Dispatcher::patience(const session::Session& session) const noexcept {
  if (session.record.version() == 0) return nanoseconds(0);  // it has nothing to miss
  const nanoseconds most = std::min<nanoseconds>(miss_cost(), limits_.longest_wait_for_warm);
  return most < kLeastPatience ? nanoseconds(0) : most;
}

// It waits for any worker now, behind those that do. REQUIRES: it expects one.
void Dispatcher::stop_expecting(session::Session& session, TimePoint now) {
  stop_waiting(session);
  if (must_be_alone(session)) return wait_alone(session, now);
  waiting_.push_back(session);
  arm_wait(first_call(session), now);
  tell_of_waiting();
}

// The worker takes no more: whoever expects it goes elsewhere.
void Dispatcher::release_expecting(std::uint32_t worker, TimePoint now) {
  while (session::Session* const session = waiting_.first_expecting(worker)) {
    stop_expecting(*session, now);
  }
}

void Dispatcher::serve_expecting(WorkerSlot& worker, TimePoint now) {
  while (has_room(worker)) {
    session::Session* const session = waiting_.first_expecting(worker.index());
    if (session == nullptr) return;
    const session::SessionRef keep(session);
    waiting_.remove(*session);
    session->phase = session::Phase::kIdle;
    switch (grant(*session, worker.index(), now)) {
      case Granted::kSent:
        break;
      case Granted::kFull:
        wait(*session, true, now);
        break;
      case Granted::kEnded:
        offer(*session, now);
        break;
    }
  }
}

// To the next moment at which something may end the wait. In a queue that nobody sheds from, too,
// since overload may begin at any time.
void Dispatcher::arm_wait(Call& call, TimePoint now) noexcept {
  TimePoint due = std::min(call.deadline, call.waits_since + limits_.checkout_timeout);
  if (call.session->expects != session::kNoWorker) {
    due = std::min(due, call.patient_until);
  } else if (limits_.sheds_overload) {
    const nanoseconds bound = Shedder::bound(service_time());
    const TimePoint look = call.waits_since + bound;
    due = std::min(due, look > now ? look : now + bound);
  }
  arm(call.timer, due);
}

// ---- hand-offs ----

bool Dispatcher::hand_off(TimePoint now) {
  seat_alone(now);
  for (std::uint32_t i = 0; i < kHandOffsPerStep; ++i) {
    if (waiting_.empty()) return false;
    const std::optional<std::uint32_t> worker = pick_worker();
    if (!worker) return false;
    session::Session& session =
        waiting_.take_for(*worker, workers_[*worker]->epoch, limits_.affinity == Affinity::kHint);
    const session::SessionRef keep(&session);
    session.phase = session::Phase::kIdle;
    const Call& call = first_call(session);
    const nanoseconds waited = now - call.waits_since;
    const bool took_its_turn = !call.goes_ahead;
    switch (grant(session, *worker, now)) {
      case Granted::kSent:
        if (took_its_turn) shedder_.served(waited, service_time(), now);
        break;
      case Granted::kFull:
        wait(session, true, now);
        break;
      case Granted::kEnded:
        offer(session, now);
        break;
    }
  }
  return !waiting_.empty() && seating_.any();
}

// ---- slots ----

bool Dispatcher::has_room(const WorkerSlot& worker) const noexcept {
  return worker.state == WorkerState::kReady && !worker.full && worker.in_flight() < capacity_ &&
         worker.recalled() == 0 && worker.kept_for == nullptr;
}

void Dispatcher::note_room(const WorkerSlot& worker) noexcept {
  seating_.set(worker.index(), !has_room(worker)         ? Room::kNone
                               : worker.in_flight() == 0 ? Room::kIdle
                                                         : Room::kSome);
}

void Dispatcher::set_state(WorkerSlot& worker, WorkerState state) noexcept {
  if (worker.state == WorkerState::kReady) --ready_;
  if (worker.state != state) ports_.listener.health_changed();
  worker.state = state;
  if (worker.state == WorkerState::kReady) ++ready_;
  note_room(worker);
}

void Dispatcher::note_grant(const session::Session& session, const Call& call, std::uint32_t worker,
                            TimePoint now) noexcept {
  if (call.kind == CallKind::kMove) return;
  telemetry::Metrics& metrics = ports_.metrics;
  metrics.attempts.add(1);
  if (call.attempts == 1) metrics.queue_time.record((now - call.arrived).count());
  if (session.record.version() == 0) return;
  if (is_warm(session, worker)) {
    metrics.warm_hits.add(1);
  } else {
    metrics.misses.add(1);
    if (is_warm(session, session.warm.worker)) metrics.steals.add(1);
  }
}

// ---- what it has learned ----

void Dispatcher::learn_miss_cost(std::int64_t hydration_ns) noexcept {
  ports_.metrics.hydration_time.record(hydration_ns);
  if (hydration_ns_ < 0) {
    hydration_ns_ = hydration_ns;
  } else {
    hydration_ns_ += (hydration_ns - hydration_ns_) >> kMissEwmaShift;
  }
}

nanoseconds Dispatcher::service_time() const noexcept {
  return nanoseconds(std::max<std::int64_t>(service_ns_, 0));
}

nanoseconds Dispatcher::miss_cost() const noexcept {
  return nanoseconds(std::max<std::int64_t>(hydration_ns_, 0));
}

}  // namespace dspool::dispatch
