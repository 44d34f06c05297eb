#include "engine/telemetry/event_history.h"

#include <algorithm>

namespace dspool::telemetry {

void EventHistory::record(const EventView& event) {
  if (!enabled()) return;
  const std::lock_guard lock(mutex_);
  if (ring_.size() < capacity_) ring_.emplace_back();
  Event& place = ring_[next_];
  place.kind = event.kind;
  place.time_ns = event.time_ns;
  place.call = event.call;
  place.request = event.request;
  place.version = event.version;
  place.epoch = event.epoch;
  place.worker = event.worker;
  place.attempt = event.attempt;
  place.session.assign(event.session);
  place.detail.assign(event.detail);
  next_ = next_ + 1 == capacity_ ? 0 : next_ + 1;
  ++recorded_;
}

History EventHistory::snapshot() const {
  History history;
  const std::lock_guard lock(mutex_);
  history.events = ring_;
  history.dropped = recorded_ - ring_.size();
  if (history.dropped != 0) {
    const auto oldest = static_cast<std::ptrdiff_t>(next_);
    std::rotate(history.events.begin(), history.events.begin() + oldest, history.events.end());
  }
  return history;
}

}  // namespace dspool::telemetry
