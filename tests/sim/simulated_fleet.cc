#include "tests/sim/simulated_fleet.h"

#include <algorithm>
#include <utility>

namespace dspool::sim {
namespace {

using dispatch::FleetOrder;
using dispatch::PlaceState;
using std::chrono::milliseconds;

constexpr nanoseconds kSoon = std::chrono::microseconds(50);

dispatch::FleetTerms terms(bool restless) {
  dispatch::FleetTerms terms;
  terms.places = SimulatedFleet::kPlaces;
  terms.stay = milliseconds(40);
  if (!restless) return terms;
  terms.overflow = 2;
  terms.spares = 1;
  terms.max_requests = 60;
  terms.max_age = milliseconds(200);
  return terms;
}

}  // namespace

SimulatedFleet::SimulatedFleet(std::uint32_t workers, bool restless,
                               dispatch::Dispatcher& dispatcher, session::SessionTable& sessions,
                               SimulatedProcesses& processes, std::minstd_rand& random)
    : restless_(restless),
      dispatcher_(dispatcher),
      sessions_(sessions),
      processes_(processes),
      random_(random),
      fleet_(terms(restless), workers),
      places_(kPlaces) {}

std::uint32_t SimulatedFleet::some(std::size_t count) {
  return static_cast<std::uint32_t>(random_() % count);
}

// ---- steps ----

void SimulatedFleet::due() {
  if (std::exchange(step_due_, true)) return;
  processes_.after(kSoon, [this] {
    step_due_ = false;
    step();
  });
}

void SimulatedFleet::step() {
  dispatch::FleetLoad load{.waiting = dispatcher_.waiting_sessions()};
  for (std::uint32_t i = 0; i < dispatcher_.workers(); ++i) {
    if (dispatcher_.worker(i).in_flight() != 0) ++load.busy;
    tell_of(i);
  }
  const std::vector<FleetOrder> orders = fleet_.step(load, processes_.now());
  for (const FleetOrder& order : orders) carry_out(order);
  if (fleet_.heeds_waiting() && load.waiting == 0) dispatcher_.watch_waiting();
  if (!orders.empty()) return due();
  const auto next = fleet_.next_step();
  if (!next || *next >= look_again_) return;
  look_again_ = std::max(*next, processes_.now() + milliseconds(1));
  processes_.after(look_again_ - processes_.now(), [this] {
    look_again_ = TimePoint::max();
    due();
  });
}

void SimulatedFleet::tell_of(std::uint32_t index) {
  Place& place = places_[index];
  const dispatch::WorkerSlot& slot = dispatcher_.worker(index);
  const std::uint64_t epoch = slot.epoch;
  const bool is_another = epoch != place.epoch;
  switch (fleet_.state(index)) {
    case PlaceState::kStarting:
      if (epoch == 0 || !is_another) return;
      fleet_.ready(index, processes_.now());
      break;
    case PlaceState::kServing:
      if (!is_another) return fleet_.used(index, slot.served, 0);
      fleet_.lost(index);
      if (epoch != 0) fleet_.ready(index, processes_.now());
      break;
    case PlaceState::kEmptying:
      if (is_another) return fleet_.lost(index);
      if (slot.in_flight() == 0 && place.moves == 0) fleet_.emptied(index);
      return;
    case PlaceState::kEmpty:
    case PlaceState::kLeaving:
      return;
  }
  place.epoch = epoch;
}

void SimulatedFleet::carry_out(const FleetOrder& order) {
  const TimePoint now = processes_.now();
  switch (order.kind) {
    case FleetOrder::Kind::kStart:
      dispatcher_.prepare_place(order.place);
      processes_.start_in(order.place);
      break;
    case FleetOrder::Kind::kRest:
    case FleetOrder::Kind::kServe:
      dispatcher_.set_resting(order.place, order.kind == FleetOrder::Kind::kRest, now);
      break;
    case FleetOrder::Kind::kEmpty:
      dispatcher_.drain(order.place, now);
      places_[order.place].drained = dispatcher_.worker(order.place).epoch;
      empty(order.place);
      break;
    case FleetOrder::Kind::kEnd:
      ++left_;
      processes_.retire(order.place, dispatcher_.withdraw(order.place, now));
      break;
  }
}

void SimulatedFleet::vacated(std::uint32_t place) {
  places_[place].epoch = 0;
  fleet_.vacated(place);
  due();
}

// ---- moves ----

// What is warm there goes to whoever is free for it now.
void SimulatedFleet::empty(std::uint32_t place) {
  const std::uint64_t epoch = dispatcher_.worker(place).epoch;
  for (const session::SessionRef& session : sessions_.next({}, sessions_.size())) {
    if (!dispatcher_.is_warm_at(*session, {.worker = place, .epoch = epoch})) continue;
    const auto target = dispatcher_.pick_target(place, UINT64_MAX);
    if (target) move(session, *target, place);
  }
}

void SimulatedFleet::move(const session::SessionRef& session, std::uint32_t to,
                          std::uint32_t leaves) {
  auto own = std::make_unique<OwnMove>();
  own->kind = dispatch::CallKind::kMove;
  own->session = session;
  own->args = &no_args_;
  own->deadline = processes_.now() + milliseconds(500);
  own->creates_session = false;
  own->move.to = to;
  own->leaves = leaves;
  OwnMove& moving = *own;
  moves_.push_back(std::move(own));
  ++under_way_;
  if (leaves != kPlaces) {
    ++places_[leaves].moves;
    moving.move.from = {.worker = leaves, .epoch = dispatcher_.worker(leaves).epoch};
  }
  if (!dispatcher_.arrive(moving, processes_.now())) ended(moving);  // the session has ended
}

void SimulatedFleet::ended(dispatch::Call& move) {
  const auto& moving = static_cast<OwnMove&>(move);
  --under_way_;
  if (moving.move.has_moved) ++moved_;
  if (moving.leaves != kPlaces) --places_[moving.leaves].moves;
  due();
}

// ---- what people ask for ----

void SimulatedFleet::ask_for_something() {
  if (!restless_) return;
  const std::uint32_t place = some(kPlaces);
  switch (some(5)) {
    case 0:
      fleet_.resize(1 + some(kMostWorkers));
      dispatcher_.set_pool_size(fleet_.target());
      break;
    case 1:
      if (fleet_.can_drain(place)) {
        fleet_.drain(place);
        dispatcher_.set_pool_size(fleet_.target());
      }
      break;
    case 2:
      if (fleet_.state(place) == PlaceState::kServing) fleet_.evacuate(place);
      break;
    default: {
      const auto sessions = sessions_.next({}, sessions_.size());
      const bool serves = fleet_.state(place) == PlaceState::kServing;
      if (serves && !sessions.empty()) move(sessions[some(sessions.size())], place, kPlaces);
    }
  }
  due();
}

// ---- what it is like now ----

bool SimulatedFleet::is_at_rest() const {
  if (under_way_ != 0 || step_due_ || !fleet_.reached_target()) return false;
  std::uint32_t up = 0;
  for (std::uint32_t i = 0; i < dispatcher_.workers(); ++i) {
    if (dispatcher_.worker(i).is_up()) ++up;
  }
  return up >= fleet_.target();
}

bool SimulatedFleet::is_drained(std::uint32_t place) const {
  return dispatcher_.worker(place).epoch == places_[place].drained;
}

std::set<std::uint64_t> SimulatedFleet::moves() const {
  std::set<std::uint64_t> ids;
  for (const auto& move : moves_) ids.insert(move->id);
  return ids;
}

}  // namespace dspool::sim
