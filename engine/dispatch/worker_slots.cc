#include "engine/dispatch/worker_slots.h"

#include <algorithm>
#include <cassert>
#include <functional>

namespace dspool::dispatch {
WorkerSlot::WorkerSlot(std::uint32_t index, std::uint32_t capacity)
    : index_(index), capacity_(capacity), attempts_(std::make_unique<Attempt[]>(capacity)) {
  assert(capacity < std::uint32_t{1} << kPlaceBits);
  free_.reserve(capacity);
  for (std::uint32_t i = 0; i < capacity; ++i) {
    attempts_[i].worker = index;
    free_.push_back(capacity - 1 - i);
  }
}

Attempt& WorkerSlot::open(std::uint64_t sequence) {
  assert(!free_.empty());
  const std::uint32_t index = free_.back();
  free_.pop_back();
  ++in_flight_;
  Attempt& attempt = attempts_[index];
  attempt.request_id = sequence << kPlaceBits | index;
  attempt.epoch = epoch;
  attempt.hydrated = false;
  attempt.had_begun = false;
  attempt.recalled = false;
  attempt.alone = false;
  attempt.moves = false;
  attempt.streams = false;
  return attempt;
}

Attempt* WorkerSlot::find(std::uint64_t request_id) noexcept {
  const std::uint32_t index = place_of(request_id);
  if (request_id == 0 || index >= capacity_) return nullptr;
  return attempts_[index].request_id == request_id ? &attempts_[index] : nullptr;
}

void WorkerSlot::close(Attempt& attempt) noexcept {
  free_.push_back(place_of(attempt.request_id));
  --in_flight_;
  if (attempt.recalled) --recalled_;
  attempt.request_id = 0;
  attempt.call = nullptr;
  attempt.session.reset();
  attempt.pins = {};
}

void WorkerSlot::set_recalled(Attempt& attempt) noexcept {
  attempt.recalled = true;
  ++recalled_;
  attempt.call = nullptr;
  attempt.session.reset();
}

void WorkerSlot::close_recalled() noexcept {
  for (std::uint32_t i = 0; i < capacity_ && recalled_ != 0; ++i) {
    if (attempts_[i].request_id != 0 && attempts_[i].recalled) close(attempts_[i]);
  }
}

std::vector<Attempt*> WorkerSlot::find_behind(std::uint64_t begun) {
  std::vector<Attempt*> behind;
  for_each_in_flight([&](Attempt& attempt) {
    if (attempt.order > begun) behind.push_back(&attempt);
  });
  std::ranges::sort(behind, std::greater<>(), &Attempt::order);
  return behind;
}

bool WorkerSlot::runs_one_of(std::uint64_t begun) const noexcept {
  return std::ranges::any_of(attempts(), [begun](const Attempt& attempt) {
    return attempt.request_id != 0 && !attempt.recalled && attempt.order <= begun;
  });
}

bool WorkerSlot::is_ahead_of_all(std::uint64_t request_id) const noexcept {
  const Attempt* first = nullptr;
  for (const Attempt& attempt : attempts()) {
    if (attempt.request_id == 0 || attempt.recalled) continue;
    if (first == nullptr || attempt.order < first->order) first = &attempt;
  }
  return first != nullptr && first->request_id == request_id;
}

bool WorkerSlot::has_begun(const Attempt& attempt, std::uint32_t max_in_flight) const noexcept {
  return std::ranges::count_if(attempts(), [&attempt](const Attempt& other) {
           return other.request_id != 0 && !other.recalled && other.order < attempt.order;
         }) < max_in_flight;
}

bool WorkerSlot::runs_for_a_call(std::uint32_t max_in_flight) const noexcept {
  for (std::uint32_t i = 0; i < capacity_; ++i) {
    const Attempt& attempt = attempts_[i];
    if (attempt.request_id == 0 || attempt.call == nullptr) continue;
    if (has_begun(attempt, max_in_flight)) return true;
  }
  return false;
}

}  // namespace dspool::dispatch
