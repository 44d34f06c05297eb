#include "engine/dispatch/census.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace dspool::dispatch {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kPerStep = 512;

}  // namespace

std::optional<milliseconds> Census::step() {
  const auto more = has_tombstones_ ? step_sessions() : step_tombstones();
  if (!more) {
    log_.error(
        "the durable store cannot be listed: {}; its sessions are found when they are used, "
        "and it is listed again in {} ms",
        more.error().message, retry_.count());
    return std::exchange(retry_, std::min(2 * retry_, kLongestRetry));
  }
  retry_ = kFirstRetry;
  if (!*more && !has_tombstones_) {
    has_tombstones_ = true;
    after_.clear();
  } else if (!*more) {
    know_set_aside();
    done_.store(true, std::memory_order_release);
    log_.info("{} sessions of the durable store are known", found_);
    return std::nullopt;
  }
  return milliseconds(0);
}

Result<bool> Census::step_tombstones() {
  auto expired = durable_.list_expired(after_, kPerStep);
  if (!expired) return tl::unexpected(std::move(expired.error()));
  using Lifetime = std::chrono::nanoseconds;
  const auto wall = std::chrono::system_clock::now();
  for (const auto& each : *expired) {
    // The system's clock may have been set meanwhile.
    const auto age =
        std::clamp<Lifetime>(wall - each.expired, Lifetime(0), session::Tombstones::kLifetime);
    tombstones_.add(each.id, Clock::now() - age);
    after_ = each.id;
  }
  return expired->size() == kPerStep;
}

Result<bool> Census::step_sessions() {
  auto listed = durable_.list(after_, kPerStep, {});
  if (!listed) return tl::unexpected(std::move(listed.error()));
  std::vector<session::SessionRef> found;
  found.reserve(listed->size());
  for (auto& each : *listed) {
    auto [session, is_new] = sessions_.find_or_create(each.id, [&] {
      session::SessionRef made = session::make_session(each.id, Clock::now(), each.terms.ttl);
      made->durability = Durability::kLocal;
      made->created = each.terms.created;
      made->tier = session::Tier::kAtRest;
      made->stored = true;
      made->exists = true;
      made->was_used = true;
      return made;
    });
    if (is_new) found.push_back(std::move(session));
    after_ = std::move(each.id);
  }
  found_ += listed->size();
  known_(found);
  return listed->size() == kPerStep;
}

// Whoever uses them is told.
void Census::know_set_aside() {
  for (const std::string& id : durable_.list_set_aside()) {
    sessions_.find_or_create(id, [&] {
      session::SessionRef made = session::make_session(id, Clock::now());
      made->durability = Durability::kLocal;
      made->tier = session::Tier::kUnknown;
      return made;
    });
  }
}

Result<std::vector<std::string>> Census::list(std::string_view after, std::size_t limit,
                                              std::string_view prefix) const {
  std::vector<std::string> ids;
  while (ids.size() < limit) {
    const std::string_view from = ids.empty() ? after : ids.back();
    auto listed = durable_.list(from, std::min(limit - ids.size(), kPerStep), prefix);
    if (!listed) return tl::unexpected(std::move(listed.error()));
    for (auto& each : *listed) ids.push_back(std::move(each.id));
    if (listed->size() < kPerStep) break;
  }
  return ids;
}

}  // namespace dspool::dispatch
