// The engine's record of its last `capacity` events: a ring that overwrites the oldest.
//
// Thread-safe. Events stand in the order in which record() was called, so what must not be told
// out of order is recorded under the lock that orders it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <vector>

#include "dspool/history.h"

namespace dspool::telemetry {

// An Event that looks at its texts.
struct EventView {
  EventKind kind{};
  std::int64_t time_ns = 0;
  std::uint64_t call = 0;
  std::uint64_t request = 0;
  std::uint64_t version = 0;
  std::uint64_t epoch = 0;
  std::uint32_t worker = 0;
  std::uint32_t attempt = 0;
  std::string_view session = {};
  std::string_view detail = {};
};

class EventHistory {
 public:
  // Capacity 0 keeps nothing.
  explicit EventHistory(std::size_t capacity) noexcept : capacity_(capacity) {}

  // Ask before building an EventView.
  [[nodiscard]] bool enabled() const noexcept { return capacity_ != 0; }
  // Once the ring is full, texts take the place of others, without an allocation where they fit.
  void record(const EventView& event);
  [[nodiscard]] History snapshot() const;

 private:
  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::vector<Event> ring_;  // grows up to capacity_
  std::size_t next_ = 0;     // the place of the next event
  std::uint64_t recorded_ = 0;
};

}  // namespace dspool::telemetry
