// Turns in a session's queue that need no worker: the engine carries them out itself, or gives a
// repeated operation the answer that it has.
#include <cassert>
#include <utility>

#include "engine/api/flexbuffer.h"
#include "engine/dispatch/dispatcher.h"
#include "engine/dispatch/errors.h"
#include "ipc/planted_bug.h"

namespace dspool::dispatch {

// What needs no worker, or cannot have one yet. false: the session is not idle any more.
bool Dispatcher::serve(session::Session& session, Call& call, TimePoint now) {
  const bool ends = call.kind == CallKind::kEndSession || call.kind == CallKind::kReplaceSession;
  switch (session.tier) {
    case session::Tier::kShared:
      break;
    case session::Tier::kAtRest:
      if (ends) break;
      [[fallthrough]];
    case session::Tier::kUnknown:
      arm(call.timer, call.deadline);
      start(session, Errand::Kind::kLoad, nullptr);
      return false;
    case session::Tier::kCorrupted:
      if (ends) break;
      end(take_head(session), tl::unexpected(*session.corruption), now);
      return true;
  }
  take_head(session);
  if (!session.exists && !call.creates_session) {
    end(call, tl::unexpected(errors::session_not_found(session.id())), now);
    return true;
  }
  switch (call.kind) {
    case CallKind::kExecute:
    case CallKind::kMove:
      assert(false);
      break;
    case CallKind::kEndSession:
    case CallKind::kReplaceSession:
      end_session(session, call, now);
      break;
    case CallKind::kVisit:
      visit(session, call, now);
      break;
    case CallKind::kReadFields:
      let_read(session, call);
      break;
    case CallKind::kUpdateFields:
      update_fields(session, call, now);
      break;
    case CallKind::kSetModel:
      set_model(session, call, now);
      break;
  }
  return session.phase == session::Phase::kIdle;
}

// ---- the call is in no queue any more ----

// With `creates_session`, it makes the session on the call's terms if there is none.
void Dispatcher::visit(session::Session& session, Call& call, TimePoint now) {
  call.found_session = session.exists;
  if (!session.exists) {
    begin(session, call.terms, now);
    session.exists = true;
    ports_.tombstones.remove(session.id());
    if (session.durability == Durability::kLocal && ports_.archive != nullptr) {
      return start(session, Errand::Kind::kBegin, &call);
    }
  }
  end(call, Answer{}, now);
}

// Long fields are copied for as long as they are, which must not hold up other sessions.
void Dispatcher::let_read(session::Session& session, Call& call) {
  session.phase = session::Phase::kRead;
  wheel_.disarm(call.timer);  // its reader is awake and looks at the deadline itself
  ports_.listener.turn_came(call);
}

void Dispatcher::has_read(Call& call, Result<Value> fields, TimePoint now) {
  const session::SessionRef session = call.session;
  assert(session->phase == session::Phase::kRead);
  if (fields) {
    end(call,
        Answer{.value = *std::move(fields), .version = session->record.version(), .attempts = 0},
        now);
  } else {
    end(call, tl::unexpected(std::move(fields.error())), now);
  }
  go_on(*session, now);
}

void Dispatcher::update_fields(session::Session& session, Call& call, TimePoint now) {
  if (const session::StoredAnswer* stored = find_answer(session, call, now)) {
    return repeat(*stored, call, now);
  }
  const std::uint64_t version = session.record.version();
  if (call.if_version && *call.if_version != version) {
    return end(call, tl::unexpected(errors::version_conflict(*call.if_version, version)), now);
  }
  for (const auto& append : call.update->appends) {
    if (session.record.can_append(append.key, append.value)) continue;
    return end(call, tl::unexpected(errors::invalid_append(append.key)), now);
  }
  session.exists = true;
  Change change{.delta = call.update,
                .result = {flex::kNullValue.begin(), flex::kNullValue.end()},
                .state_id = ++requests_};
  commit(session, call, std::move(change), now);
}

void Dispatcher::begin(session::Session& session, const SessionTerms& terms, TimePoint now) {
  session.used = now;
  session.ttl = terms.ttl;
  session.durability = terms.durability;
  session.created = terms.created;
  expiries_.disarm(session.expiry);
  watch_expiry(session, now);
}

// ---- repeated operations ----

// A call whose idempotency key has an answer gets that, and is not executed. One whose key is of a
// call that runs has waited for it by now, since both are calls of one session.
bool Dispatcher::answer_again(session::Session& session, Call& call, TimePoint now) {
  const session::StoredAnswer* stored = find_answer(session, call, now);
  if (stored == nullptr) return false;
  take_head(session);
  repeat(*stored, call, now);
  return true;
}

const session::StoredAnswer* Dispatcher::find_answer(const session::Session& session,
                                                     const Call& call, TimePoint now) {
  if (call.idempotency_key.empty() || !session.answers) return nullptr;
  if (ipc::has_bug("commit_key_twice")) return nullptr;
  return session.answers->find(call.idempotency_key, now);
}

void Dispatcher::repeat(const session::StoredAnswer& stored, Call& call, TimePoint now) {
  if (stored.asked != call.asked) {
    return end(call, tl::unexpected(errors::idempotency_conflict(call.idempotency_key)), now);
  }
  end(call,
      Answer{.value = Value::from_verified(stored.value), .version = stored.version, .attempts = 0},
      now);
}

}  // namespace dspool::dispatch
