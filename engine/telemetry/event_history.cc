#include "engine/telemetry/event_history.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace dspool::telemetry {

History EventHistory::snapshot() const {
  History history;
  std::vector<Event>& events = history.events;
  const std::lock_guard lock(lock_);
  events.reserve(2 * ring_.size());
  const std::size_t oldest = ring_.size() == capacity_ ? next_ : 0;
  for (std::size_t i = 0; i < ring_.size(); ++i) {
    ring_[(oldest + i) % ring_.size()].append_to(events);
  }
  const std::size_t kept = std::min(events.size(), capacity_);
  events.erase(events.begin(), events.end() - static_cast<std::ptrdiff_t>(kept));
  history.dropped = recorded_ - kept;
  return history;
}

void EventHistory::Entry::append_to(std::vector<Event>& events) const {
  const std::size_t size = facts.session_bytes + facts.detail_bytes;
  const std::string_view both(size > kShortBytes ? long_text.data() : text.data(), size);
  const std::string_view session = both.substr(0, facts.session_bytes);
  Event event{.kind = facts.kind,
              .time_ns = facts.time_ns,
              .call = facts.call,
              .request = facts.request,
              .version = facts.version,
              .epoch = facts.epoch,
              .worker = facts.worker,
              .attempt = facts.attempt,
              .session = std::string(session),
              .detail = std::string(both.substr(facts.session_bytes))};
  const Event of_call{.time_ns = facts.time_ns,
                      .call = facts.call,
                      .version = version_after(facts),
                      .session = std::string(session),
                      .detail = {}};
  if ((facts.followers & kSent) != 0) {
    events.push_back(of_call);
    events.back().kind = facts.kind;
    event.kind = EventKind::kAttemptSent;
  }
  events.push_back(std::move(event));
  if ((facts.followers & kCommitted) != 0) {
    events.push_back(of_call);
    events.back().kind = EventKind::kCommit;
    events.back().request = facts.request;
  }
  if ((facts.followers & kEnded) != 0) {
    events.push_back(of_call);
    events.back().kind = EventKind::kCallEnded;
    events.back().detail = "ok";
  }
}

}  // namespace dspool::telemetry
