// The engine's record of its last `capacity` events: a ring that overwrites the oldest.
//
// Thread-safe. Events stand in the order in which record() was called, so what must not be told
// out of order is recorded under the lock that orders it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

#include "dspool/history.h"

namespace dspool::telemetry {

class EventHistory {
 public:
  // Capacity 0 keeps nothing.
  explicit EventHistory(std::size_t capacity) noexcept : capacity_(capacity) {}

  // Ask before building an Event.
  [[nodiscard]] bool enabled() const noexcept { return capacity_ != 0; }
  void record(Event event);
  [[nodiscard]] History snapshot() const;

 private:
  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::vector<Event> ring_;     // grows up to capacity_
  std::uint64_t recorded_ = 0;  // the next event's place is recorded_ % capacity_
};

}  // namespace dspool::telemetry
