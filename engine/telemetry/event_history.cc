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
  const std::size_t size = facts.session_bytes + facts.detail_bytes;
  const std::string_view both(size > kShortBytes ? long_text.data() : text.data(), size);
  return {.kind = facts.kind,
          .time_ns = facts.time_ns,
          .call = facts.call,
          .request = facts.request,
          .version = facts.version,
          .epoch = facts.epoch,
          .worker = facts.worker,
          .attempt = facts.attempt,
          .session = std::string(both.substr(0, facts.session_bytes)),
          .detail = std::string(both.substr(facts.session_bytes))};
}

}  // namespace dspool::telemetry
