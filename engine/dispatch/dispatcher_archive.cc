// What has to do with the durable store: commits that wait for it, and sessions that come back from
// it. Those that go there since memory is short are in dispatcher_memory.cc.
#include <algorithm>
#include <cstring>
#include <utility>

#include "engine/dispatch/dispatcher.h"
#include "engine/dispatch/errors.h"
#include "ipc/kill_point.h"
#include "ipc/planted_bug.h"

namespace dspool::dispatch {
namespace {

// A log is written anew when it is longer than twice its session's state and this.
constexpr std::int64_t kShortLogBytes = std::int64_t{16} << 10;

// A delta that looks into `bytes`, which takes what the other looked into; it has the other's
// blocks.
session::Delta take_over(session::Delta& delta, std::vector<std::byte>& bytes) {
  constexpr std::size_t kAlignment = 8;
  std::size_t size = 0;
  const auto measure = [&](std::string_view key, std::size_t value_bytes) {
    size += (key.size() + kAlignment - 1) / kAlignment * kAlignment +
            (value_bytes + kAlignment - 1) / kAlignment * kAlignment;
  };
  for (const auto& put : delta.puts) measure(put.key, put.value.size());
  for (const auto& append : delta.appends) measure(append.key, append.value.size());
  for (const std::string_view key : delta.deletes) measure(key, 0);
  bytes.resize(size);
  std::byte* to = bytes.data();
  const auto take = [&](std::span<const std::byte> from) {
    std::byte* const at = to;
    if (!from.empty()) std::memcpy(at, from.data(), from.size());
    to += (from.size() + kAlignment - 1) / kAlignment * kAlignment;
    return at;
  };
  const auto take_text = [&](std::string_view text) {
    return std::string_view(reinterpret_cast<const char*>(take(std::as_bytes(std::span(text)))),
                            text.size());
  };
  const auto take_puts = [&](std::vector<session::Delta::Put>& from,
                             std::vector<session::Delta::Put>& into) {
    for (session::Delta::Put& put : from) {
      const std::string_view key = take_text(put.key);
      const auto* const value =
          reinterpret_cast<const std::uint8_t*>(take(std::as_bytes(put.value)));
      into.push_back(
          {.key = key, .value = {value, put.value.size()}, .placed = std::move(put.placed)});
    }
  };
  session::Delta copied;
  take_puts(delta.puts, copied.puts);
  take_puts(delta.appends, copied.appends);
  for (const std::string_view key : delta.deletes) copied.deletes.push_back(take_text(key));
  return copied;
}

}  // namespace

// Whether the durable store has anything of the session.
bool Dispatcher::is_kept(const session::Session& session) const noexcept {
  return session.stored || session.parked || session.tier != session::Tier::kShared;
}

void Dispatcher::start(std::unique_ptr<Errand> errand) const {
  errand->session->phase = session::Phase::kArchived;
  ports_.archive->start(std::move(errand));
}

// REQUIRES: `call`, if there is one, is in no queue.
void Dispatcher::start(session::Session& session, Errand::Kind kind, Call* call,
                       const SessionTerms* anew) {
  auto errand = std::make_unique<Errand>();
  errand->kind = kind;
  errand->session = session::SessionRef(&session);
  errand->call = call;
  if (call != nullptr) {
    call->errand = errand.get();
    arm(call->timer, call->deadline);
  }
  if (anew != nullptr) errand->anew = *anew;
  const bool writes_model = kind == Errand::Kind::kPark && session.model != 0;
  if (writes_model) errand->model = models_.reference(session.model);
  start(std::move(errand));
}

// ---- what came of errands ----

void Dispatcher::archived(Errand& errand, TimePoint now) {
  const session::SessionRef keep = errand.session;
  session::Session& session = *keep;
  switch (errand.kind) {
    case Errand::Kind::kLoad:
      return loaded(session, errand, now);
    case Errand::Kind::kPark:
      return parked(session, errand, now);
    case Errand::Kind::kCommit:
      return committed(session, errand, now);
    case Errand::Kind::kBegin:
    case Errand::Kind::kRemove:
    case Errand::Kind::kExpire:
      break;
  }
  if (errand.end == Errand::End::kCorrupted) {  // it did not begin; its caller has been told
    corrupted(session, std::move(errand.error));
    return go_on(session, now);
  }
  if (errand.end == Errand::End::kUnknown || errand.end == Errand::End::kNot) {
    if (errand.call != nullptr) {
      const bool unknown = errand.end == Errand::End::kUnknown;
      end(*std::exchange(errand.call, nullptr),
          tl::unexpected(errors::store_failed(errand.error, unknown)), now);
    }
    if (errand.end == Errand::End::kUnknown) return;
    if (errand.kind == Errand::Kind::kBegin && !errand.anew) session.exists = false;
    watch_expiry(session, now);
    go_on(session, now);
    const bool idle = session.phase == session::Phase::kIdle && session.queue.empty();
    if (idle && !session.exists && !is_kept(session)) retire(session);
    return;
  }
  const SessionTerms* const anew = errand.anew ? &*errand.anew : nullptr;
  session.parked = false;
  session.log_excess_bytes = 0;
  switch (errand.kind) {
    case Errand::Kind::kBegin:
      session.stored = true;
      if (anew != nullptr) {
        return finish(session, SessionEnd::kAsked, now, std::exchange(errand.call, nullptr), anew);
      }
      if (errand.call != nullptr) end(*std::exchange(errand.call, nullptr), Answer{}, now);
      return go_on(session, now);
    case Errand::Kind::kRemove:
      ipc::kill_point("commit.removed");
      session.stored = false;
      return finish(session, SessionEnd::kAsked, now, std::exchange(errand.call, nullptr), anew);
    default:
      session.stored = false;
      return finish(session, SessionEnd::kExpired, now);
  }
}

void Dispatcher::go_on(session::Session& session, TimePoint now) {
  session.phase = session::Phase::kIdle;
  offer(session, now);
}

// ---- commits ----

// Makes what a call did to its session state, and answers it. REQUIRES: the call is in no queue.
void Dispatcher::commit(session::Session& session, Call& call, Change change, TimePoint now) {
  if (change.delta != nullptr && ipc::has_bug_at_times("lose_append", 10)) {
    change.delta->appends.clear();
  }
  const bool sets_model = change.model.has_value();
  const bool changes = change.delta != nullptr && (sets_model || !change.delta->empty());
  const bool durable = session.durability == Durability::kLocal && ports_.archive != nullptr;
  Result<session::Staged> staged;
  if (changes) {
    staged = ports_.store.prepare(session.record, *change.delta);
  }
  const bool starves =
      !staged && ports_.archive != nullptr && staged.error().retryable && !stopping_;
  if (!staged && !starves) {
    set_warm(session, {});
    models_.release(change.model.value_or(0));
    staged.error().worker = call.attempts != 0 ? names_[call.worker] : std::string();
    end(call, tl::unexpected(std::move(staged.error())), now);
    return;
  }
  const bool keyed = !call.idempotency_key.empty();
  if (!starves && !(durable && (changes || keyed))) {
    if (changes && ipc::has_bug("answer_before_commit")) {
      set_warm(session, change.warm);
      end(call,
          Answer{.value = Value::from_verified(std::move(change.result)),
                 .version = session.record.version() + 1,
                 .attempts = call.attempts,
                 .worker = names_[call.worker]},
          now);
      session.record.apply(*change.delta, *std::move(staged), change.state_id);
      return note_commit(session, call.id, change.state_id, now);
    }
    if (ipc::has_bug_at_times("version_gap", 20)) {
      session::Delta nothing;
      session.record.apply(nothing, {}, change.state_id);
    }
    if (changes) {
      session.record.apply(*change.delta, *std::move(staged), change.state_id);
      if (sets_model) use_model(session, *change.model, now);
      note_commit(session, call.id, call.attempts != 0 ? change.state_id : 0, now);
    }
    return answer(session, call, std::move(change.result), change.warm, now);
  }
  auto errand = std::make_unique<Errand>();
  errand->kind = Errand::Kind::kCommit;
  errand->session = session::SessionRef(&session);
  errand->call = &call;
  errand->call_id = call.id;
  errand->request_id = call.attempts != 0 ? change.state_id : 0;
  call.errand = errand.get();
  if (changes && change.bytes != nullptr) {
    errand->bytes = std::move(*change.bytes);
    errand->delta = std::move(*change.delta);
  } else if (changes) {
    errand->delta = take_over(*change.delta, errand->bytes);
  }
  if (keyed) {
    errand->answer.emplace(
        session::StoredAnswer{.key = std::string(call.idempotency_key),
                              .asked = call.asked,
                              .value = change.result,
                              .version = session.record.version() + (changes ? 1 : 0),
                              .stored = now});
  }
  errand->result = std::move(change.result);
  errand->state_id = change.state_id;
  errand->warm = change.warm;
  errand->durable = durable;
  errand->sets_model = sets_model;
  errand->model_number = change.model.value_or(0);
  arm(call.timer, call.deadline);
  if (starves) return starve(std::move(errand));
  errand->staged = *std::move(staged);
  hand_over(std::move(errand));
}

// To the durable store, all that the errand needs in memory being there.
void Dispatcher::hand_over(std::unique_ptr<Errand> errand) {
  const session::Session& session = *errand->session;
  ipc::kill_point("commit.started");
  const std::uint32_t model = errand->sets_model ? errand->model_number : session.model;
  const bool writes_model = errand->sets_model || session.log_excess_bytes > kShortLogBytes;
  if (writes_model && model != 0) errand->model = models_.reference(model);
  errand->begins = !session.stored;
  errand->snapshots = session.log_excess_bytes > kShortLogBytes;
  start(std::move(errand));
}

void Dispatcher::committed(session::Session& session, Errand& errand, TimePoint now) {
  if (errand.end == Errand::End::kDone) {
    session.stored = true;
    const auto written = static_cast<std::int64_t>(errand.log_bytes);
    session.log_excess_bytes = errand.snapshots ? -written : session.log_excess_bytes + written;
    apply(session, errand, now);
    ipc::kill_point("commit.applied");
  } else if (Call* const call = std::exchange(errand.call, nullptr)) {
    const bool unknown = errand.end == Errand::End::kUnknown;
    end(*call, tl::unexpected(errors::store_failed(errand.error, unknown)), now);
  }
  if (errand.end == Errand::End::kUnknown) return;
  if (errand.end != Errand::End::kDone) models_.release(errand.model_number);
  if (errand.end == Errand::End::kNot) set_warm(session, {});
  if (errand.end == Errand::End::kCorrupted) corrupted(session, std::move(errand.error));
  go_on(session, now);
}

void Dispatcher::apply(session::Session& session, Errand& errand, TimePoint now) {
  if (errand.changes_session()) {
    session.record.apply(errand.delta, std::move(errand.staged), errand.state_id);
    if (errand.sets_model) use_model(session, errand.model_number, now);
    note_commit(session, errand.call_id, errand.request_id, now);
  }
  if (Call* const call = std::exchange(errand.call, nullptr)) {
    return answer(session, *call, std::move(errand.result), errand.warm, now);
  }
  // Its caller was told that nobody knows.
  session.used = now;
  set_warm(session, errand.warm);
  ++session.operations;
  if (errand.answer) remember(session, *std::move(errand.answer));
}

// ---- loading ----

void Dispatcher::loaded(session::Session& session, Errand& errand, TimePoint now) {
  switch (errand.end) {
    case Errand::End::kDone: {
      if (!restore_model(session, errand)) {
        refuse_all(session, errors::too_many_language_models(LanguageModels::kMost), now);
        break;
      }
      session.tier = session::Tier::kShared;
      session.record = std::move(errand.record);
      renew_permits(session, now);
      if (!session.answers && errand.answers) {  // those that it has kept know their age
        session.answers = std::move(errand.answers);
        session.answers->renew(now);
      }
      session.operations = errand.operations;
      session.log_excess_bytes = errand.terms ? static_cast<std::int64_t>(errand.log_bytes) : 0;
      session.stored = errand.terms.has_value();
      session.parked = !session.stored;
      if (session.stored) {
        session.durability = Durability::kLocal;
        session.ttl = errand.terms->ttl;
        session.created = errand.terms->created;
      }
      session.was_used = true;
      session.exists = true;
      expiries_.disarm(session.expiry);
      watch_expiry(session, now);
      if (session.record.bytes() != 0) residents_.add(session);
      ports_.metrics.sessions_loaded.add(1);
      journal_.note(EventKind::kSessionLoaded, now, session);
      break;
    }
    case Errand::End::kNoMemory: {
      if (stopping_) break;
      auto again = std::make_unique<Errand>();
      again->kind = Errand::Kind::kLoad;
      again->session = errand.session;
      return starve(std::move(again));
    }
    case Errand::End::kExpired:
      absent(session);
      ports_.tombstones.add(session.id(), now);
      refuse_heads(session, errors::session_expired(session.id()), now);
      if (session.queue.empty()) return retire(session);
      break;
    case Errand::End::kAbsent:
      absent(session);
      refuse_where_absent(session, now);
      renew_permits(session, now);
      if (session.queue.empty()) return retire(session);
      break;
    case Errand::End::kCorrupted:
      corrupted(session, std::move(errand.error));
      break;
    case Errand::End::kNot:
    case Errand::End::kUnknown:
      refuse_all(session, errors::store_failed(errand.error, false), now);
      break;
  }
  go_on(session, now);
}

// The store has nothing of the session.
void Dispatcher::absent(session::Session& session) {
  session.tier = session::Tier::kShared;
  session.record.reset();
  session.answers.reset();
  drop_model(session);
  session.exists = false;
  session.stored = false;
  session.parked = false;
  session.log_excess_bytes = 0;
}

void Dispatcher::corrupted(session::Session& session, Error why) {
  session.tier = session::Tier::kCorrupted;
  session.exists = true;  // until it is ended
  session.corruption = std::make_unique<Error>(std::move(why));
  session.record.reset();
  drop_model(session);
  set_warm(session, {});
  residents_.remove(session);
  expiries_.disarm(session.expiry);
}

// Ends the calls that wait, up to one that begins the session anew.
void Dispatcher::refuse_heads(session::Session& session, const Error& error, TimePoint now) {
  while (!session.queue.empty()) {
    const Call& head = static_cast<const Call&>(session.queue.front());
    const bool creates = head.kind == CallKind::kVisit && head.creates_session;
    if (creates || head.kind == CallKind::kReplaceSession) return;
    end(take_head(session), tl::unexpected(error), now);
  }
}

void Dispatcher::refuse_all(session::Session& session, const Error& error, TimePoint now) {
  while (!session.queue.empty()) end(take_head(session), tl::unexpected(error), now);
}

}  // namespace dspool::dispatch
