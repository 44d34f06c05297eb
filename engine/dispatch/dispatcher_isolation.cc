// Who has killed a worker, and what comes of it.
//
//   a death         Whoever the worker had begun to run is in doubt: the call, if it is repeated,
//   and
//                   all calls of its session run alone on a worker, until one has come back.
//   a death alone   It was that call: it ends (`call_quarantined`), whatever `max_retries` allows,
//                   and so does whoever repeats its idempotency key.
//   again           Another operation of the session died alone too, or the same kMostDeathsAlone
//                   times, and none came back between them. So it is the state that kills: no
//                   worker is given it any more (`session_quarantined`), until somebody releases
//                   it.
//
// What lay in the ring and had not begun is in no doubt. Nor is anybody if the worker was killed on
// purpose: because it was to end, or for another call that it was stuck in.
//
// A worker is kept free for a session that is to be alone: it gets nothing more, and has that
// session's attempt when it has nothing left to do. At most half of the workers are kept so at a
// time, or those who only stood beside a killer would bring everybody else to a halt.
#include <algorithm>
#include <memory>
#include <utility>

#include "engine/dispatch/dispatcher.h"
#include "engine/dispatch/errors.h"

namespace dspool::dispatch {
namespace {

constexpr std::uint32_t kMostDeathsAlone = 3;

const Call& first_of(const session::Session& session) {
  return static_cast<const Call&>(session.queue.front());
}

}  // namespace

// ---- being alone ----

// REQUIRES: a call stands in its queue.
bool Dispatcher::must_be_alone(const session::Session& session) noexcept {
  return first_of(session).must_be_alone || (session.suspicion && session.suspicion->in_doubt);
}

void Dispatcher::wait_alone(session::Session& session, TimePoint now) {
  Call& call = static_cast<Call&>(session.queue.front());
  session.phase = session::Phase::kWaiting;
  call.waits_since = now;
  call.goes_ahead = true;
  call.patient_until = TimePoint::max();
  waiting_.wait_alone(session);
  arm_wait(call, now);
  ports_.listener.hand_off_due();
}

// Keeps workers free for those that wait to be alone, and serves those whose worker is free by now.
void Dispatcher::seat_alone(TimePoint now) {
  const std::uint32_t most = std::max(1U, ready_ / 2);
  while (kept_ < most) {
    session::Session* const session = waiting_.first_alone();
    WorkerSlot* const worker = session != nullptr ? pick_for_alone() : nullptr;
    if (worker == nullptr) break;
    waiting_.remove(*session);
    waiting_.expect_first(*session, worker->index());
    worker->kept_for = session;
    ++kept_;
    note_room(*worker);
  }
  if (kept_ == 0) return;
  for (const auto& worker : workers_) {
    if (worker->kept_for != nullptr) serve_kept(*worker, now);
  }
}

// The one that will be free first.
WorkerSlot* Dispatcher::pick_for_alone() const noexcept {
  WorkerSlot* best = nullptr;
  for (const auto& worker : workers_) {
    if (worker->state != WorkerState::kReady || worker->kept_for != nullptr) continue;
    if (best == nullptr || worker->in_flight() < best->in_flight()) best = worker.get();
  }
  return best;
}

void Dispatcher::serve_kept(WorkerSlot& worker, TimePoint now) {
  session::Session* const session = waiting_.first_expecting(worker.index());
  const bool waits = session != nullptr && session == worker.kept_for;
  if (!waits || worker.in_flight() != 0 || worker.state != WorkerState::kReady) return;
  const session::SessionRef keep(session);
  waiting_.remove(*session);
  session->phase = session::Phase::kIdle;
  switch (grant(*session, worker.index(), now)) {
    case Granted::kSent:
      return;
    case Granted::kFull:
      stop_keeping(worker);
      return wait_alone(*session, now);
    case Granted::kEnded:
      stop_keeping(worker);
      return offer(*session, now);
  }
}

void Dispatcher::stop_keeping(WorkerSlot& worker) {
  worker.kept_for = nullptr;
  --kept_;
  note_room(worker);
  if (!waiting_.empty() || waiting_.first_alone() != nullptr) ports_.listener.hand_off_due();
}

// Takes a session that waits out of the waiting list.
void Dispatcher::stop_waiting(session::Session& session) {
  const bool expects_one = session.expects < workers();
  if (expects_one && workers_[session.expects]->kept_for == &session) {
    stop_keeping(*workers_[session.expects]);
  }
  waiting_.remove(session);
}

// ---- what a death says ----

// Of an attempt that the dead worker had begun: what its call ends with, if it is not to be tried
// again.
std::optional<Error> Dispatcher::blame(const Attempt& attempt, std::string_view how) {
  session::Session& session = *attempt.session;
  Call* const call = attempt.call;
  if (call != nullptr) call->must_be_alone = true;
  const bool is_sure = attempt.alone && call != nullptr;
  if (session.anonymous()) {
    if (!is_sure) return std::nullopt;
    ports_.metrics.calls_quarantined.add(1);
    return errors::call_quarantined(names_[attempt.worker], how);
  }
  if (!session.suspicion) session.suspicion = std::make_unique<session::Suspicion>();
  session::Suspicion& suspicion = *session.suspicion;
  suspicion.in_doubt = true;
  if (!is_sure) return std::nullopt;
  const session::Fingerprint asked = session::fingerprint(call->command, call->args->bytes());
  const bool is_another = suspicion.deaths_alone != 0 && suspicion.last_asked != asked;
  suspicion.last_asked = asked;
  ++suspicion.deaths_alone;
  ports_.metrics.calls_quarantined.add(1);
  if (!call->idempotency_key.empty()) {
    suspicion.keys.emplace_back(call->idempotency_key);
    if (suspicion.keys.size() > session::Suspicion::kMostKeys) suspicion.keys.pop_front();
  }
  if (!is_another && suspicion.deaths_alone < kMostDeathsAlone) {
    return errors::call_quarantined(names_[attempt.worker], how);
  }
  suspicion.quarantined = true;
  ports_.metrics.sessions_quarantined.add(1);
  Error error = errors::session_quarantined(session.id());
  error.worker = names_[attempt.worker];
  return error;
}

// A call of the session has come back: its state does not kill.
void Dispatcher::acquit(session::Session& session) noexcept {
  session::Suspicion& suspicion = *session.suspicion;
  suspicion.in_doubt = false;
  suspicion.deaths_alone = 0;
  if (suspicion.keys.empty()) session.suspicion.reset();
}

// Whether its head call is one that no worker is given. REQUIRES: it is suspected of something.
bool Dispatcher::refuse_quarantined(session::Session& session, Call& call, TimePoint now) {
  const session::Suspicion& suspicion = *session.suspicion;
  if (suspicion.quarantined) {
    end(take_head(session), tl::unexpected(errors::session_quarantined(session.id())), now);
    return true;
  }
  const bool has_key = !call.idempotency_key.empty();
  if (!has_key || std::ranges::find(suspicion.keys, call.idempotency_key) == suspicion.keys.end()) {
    return false;
  }
  end(take_head(session), tl::unexpected(errors::key_quarantined(call.idempotency_key)), now);
  return true;
}

// The next call is alone once more, so that nobody else suffers if it dies again.
bool Dispatcher::release_from_quarantine(session::Session& session, TimePoint now) {
  if (session.phase == session::Phase::kGone) return false;
  session.used = now;
  if (!session.expiry.armed()) watch_expiry(session, now);
  if (!session.suspicion) return true;
  session::Suspicion& suspicion = *session.suspicion;
  if (suspicion.quarantined) suspicion.in_doubt = true;
  suspicion.quarantined = false;
  suspicion.deaths_alone = 0;
  suspicion.keys.clear();
  return true;
}

// ---- no workers to be had ----

void Dispatcher::set_no_starts(std::optional<Error> why, TimePoint now) {
  no_starts_ = why ? std::make_unique<Error>(*std::move(why)) : nullptr;
  if (no_starts_ && nobody_serves()) refuse_waiting(now);
}

bool Dispatcher::nobody_serves() const noexcept {
  return std::ranges::none_of(workers_, [](const auto& worker) {
    return worker->state == WorkerState::kReady || worker->state == WorkerState::kResting;
  });
}

// Has all sessions that wait offered again, so that their calls end. REQUIRES: `offer` lets none of
// them wait.
void Dispatcher::refuse_waiting(TimePoint now) {
  while (!waiting_.empty()) {
    const session::SessionRef session(&waiting_.take_for(0, 0, false));
    offer(*session, now);
  }
  const auto refuse = [&](session::Session& one) {
    const session::SessionRef session(&one);
    waiting_.remove(*session);
    offer(*session, now);
  };
  while (session::Session* const alone = waiting_.first_alone()) refuse(*alone);
  while (session::Session* const aside = waiting_.first_set_aside()) refuse(*aside);
}

}  // namespace dspool::dispatch
