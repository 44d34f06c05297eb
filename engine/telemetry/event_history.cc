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
  if (is_full_) {
    for (const Entry* entry = next_; entry != end_; ++entry) entry->append_to(events);
  }
  for (const Entry* entry = ring_.data(); entry != next_; ++entry) entry->append_to(events);
  const std::size_t kept = std::min(events.size(), capacity_);
  events.erase(events.begin(), events.end() - static_cast<std::ptrdiff_t>(kept));
  history.dropped = recorded_ - kept;
  return history;
}

// The ring becomes twice as long, up to its capacity; then the oldest entries are overwritten.
void EventHistory::make_room() {
  constexpr std::size_t kFirstEntries = 64;
  const std::size_t used = ring_.size();
  is_full_ = used == capacity_;
  if (!is_full_) ring_.resize(std::min(capacity_, std::max(2 * used, kFirstEntries)));
  next_ = ring_.data() + (is_full_ ? 0 : used);
  end_ = ring_.data() + ring_.size();
}

void EventHistory::Entry::append_to(std::vector<Event>& events) const {
  const std::size_t size =
      facts.session_bytes + (fixed_detail == nullptr ? facts.detail_bytes : std::size_t{0});
  const std::string_view both(size > kShortBytes ? long_text.data() : text.data(), size);
  const std::string_view session = both.substr(0, facts.session_bytes);
  const std::string_view detail = fixed_detail == nullptr
                                      ? both.substr(facts.session_bytes)
                                      : std::string_view(fixed_detail, facts.detail_bytes);
  Event event{.kind = facts.kind,
              .time_ns = facts.time_ns,
              .call = facts.call,
              .request = facts.request,
              .version = facts.version,
              .epoch = facts.epoch,
              .worker = facts.worker,
              .attempt = facts.attempt,
              .session = std::string(session),
              .detail = std::string(detail)};
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
