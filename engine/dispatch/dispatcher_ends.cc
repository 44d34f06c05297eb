// How sessions end: because a call asked for it, for want of use, with their anonymous call, or
// with the pool. Whatever ended one, the durable store forgets it first, and the rest is `finish`.
#include "engine/dispatch/dispatcher.h"
#include "engine/dispatch/errors.h"
#include "ipc/planted_bug.h"

namespace dspool::dispatch {
namespace {

constexpr std::size_t kEndsPerStep = 32;  // each frees a session's fields

}  // namespace

// The session is as if it had never been; a call that arrived after this one makes it anew, or
// finds that there is none.
void Dispatcher::end_session(session::Session& session, Call& call, TimePoint now) {
  const SessionTerms* const anew = call.kind == CallKind::kReplaceSession ? &call.terms : nullptr;
  const bool begins = anew != nullptr && anew->durability == Durability::kLocal;
  if (begins && ports_.archive != nullptr) {
    return start(session, Errand::Kind::kBegin, &call, anew);
  }
  if (is_kept(session)) return start(session, Errand::Kind::kRemove, &call, anew);
  finish(session, SessionEnd::kAsked, now, &call, anew);
}

void Dispatcher::expiry_fired(session::Session& session, TimePoint now) {
  if (session.ttl.count() == 0 || stopping_) return;
  const bool busy = session.phase != session::Phase::kIdle || !session.queue.empty();
  const TimePoint due = (busy ? now : session.used) + session.ttl;
  const bool is_in_use = busy || (now < due && !ipc::has_bug("expire_in_use"));
  if (is_in_use) return expiries_.arm(session.expiry, due);
  const session::SessionRef keep(&session);
  if (session.tier == session::Tier::kUnknown) {  // whether there is one, only the store knows
    return start(session, Errand::Kind::kLoad, nullptr);
  }
  if (is_kept(session)) return start(session, Errand::Kind::kExpire, nullptr);
  finish(session, SessionEnd::kExpired, now);
}

bool Dispatcher::end_sessions(TimePoint now) {
  if (ipc::has_bug("leak_state_memory")) {
    ipc::remembered<std::vector<session::Record>>().clear();
  }
  for (std::size_t i = 0; i < kEndsPerStep; ++i) {
    const session::SessionRef session = ports_.sessions.first();
    if (!session) return false;
    finish(*session, SessionEnd::kStopped, now);
  }
  return true;
}

// The one path on which a session ends. What stood in its queue behind the end is refused, or goes
// on with a session made anew: on `anew`, or by itself. `call`, in no queue, is answered.
// REQUIRES: the caller holds a reference, and no attempt and no errand of it is under way. But for
// kStopped, the durable store has nothing of it, or what `anew` says.
void Dispatcher::finish(session::Session& session, SessionEnd why, TimePoint now, Call* call,
                        const SessionTerms* anew) {
  const bool goes_on = why == SessionEnd::kStopped && session.stored;  // with the next pool
  if (session.exists && !goes_on) {
    journal_.note(EventKind::kSessionEnded, now, session, to_string(why));
    ports_.metrics.ended_by(why).add(1);
    if (why == SessionEnd::kExpired) ports_.tombstones.add(session.id(), now);
  }
  if (session.anonymous()) {  // in no list, and nothing was committed to it
    session.phase = session::Phase::kGone;
    return;
  }
  clear(session);
  if (anew != nullptr) {
    begin(session, *anew, now);
    session.exists = true;
    ports_.tombstones.remove(session.id());
  }
  if (call != nullptr) end(*call, Answer{}, now);
  if (why == SessionEnd::kExpired) {
    refuse_heads(session, errors::session_expired(session.id()), now);
  }
  if (!session.exists) {
    refuse_where_absent(session, now);
    if (session.queue.empty()) return retire(session);
    const SessionTerms defaults{
        .ttl = limits_.session_ttl, .durability = limits_.durability, .created = session.created};
    begin(session, defaults, now);
  }
  if (session.phase == session::Phase::kArchived) go_on(session, now);
}

// Its fields and answers go, and all that is known of it but its name and its calls.
void Dispatcher::clear(session::Session& session) {
  if (session.record.is_resident() && session.record.field_count() != 0) ++rooms_made_;
  if (!stopping_ && ipc::has_bug("leak_state_memory")) {
    ipc::remembered<std::vector<session::Record>>().push_back(std::move(session.record));
  }
  session.record.reset();
  session.answers.reset();
  drop_model(session);
  session.corruption.reset();
  session.suspicion.reset();
  session.exists = false;
  session.tier = session::Tier::kShared;
  set_warm(session, {});
  session.operations = 0;
  residents_.remove(session);
  expiries_.disarm(session.expiry);
}

void Dispatcher::refuse_where_absent(session::Session& session, TimePoint now) {
  while (!session.queue.empty()) {
    const Call& head = static_cast<const Call&>(session.queue.front());
    if (head.creates_session) return;
    end(take_head(session), tl::unexpected(errors::session_not_found(session.id())), now);
  }
}

// The session leaves the table: it has ended, or never was. REQUIRES: as `finish`, and no call
// waits.
void Dispatcher::retire(session::Session& session) {
  session.phase = session::Phase::kGone;
  expiries_.disarm(session.expiry);
  residents_.remove(session);
  ports_.sessions.erase(session);
}

}  // namespace dspool::dispatch
