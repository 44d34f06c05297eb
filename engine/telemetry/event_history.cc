#include "engine/telemetry/event_history.h"

namespace dspool::telemetry {

History EventHistory::snapshot() const {
  History history;
  const std::lock_guard lock(lock_);
  history.events.reserve(ring_.size());
  history.dropped = recorded_ - ring_.size();
  const std::size_t oldest = history.dropped != 0 ? next_ : 0;
  for (std::size_t i = 0; i < ring_.size(); ++i) {
    history.events.push_back(ring_[(oldest + i) % ring_.size()].to_event());
  }
  return history;
}

Event EventHistory::Entry::to_event() const {
  const std::size_t size = event.session.size() + event.detail.size();
  const std::string_view both(size > kShortBytes ? long_text.data() : text.data(), size);
  return {.kind = event.kind,
          .time_ns = event.time_ns,
          .call = event.call,
          .request = event.request,
          .version = event.version,
          .epoch = event.epoch,
          .worker = event.worker,
          .attempt = event.attempt,
          .session = std::string(both.substr(0, event.session.size())),
          .detail = std::string(both.substr(event.session.size()))};
}

}  // namespace dspool::telemetry
