#include "engine/telemetry/event_history.h"

#include <algorithm>
#include <utility>

namespace dspool::telemetry {

void EventHistory::record(Event event) {
  if (!enabled()) return;
  const std::lock_guard lock(mutex_);
  if (ring_.size() < capacity_) {
    ring_.push_back(std::move(event));
  } else {
    ring_[recorded_ % capacity_] = std::move(event);
  }
  ++recorded_;
}

History EventHistory::snapshot() const {
  History history;
  const std::lock_guard lock(mutex_);
  history.events = ring_;
  history.dropped = recorded_ - ring_.size();
  if (history.dropped != 0) {
    const auto oldest = static_cast<std::ptrdiff_t>(recorded_ % capacity_);
    std::rotate(history.events.begin(), history.events.begin() + oldest, history.events.end());
  }
  return history;
}

}  // namespace dspool::telemetry
