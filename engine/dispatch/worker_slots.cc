#include "engine/dispatch/worker_slots.h"

#include <cassert>

namespace dspool::dispatch {
namespace {

constexpr unsigned kIndexBits = 10;
constexpr std::uint64_t kIndexMask = (std::uint64_t{1} << kIndexBits) - 1;

}  // namespace

WorkerSlot::WorkerSlot(std::uint32_t index, std::uint32_t capacity)
    : index_(index), capacity_(capacity), attempts_(std::make_unique<Attempt[]>(capacity)) {
  assert(capacity <= kIndexMask);
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
  attempt.request_id = sequence << kIndexBits | index;
  attempt.epoch = epoch;
  attempt.hydrated = false;
  attempt.had_begun = false;
  attempt.moves = false;
  return attempt;
}

Attempt* WorkerSlot::find(std::uint64_t request_id) noexcept {
  const std::uint64_t index = request_id & kIndexMask;
  if (request_id == 0 || index >= capacity_) return nullptr;
  return attempts_[index].request_id == request_id ? &attempts_[index] : nullptr;
}

void WorkerSlot::close(Attempt& attempt) noexcept {
  free_.push_back(static_cast<std::uint32_t>(attempt.request_id & kIndexMask));
  --in_flight_;
  attempt.request_id = 0;
  attempt.call = nullptr;
  attempt.session.reset();
  attempt.pins = {};
}

bool WorkerSlot::has_begun(const Attempt& attempt, std::uint32_t max_in_flight) const noexcept {
  std::uint32_t before = 0;
  for (std::uint32_t i = 0; i < capacity_; ++i) {
    const std::uint64_t id = attempts_[i].request_id;
    if (id != 0 && id < attempt.request_id) ++before;
  }
  return before < max_in_flight;
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
