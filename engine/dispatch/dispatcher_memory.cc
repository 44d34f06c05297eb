// Who leaves shared memory, and what waits for room in it.
#include <utility>

#include "engine/dispatch/dispatcher.h"
#include "engine/dispatch/errors.h"

namespace dspool::dispatch {
namespace {

// Bounds on the work of one step.
constexpr std::size_t kEvictionsPerStep = 64;
constexpr std::size_t kLooksForRoom = 64;
constexpr std::uint32_t kMostParking = 16;

}  // namespace

void Dispatcher::parked(session::Session& session, const Errand& errand, TimePoint now) {
  --parking_;
  if (errand.end == Errand::End::kDone) {
    session.parked = true;
    if (session.queue.empty()) release(session);
  }
  go_on(session, now);
  if (!starved_.empty()) ports_.listener.room_due();
}

// Takes the fields of a session that nobody uses out of shared memory, or begins to. false: it is
// in use.
bool Dispatcher::evict(session::Session& session) {
  if (session.phase != session::Phase::kIdle || !session.queue.empty()) return false;
  if (!session.stored) {
    if (parking_ >= kMostParking) return false;
    ++parking_;
    start(session, Errand::Kind::kPark, nullptr);
    return true;
  }
  release(session);
  return true;
}

// The fields of a session that is in the durable store leave shared memory.
void Dispatcher::release(session::Session& session) {
  session.record.release_fields();
  session.tier = session::Tier::kAtRest;
  set_warm(session, {});
  residents_.remove(session);
  ++rooms_made_;
  ports_.metrics.sessions_evicted.add(1);
}

bool Dispatcher::make_room(TimePoint now) {
  if (ports_.archive == nullptr || stopping_) return false;
  for (std::size_t evictions = 0; evictions < kEvictionsPerStep; ++evictions) {
    if (starved_.empty() && !ports_.store.is_nearly_full()) return false;
    std::size_t looks = kLooksForRoom;
    session::Session* const session = residents_.next_unused(looks);
    looked_in_vain_ += kLooksForRoom - looks + 1;
    if (session == nullptr) break;
    if (!evict(*session)) continue;
    looked_in_vain_ = 0;
    if (feed(now)) return true;
  }
  if (feed(now)) return true;
  // The hand has come round twice: whatever was used once has been passed over once.
  const bool in_vain = looked_in_vain_ > 2 * (residents_.size() + kLooksForRoom);
  if (!in_vain) return true;
  looked_in_vain_ = 0;
  if (parking_ == 0) fail_starved(errors::state_memory_full(), now);
  return false;
}

// Lets an errand wait for memory. Its session is as if the errand were under way.
void Dispatcher::starve(std::unique_ptr<Errand> errand) {
  errand->session->phase = session::Phase::kArchived;
  errand->starves = true;
  errand->rooms_seen = rooms_made_;
  starved_.push_back(std::move(errand));
  ports_.listener.room_due();
}

// Goes on with what waits for memory, in the order in which it came. true: with something.
bool Dispatcher::feed(TimePoint now) {
  bool fed = false;
  while (!starved_.empty()) {
    Errand& errand = *starved_.front();
    const session::SessionRef keep = errand.session;
    if (errand.kind == Errand::Kind::kCommit) {
      auto staged = ports_.store.prepare(keep->record, errand.delta);
      if (!staged) return fed;
      errand.staged = *std::move(staged);
    }
    const bool loads = errand.kind == Errand::Kind::kLoad;
    if (loads && errand.rooms_seen == rooms_made_ && !keep->queue.empty()) return fed;
    std::unique_ptr<Errand> next = std::move(starved_.front());
    starved_.pop_front();
    next->starves = false;
    fed = true;
    if (loads && keep->queue.empty()) {
      keep->phase = session::Phase::kIdle;
      continue;
    }
    if (loads) {
      start(std::move(next));
      return fed;  // who knows what is left
    }
    if (next->durable) {
      hand_over(std::move(next));
    } else {
      apply(*keep, *next, now);
      go_on(*keep, now);
    }
  }
  return fed;
}

void Dispatcher::drop_starved(const Errand& errand) {
  const auto found = std::ranges::find_if(
      starved_, [&](const std::unique_ptr<Errand>& each) { return each.get() == &errand; });
  models_.release(errand.model_number);
  starved_.erase(found);
}

// Nobody can make room for them.
void Dispatcher::fail_starved(const Error& why, TimePoint now) {
  while (!starved_.empty()) {
    const std::unique_ptr<Errand> errand = std::move(starved_.front());
    starved_.pop_front();
    session::Session& session = *errand->session;
    set_warm(session, {});
    models_.release(errand->model_number);
    if (errand->call != nullptr) {
      end(*std::exchange(errand->call, nullptr), tl::unexpected(why), now);
    }
    if (errand->kind == Errand::Kind::kLoad) refuse_all(session, why, now);
    go_on(session, now);
  }
}

}  // namespace dspool::dispatch
