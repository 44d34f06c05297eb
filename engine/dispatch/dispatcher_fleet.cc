// Workers that come and go because somebody decided it (Fleet): where there is room for them, and
// which of them take work.
#include <cassert>

#include "engine/dispatch/dispatcher.h"

namespace dspool::dispatch {

void Dispatcher::open_places(std::uint32_t count) {
  assert(count <= names_.size());
  for (auto i = workers(); i < count; ++i) {
    workers_.push_back(
        std::make_unique<WorkerSlot>(i, limits_.max_in_flight + limits_.pipeline - 1));
  }
}

void Dispatcher::prepare_place(std::uint32_t worker) {
  open_places(worker + 1);
  workers_[worker]->is_retired = false;
}

void Dispatcher::drain(std::uint32_t worker, TimePoint now) {
  WorkerSlot& slot = *workers_[worker];
  stop_serving(slot, WorkerState::kDraining, now);
  if (slot.in_flight() == 0) ports_.listener.fleet_due();
}

bool Dispatcher::withdraw(std::uint32_t worker, TimePoint now) {
  WorkerSlot& slot = *workers_[worker];
  slot.is_retired = true;
  if (!slot.is_up()) return false;
  stop_serving(slot, WorkerState::kDraining, now);
  return true;
}

void Dispatcher::set_resting(std::uint32_t worker, bool rests, TimePoint now) {
  WorkerSlot& slot = *workers_[worker];
  if (rests && slot.state == WorkerState::kReady) {
    stop_serving(slot, WorkerState::kResting, now);
  } else if (!rests && slot.state == WorkerState::kResting) {
    set_state(slot, WorkerState::kReady);
    if (!waiting_.empty()) ports_.listener.hand_off_due();
  }
}

void Dispatcher::watch_waiting() {
  watches_waiting_ = true;
  if (!waiting_.empty()) tell_of_waiting();
}

// It gets no more attempts, and whoever expects it goes elsewhere.
void Dispatcher::stop_serving(WorkerSlot& slot, WorkerState state, TimePoint now) {
  if (!slot.is_up()) return;
  set_state(slot, state);
  release_expecting(slot.index(), now);
}

std::optional<std::uint32_t> Dispatcher::pick_target(std::uint32_t leaves,
                                                     std::uint64_t below) const noexcept {
  std::optional<std::uint32_t> best;
  for (std::uint32_t i = 0; i < workers(); ++i) {
    const WorkerSlot& slot = *workers_[i];
    if (i == leaves || !has_room(slot) || slot.in_flight() >= limits_.max_in_flight) continue;
    if (slot.warm_sessions >= below) continue;
    if (!best || slot.warm_sessions < workers_[*best]->warm_sessions) best = i;
  }
  return best;
}

}  // namespace dspool::dispatch
