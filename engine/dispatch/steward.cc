#include "engine/dispatch/steward.h"

#include <poll.h>

#include <algorithm>
#include <cassert>
#include <utility>

#include "dspool/config.h"
#include "engine/dispatch/errors.h"
#include "engine/dispatch/private_memory.h"

namespace dspool::dispatch {
namespace {

using std::chrono::milliseconds;

// A worker has too many warm sessions with half as many again as the mean, and so many more.
constexpr std::uint64_t kImbalance = 64;
constexpr std::chrono::hours kLongestPatience{7 * 24};

}  // namespace

Steward::Steward(const FleetTerms& terms, const Parts& parts, std::span<const std::string> names,
                 Patience grace)
    : terms_(terms), parts_(parts), names_(names), grace_(grace), fleet_(terms, parts.pool_size) {
  assert(terms.places <= names.size());
}

Steward::~Steward() { finish(); }

void Steward::start() {
  thread_ = std::thread([this] { run(); });
}

void Steward::finish() {
  {
    const std::lock_guard lock(mutex_);
    finishing_ = true;
  }
  changed_.notify_all();
  parts_.wake.wake();
  if (thread_.joinable()) thread_.join();
}

// ---- what people ask for ----

Result<void> Steward::resize(std::uint32_t workers, Patience patience) {
  std::unique_lock lock(mutex_);
  if (workers == 0 || workers > Config::kMostWorkers) {
    return tl::unexpected(errors::invalid_pool_size(workers));
  }
  if (finishing_) return tl::unexpected(errors::stopping());
  const std::uint32_t now = fleet_.target();
  if (workers > now) {
    if (auto room = parts_.supervisor.check_room(workers - now); !room) return room;
  }
  parts_.supervisor.try_again();
  fleet_.resize(workers);
  set_pool_size(workers);
  even_out_due_ = true;
  parts_.wake.wake();
  return wait_until(
      lock, patience, [&] { return fleet_.reached_target(); }, "resize");
}

void Steward::set_pool_size(std::uint32_t workers) {
  parts_.pool_size.store(workers);
  parts_.gate.step([&](Dispatcher& dispatcher, TimePoint) { dispatcher.set_pool_size(workers); });
}

Result<void> Steward::drain(std::string_view worker, Patience patience) {
  return leave(worker, patience, true);
}

Result<void> Steward::evacuate(std::string_view worker, Patience patience) {
  return leave(worker, patience, false);
}

Result<void> Steward::leave(std::string_view worker, Patience patience, bool drains) {
  std::unique_lock lock(mutex_);
  if (auto seen = catch_up(lock); !seen) return seen;
  const auto found = find(worker);
  if (!found) return tl::unexpected(found.error());
  const std::uint32_t place = *found;
  if (drains && !fleet_.can_drain(place)) return tl::unexpected(errors::last_worker(worker));
  if (drains) {
    fleet_.drain(place);
    set_pool_size(fleet_.target());
  } else {
    fleet_.evacuate(place);
  }
  const std::uint64_t generation = fleet_.generation(place);
  parts_.wake.wake();
  const auto is_gone = [&] {
    const PlaceState state = fleet_.state(place);
    return fleet_.generation(place) != generation || state == PlaceState::kLeaving ||
           state == PlaceState::kEmpty;
  };
  return wait_until(lock, patience, is_gone, drains ? "drain" : "evacuation");
}

Result<std::uint64_t> Steward::rebalance(Patience patience) {
  std::unique_lock lock(mutex_);
  const std::uint64_t before = parts_.metrics.migrations.value();
  const std::uint64_t asked = ++evenings_asked_;
  parts_.wake.wake();
  auto done = wait_until(
      lock, patience, [&] { return evenings_done_ >= asked; }, "rebalancing");
  if (!done) return tl::unexpected(std::move(done.error()));
  return parts_.metrics.migrations.value() - before;
}

// Until the fleet knows what there was to see when this began: a worker that is ready serves.
Result<void> Steward::catch_up(std::unique_lock<std::mutex>& lock) {
  constexpr Patience kLongest = std::chrono::seconds(10);
  const auto until = std::chrono::steady_clock::now() + kLongest;
  const std::uint64_t enough = steps_ + 2;  // one may have looked before
  parts_.wake.wake();
  while (!finishing_ && steps_ < enough) {
    if (changed_.wait_until(lock, until) == std::cv_status::timeout) {
      return tl::unexpected(errors::unfinished("a look at the workers", kLongest));
    }
    parts_.wake.wake();
  }
  return {};
}

template <typename Done>
Result<void> Steward::wait_until(std::unique_lock<std::mutex>& lock, Patience patience,
                                 const Done& done, std::string_view what) {
  const bool in_time = changed_.wait_for(lock, std::min<Patience>(patience, kLongestPatience),
                                         [&] { return finishing_ || done(); });
  if (done()) return {};
  if (in_time) return tl::unexpected(errors::stopping());
  return tl::unexpected(errors::unfinished(what, patience));
}

Result<std::uint32_t> Steward::find(std::string_view worker) const {
  const auto found = std::ranges::find(names_, worker);
  const auto place = static_cast<std::uint32_t>(found - names_.begin());
  if (finishing_) return tl::unexpected(errors::stopping());
  if (fleet_.state(place) == PlaceState::kEmpty) {
    return tl::unexpected(errors::unknown_worker(worker));
  }
  if (fleet_.state(place) != PlaceState::kServing) {
    return tl::unexpected(errors::worker_not_ready(worker));
  }
  return place;
}

Result<std::uint32_t> Steward::find_serving(std::string_view worker) {
  std::unique_lock lock(mutex_);
  if (auto seen = catch_up(lock); !seen) return tl::unexpected(std::move(seen.error()));
  return find(worker);
}

void Steward::vacated(std::uint32_t place) {
  {
    const std::lock_guard lock(mutex_);
    vacated_.push_back(place);
  }
  parts_.wake.wake();
}

// ---- the thread ----

void Steward::run() {
  for (;;) {
    parts_.wake.clear();
    while (step()) {
    }
    {
      const std::lock_guard lock(mutex_);
      if (finishing_) return;
    }
    wait_for_events(next_step());
  }
}

void Steward::wait_for_events(TimePoint until) const {
  pollfd watched{.fd = parts_.wake.descriptor(), .events = POLLIN, .revents = 0};
  int timeout_ms = -1;
  if (until != TimePoint::max()) {
    const auto left = std::chrono::ceil<milliseconds>(until - Gate::now()).count();
    timeout_ms = static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
  }
  ::poll(&watched, 1, timeout_ms);
}

// true: there is more to do at once.
bool Steward::step() {
  const FleetLoad load = look();
  const TimePoint now = Gate::now();
  look_again_ = now + kLookInterval;
  look_at_memory(now);
  look_at_balance(now);
  std::vector<FleetOrder> orders;
  bool evens_out = false;
  bool heeds = false;
  {
    const std::lock_guard lock(mutex_);
    if (finishing_) return false;
    ++steps_;
    tell_fleet(now);
    orders = fleet_.step(load, now);
    heeds = fleet_.heeds_waiting();
    const bool is_asked = evenings_asked_ != evenings_done_;
    const bool is_due = even_out_due_ && fleet_.reached_target();
    if (orders.empty() && parts_.mover.is_idle()) {
      if (is_asked && evenings_under_way_ != 0) {
        evenings_done_ = std::exchange(evenings_under_way_, 0);
      } else if (is_asked || is_due) {
        evens_out = true;
        evenings_under_way_ = is_asked ? evenings_asked_ : 0;
        even_out_due_ = false;
      }
    }
    parts_.metrics.workers_recycled.add(fleet_.recycled() -
                                        std::exchange(recycled_, fleet_.recycled()));
  }
  changed_.notify_all();
  for (const FleetOrder& order : orders) carry_out(order);
  if (evens_out) {
    parts_.mover.even_out();
    look_at_balance_ = now + kRestAfterEvening;
  }
  const bool more_to_move = parts_.mover.step();
  if (heeds && load.waiting == 0) {
    parts_.gate.step([](Dispatcher& dispatcher, TimePoint) { dispatcher.watch_waiting(); });
  }
  return more_to_move || !orders.empty() || evens_out;
}

FleetLoad Steward::look() {
  FleetLoad load;
  parts_.gate.ask([&](const Dispatcher& dispatcher, TimePoint) {
    seen_.resize(dispatcher.workers());
    for (std::uint32_t i = 0; i < dispatcher.workers(); ++i) {
      const WorkerSlot& slot = dispatcher.worker(i);
      seen_[i] = {.state = slot.state,
                  .epoch = slot.epoch,
                  .served = slot.served,
                  .in_flight = slot.in_flight(),
                  .warm_sessions = slot.warm_sessions};
      if (slot.in_flight() != 0) ++load.busy;
    }
    load.waiting = dispatcher.waiting_sessions();
  });
  return load;
}

// REQUIRES: mutex_.
void Steward::tell_fleet(TimePoint now) {
  for (const std::uint32_t place : std::exchange(vacated_, {})) {
    fleet_.vacated(place);
    if (place < epochs_.size()) epochs_[place] = 0;
  }
  const std::size_t places = std::max<std::size_t>(seen_.size(), fleet_.places());
  seen_.resize(places);
  epochs_.resize(places);
  memory_bytes_.resize(places);
  for (std::uint32_t i = 0; i < places; ++i) tell_fleet_of(i, now);
}

void Steward::tell_fleet_of(std::uint32_t place, TimePoint now) {
  const Seen& seen = seen_[place];
  // Also one that is doomed: others than the stuck attempt may still run there.
  const std::uint64_t epoch = seen.epoch;
  const bool is_up = epoch != 0;
  const bool is_another = epoch != epochs_[place];
  switch (fleet_.state(place)) {
    case PlaceState::kStarting:
      if (!is_up || !is_another) return;
      fleet_.ready(place, now);
      break;
    case PlaceState::kServing:
      if (is_another) {
        fleet_.lost(place);
        if (is_up) fleet_.ready(place, now);
      } else {
        fleet_.used(place, seen.served, memory_bytes_[place]);
      }
      break;
    case PlaceState::kEmptying:
      if (is_another) {
        parts_.mover.has_stopped(place);
        return fleet_.lost(place);
      }
      if (seen.in_flight != 0) return;
      parts_.mover.has_stopped(place);
      if (!parts_.mover.is_emptying(place)) fleet_.emptied(place);
      return;
    case PlaceState::kEmpty:
    case PlaceState::kLeaving:
      return;
  }
  if (!is_another) return;
  epochs_[place] = epoch;
  memory_bytes_[place] = 0;
}

void Steward::look_at_memory(TimePoint now) {
  if (terms_.max_memory_bytes == 0 || now < look_at_memory_) return;
  look_at_memory_ = now + kLookInterval;
  for (const auto& link : parts_.gate.links()) {
    if (!link || link->slot() >= epochs_.size() || epochs_[link->slot()] != link->epoch()) continue;
    memory_bytes_[link->slot()] = private_memory_bytes(link->pid);
  }
}

void Steward::look_at_balance(TimePoint now) {
  if (now < look_at_balance_) return;
  look_at_balance_ = now + kLookInterval;
  std::uint64_t sum = 0;
  std::uint64_t most = 0;
  std::uint64_t ready = 0;
  for (const Seen& seen : seen_) {
    if (seen.state != WorkerState::kReady) continue;
    ++ready;
    sum += seen.warm_sessions;
    most = std::max(most, seen.warm_sessions);
  }
  if (ready < 2) return;
  const std::uint64_t mean = sum / ready;
  if (most < mean + kImbalance || 2 * most <= 3 * mean) return;
  const std::lock_guard lock(mutex_);
  even_out_due_ = true;
}

void Steward::carry_out(const FleetOrder& order) {
  const std::uint32_t place = order.place;
  switch (order.kind) {
    case FleetOrder::Kind::kStart:
      parts_.gate.step([&](Dispatcher& dispatcher, TimePoint) { dispatcher.prepare_place(place); });
      parts_.supervisor.start_in(place);
      break;
    case FleetOrder::Kind::kRest:
    case FleetOrder::Kind::kServe:
      parts_.gate.step([&](Dispatcher& dispatcher, TimePoint now) {
        dispatcher.set_resting(place, order.kind == FleetOrder::Kind::kRest, now);
      });
      break;
    case FleetOrder::Kind::kEmpty: {
      parts_.log.info("{} gets no new work: {}", names_[place], to_string(order.reason));
      parts_.gate.step(
          [&](Dispatcher& dispatcher, TimePoint now) { dispatcher.drain(place, now); });
      parts_.mover.empty(place, seen_[place].epoch, order.reason);
      break;
    }
    case FleetOrder::Kind::kEnd: {
      const Gate::Withdrawn withdrawn = parts_.gate.withdraw(place);
      if (withdrawn == Gate::Withdrawn::kBusy) return let_finish(place);
      parts_.supervisor.retire(place, withdrawn == Gate::Withdrawn::kTold, grace_);
      break;
    }
  }
}

// Its start was to be cancelled, and it became ready and got work before anybody saw that.
void Steward::let_finish(std::uint32_t place) {
  const std::uint64_t epoch = parts_.gate.ask(
      [&](const Dispatcher& dispatcher, TimePoint) { return dispatcher.worker(place).epoch; });
  {
    const std::lock_guard lock(mutex_);
    fleet_.found_busy(place);
    epochs_[place] = epoch;
    memory_bytes_[place] = 0;
  }
  parts_.mover.empty(place, epoch, MigrationReason::kResize);
}

TimePoint Steward::next_step() const {
  TimePoint next = std::min(parts_.mover.next_step(), look_again_);
  const std::lock_guard lock(mutex_);
  if (const auto due = fleet_.next_step()) next = std::min(next, std::max(*due, TimePoint{}));
  return next;
}

}  // namespace dspool::dispatch
