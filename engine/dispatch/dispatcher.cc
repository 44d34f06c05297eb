// Calls and their sessions: admission, queues, time. Where a session runs is decided in
// dispatcher_checkout.cc; what happens to attempts is in dispatcher_attempts.cc, when a call is
// tried again in dispatcher_retries.cc, who is alone on a worker in dispatcher_isolation.cc, what
// is taken back in dispatcher_recall.cc, what comes ahead of answers in dispatcher_streams.cc, what
// needs no worker in dispatcher_turns.cc, which language model a call has in dispatcher_models.cc,
// how sessions end in dispatcher_ends.cc.
#include "engine/dispatch/dispatcher.h"

#include <cassert>
#include <utility>

#include "engine/api/flexbuffer.h"
#include "engine/dispatch/errors.h"
#include "ipc/planted_bug.h"

namespace dspool::dispatch {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// How long those that a worker runs beside a stuck one may go on before it is killed.
constexpr std::chrono::seconds kLongestFarewell{10};
// Bounds on the work of one step.
constexpr std::size_t kTimersPerStep = 1024;
constexpr std::size_t kExpiriesPerStep = 32;  // each frees a session's fields

constexpr std::uint32_t kQueuedPerSlot = 64;

// What is due later is not watched for: a simulation has calls without a deadline.
constexpr TimePoint kNever{std::chrono::hours(100 * 365 * 24)};
constexpr milliseconds kCallTick{1};
constexpr milliseconds kExpiryTick{100};  // a round is 7 minutes, the default ttl 5

Call& head_of(session::Session& session) { return static_cast<Call&>(session.queue.front()); }

// Whether it lets the session live on.
bool is_use(const Call& call) {
  return call.kind != CallKind::kVisit && call.kind != CallKind::kMove;
}

}  // namespace

Dispatcher::Dispatcher(const Limits& limits, const Ports& ports,
                       std::span<const std::string> worker_names, std::uint64_t seed,
                       TimePoint start)
    : limits_(limits),
      ports_(ports),
      journal_(ports.history),
      names_(worker_names),
      random_(static_cast<std::minstd_rand::result_type>(seed)),
      wheel_(start, kCallTick),
      expiries_(start, kExpiryTick),
      seating_(worker_names.size()),
      waiting_(worker_names.size()),
      breakers_(limits.circuit_breaker),
      retry_budget_(limits.retry),
      pool_size_(limits.pool_size != 0 ? limits.pool_size
                                       : static_cast<std::uint32_t>(worker_names.size())),
      capacity_(limits.max_in_flight) {
  const auto names = static_cast<std::uint32_t>(worker_names.size());
  open_places(limits.first_places == 0 ? names : limits.first_places);
}

// ---- admission ----

bool Dispatcher::arrive(Call& call, TimePoint now) {
  session::Session& session = *call.session;
  if (session.phase == session::Phase::kGone) return false;
  call.id = ++calls_;
  call.arrived = now;
  journal_.note_arrival(now, call);
  if (std::optional<Error> refused = refusal(call, now)) {
    end(call, tl::unexpected(*std::move(refused)), now);
    forget_if_unused(session);
    return true;
  }
  if (is_use(call)) session.used = now;
  session.was_used = true;
  if (!session.expiry.armed()) watch_expiry(session, now);
  session.queue.push_back(call);
  ++waiting_calls_;
  if (session.phase == session::Phase::kIdle) {
    offer(session, now);  // arms the timer, whichever way it goes
  } else {
    arm(call.timer, call.deadline);
  }
  return true;
}

std::optional<Error> Dispatcher::refusal(Call& call, TimePoint now) {
  using telemetry::Refusal;
  if (stopping_) return errors::stopping();
  if (now >= call.deadline) return errors::deadline_exceeded(milliseconds(0), false);
  if (call.kind == CallKind::kMove) return std::nullopt;  // the pool's own, of which there are few
  if (waiting_calls_ >= queue_limit()) {
    ports_.metrics.refused_for(Refusal::kQueueFull).add(1);
    return errors::queue_full(queue_limit(), expected_wait());
  }
  if (call.session->queue.size() > limits_.session_queue) {
    ports_.metrics.refused_for(Refusal::kSessionQueueFull).add(1);
    return errors::session_queue_full(call.session->id(), limits_.session_queue, expected_wait());
  }
  const nanoseconds bound = Shedder::bound(service_time());
  if (overloaded() && call.kind == CallKind::kExecute && slot_wait() > bound) {
    ports_.metrics.refused_for(Refusal::kOverloaded).add(1);
    return errors::overloaded(duration_cast<milliseconds>(bound), expected_wait());
  }
  if (call.kind == CallKind::kExecute) return ask_breakers(call, now);  // last: it gives permits
  return std::nullopt;
}

std::uint32_t Dispatcher::queue_limit() const noexcept {
  if (limits_.queue != 0) return limits_.queue;
  return kQueuedPerSlot * std::max(1U, pool_size_) * limits_.max_in_flight;
}

// So that calls that are refused do not fill the table.
void Dispatcher::forget_if_unused(session::Session& session) noexcept {
  if (session.was_used || session.anonymous() || is_kept(session)) return;
  retire(session);
}

// ---- endings before an answer ----

void Dispatcher::cancel(Call& call, TimePoint now, std::string cause) {
  ports_.metrics.calls_cancelled.add(1);
  Error error = errors::cancelled(call.request_id != 0);
  error.cause = std::move(cause);
  give_up(call, std::move(error), now);
}

void Dispatcher::call_timer_fired(Call& call, TimePoint now) {
  if (now >= call.deadline) {
    const TimePoint late = call.deadline + std::chrono::seconds(2);
    if (now < late && ipc::has_bug("end_late")) return arm(call.timer, late);
    note_timeout(call, now);
    const auto timeout = std::chrono::ceil<milliseconds>(call.deadline - call.arrived);
    return give_up(call, errors::deadline_exceeded(timeout, call.request_id != 0), now);
  }
  using telemetry::Refusal;
  session::Session& session = *call.session;  // it waits for a slot: arm_wait
  if (session.expects == session::kBacksOff) return come_back(session, now);
  const nanoseconds waited = now - call.waits_since;
  if (waited >= limits_.checkout_timeout) {
    if (ready_workers() == 0) note_pool_failure(call, "no worker was ready", now);
    ports_.metrics.refused_for(Refusal::kCheckoutTimeout).add(1);
    return give_up(call,
                   errors::checkout_timeout(limits_.checkout_timeout, ready_workers(), last_words_),
                   now);
  }
  if (session.expects != session::kNoWorker) {
    return now >= call.patient_until ? stop_expecting(session, now) : arm_wait(call, now);
  }
  if (overloaded() && waited >= Shedder::bound(service_time())) {
    ports_.metrics.refused_for(Refusal::kOverloaded).add(1);
    return give_up(call, errors::overloaded(duration_cast<milliseconds>(waited), expected_wait()),
                   now);
  }
  arm_wait(call, now);
}

// Ends a call before its answer. Its attempt, if there is one, goes on without it.
void Dispatcher::give_up(Call& call, Error error, TimePoint now) {
  const session::SessionRef session = call.session;
  if (call.errand != nullptr && !call.errand->starves) {  // which goes on
    call.errand->call = nullptr;
    return end(call, tl::unexpected(errors::while_written(std::move(error))), now);
  }
  if (call.errand != nullptr) {
    drop_starved(*call.errand);
    set_warm(*session, {});
    end(call, tl::unexpected(std::move(error)), now);
    return go_on(*session, now);
  }
  if (call.request_id != 0) {
    WorkerSlot& slot = *workers_[call.worker];
    Attempt* attempt = slot.find(call.request_id);
    assert(attempt != nullptr && attempt->call == &call);
    attempt->call = nullptr;
    attempt->had_begun = slot.has_begun(*attempt, limits_.max_in_flight);
    arm(attempt->grace, now + limits_.cancel_grace);
    session->queue.pop_front();
    ports_.transport.cancel(call.worker, call.request_id);
    error.worker = names_[call.worker];
    end(call, tl::unexpected(std::move(error)), now);
    return;
  }
  leave_queue(call);
  if (call.kind == CallKind::kExecute && call.attempts == 0) {
    ports_.metrics.queue_time.record((now - call.arrived).count());
  }
  end(call, tl::unexpected(std::move(error)), now);
  if (session->phase == session::Phase::kIdle) offer(*session, now);
}

// Takes a call that waits out of its session's queue, and the session out of the waiting list when
// it waited there for this call.
void Dispatcher::leave_queue(Call& call) {
  session::Session& session = *call.session;
  const bool is_head = &session.queue.front() == &call;
  session.queue.erase(session.queue.iterator_to(call));
  --waiting_calls_;
  if (is_head && session.phase == session::Phase::kWaiting) {
    stop_waiting(session);
    session.phase = session::Phase::kIdle;
  }
}

// ---- sessions ----

// Finds a slot for the session's next call, or lets it wait. REQUIRES: no attempt and no errand of
// it is under way, nobody reads it, and it is not in the waiting list.
void Dispatcher::offer(session::Session& session, TimePoint now) {
  session.phase = session::Phase::kIdle;
  while (!session.queue.empty()) {
    Call& call = head_of(session);
    if (stopping_) {
      end(take_head(session), tl::unexpected(errors::stopping()), now);
      continue;
    }
    if (call.kind == CallKind::kMove) {
      if (!move(session, call, now)) return;
      continue;
    }
    if (session.tier != session::Tier::kShared || call.kind != CallKind::kExecute) {
      if (!serve(session, call, now)) return;
      continue;
    }
    if (!session.exists && !call.creates_session) {
      end(take_head(session), tl::unexpected(errors::session_not_found(session.id())), now);
      continue;
    }
    session.exists = true;
    if (answer_again(session, call, now)) continue;
    if (session.suspicion && refuse_quarantined(session, call, now)) continue;
    if (session.model != 0 && refuse_without_key(session, now)) continue;
    if (no_starts_ && nobody_serves()) {
      end(take_head(session), tl::unexpected(*no_starts_), now);
      continue;
    }
    const std::optional<std::uint32_t> worker = check_out(session, now);
    if (!worker) return;
    if (grant(session, *worker, now) == Granted::kSent) return;
  }
  if (session.anonymous()) return finish(session, SessionEnd::kTemporary, now);
  if (!session.exists && !is_kept(session)) retire(session);  // no call has made it
}

Call& Dispatcher::take_head(session::Session& session) noexcept {
  Call& call = head_of(session);
  session.queue.pop_front();
  --waiting_calls_;
  return call;
}

// ---- expiry ----

bool Dispatcher::touch(session::Session& session, TimePoint now) {
  const bool known =
      session.tier != session::Tier::kUnknown && session.tier != session::Tier::kCorrupted;
  if (session.phase == session::Phase::kGone || !known) return false;
  session.used = now;
  session.was_used = true;
  if (!session.expiry.armed()) watch_expiry(session, now);
  return true;
}

// A session's use only sets `used`; the timer finds out when it fires. Whoever uses a session every
// second so pays for its expiry every five minutes.
void Dispatcher::watch_expiry(session::Session& session, TimePoint now) noexcept {
  if (session.ttl.count() == 0 || session.anonymous()) return;
  expiries_.arm(session.expiry, now + session.ttl);
}

// ---- events of time ----

bool Dispatcher::advance(TimePoint now) {
  const bool more = wheel_.advance(
      now,
      [&](Timer& timer) {
        if (timer.kind() == kCallTimer) {
          call_timer_fired(timer.subject<Call>(), now);
        } else if (timer.kind() == kWorkerTimer) {
          ring_watch_fired(timer.subject<WorkerSlot>(), now);
        } else {
          grace_fired(timer.subject<Attempt>(), now);
        }
      },
      kTimersPerStep);
  const auto expire = [&](Timer& timer) { expiry_fired(timer.subject<session::Session>(), now); };
  return expiries_.advance(now, expire, kExpiriesPerStep) || more;
}

// An attempt goes on although its call has ended. Its worker is killed, unless the attempt has not
// had its grace yet because it lay in the ring, or others that run beside it still have time.
void Dispatcher::grace_fired(Attempt& attempt, TimePoint now) {
  WorkerSlot& slot = *workers_[attempt.worker];
  const bool begun = slot.has_begun(attempt, limits_.max_in_flight);
  if (!begun || !std::exchange(attempt.had_begun, true)) {
    return arm(attempt.grace, now + limits_.cancel_grace);
  }
  if (slot.stuck_since == TimePoint{}) slot.stuck_since = now;
  doom(attempt.worker, now);
  const TimePoint farewell = slot.stuck_since + kLongestFarewell;
  if (now < farewell && slot.runs_for_a_call(limits_.max_in_flight)) {
    return arm(attempt.grace, std::min(now + limits_.cancel_grace, farewell));
  }
  kill(slot, "it did not react to a cancel", now);
}

std::optional<TimePoint> Dispatcher::next_timer(TimePoint now) const {
  const auto call = wheel_.next_due_hint(now);
  const auto expiry = expiries_.next_due_hint(now);
  return call && expiry ? std::min(*call, *expiry) : call ? call : expiry;
}

void Dispatcher::arm(Timer& timer, TimePoint due) noexcept {
  if (due >= kNever) return wheel_.disarm(timer);
  wheel_.arm(timer, due);
  earliest_armed_ = std::min(earliest_armed_, due);
}

void Dispatcher::stop(TimePoint now) {
  stopping_ = true;
  fail_starved(errors::stopping(), now);
  for (const auto& worker : workers_) release_expecting(worker->index(), now);
  refuse_waiting(now);
  for (const auto& worker : workers_) {
    worker->for_each_in_flight([&](Attempt& attempt) {
      session::CallQueue& queue = attempt.session->queue;
      while (!queue.empty() && &queue.back() != attempt.call) {
        Call& call = static_cast<Call&>(queue.back());
        queue.pop_back();
        --waiting_calls_;
        end(call, tl::unexpected(errors::stopping()), now);
      }
    });
  }
}

// ---- the end ----

void Dispatcher::end(Call& call, Result<Answer> result, TimePoint now) {
  wheel_.disarm(call.timer);
  call.request_id = 0;
  call.errand = nullptr;
  if (is_use(call)) call.session->used = now;
  return_permits(call, now);
  if (!result) result.error().attempts = call.attempts;
  if (call.kind != CallKind::kMove) count(call, result, now);
  journal_.note_end(now, call, result ? nullptr : &result.error());
  call.result.emplace(std::move(result));
  ports_.listener.ended(call);
}

// How long whoever comes to wait for a slot now will wait for it.
nanoseconds Dispatcher::slot_wait() const noexcept {
  return service_time() * waiting_.size() / std::max(1U, ready_ * limits_.max_in_flight);
}

void Dispatcher::count(const Call& call, const Result<Answer>& result, TimePoint now) {
  const auto elapsed = duration_cast<nanoseconds>(now - call.arrived);
  ports_.metrics.calls_ended.add(1);
  ports_.metrics.response_time.record(elapsed.count());
  if (!result) ports_.metrics.errors_of(result.error().category).add(1);
}

// For retry_after: how long what waits now will take.
milliseconds Dispatcher::expected_wait() const noexcept {
  const nanoseconds wait =
      service_time() * waiting_calls_ / std::max(1U, ready_ * limits_.max_in_flight);
  return std::max(milliseconds(10), duration_cast<milliseconds>(wait));
}

// ---- what it is like now ----

SessionInfo Dispatcher::describe(const session::Session& session, TimePoint now,
                                 std::chrono::system_clock::time_point wall) const {
  const bool running = session.phase == session::Phase::kRunning ||
                       session.phase == session::Phase::kArchived ||
                       session.phase == session::Phase::kRead;
  const bool warm = session.warm.epoch != 0 && is_warm(session, session.warm.worker);
  const bool head_runs = running && !session.queue.empty() &&
                         static_cast<const Call&>(session.queue.front()).request_id != 0;
  std::optional<milliseconds> ttl_left;
  if (session.ttl.count() != 0) {
    const auto left = std::chrono::ceil<milliseconds>(session.used + session.ttl - now);
    ttl_left = std::max(milliseconds(0), left);
  }
  return {
      .id = std::string(session.id()),
      .version = session.record.version(),
      .fields = session.record.field_count(),
      .bytes = session.record.bytes(),
      .operations = session.operations,
      .waiting = static_cast<std::uint32_t>(session.queue.size()) - (head_runs ? 1 : 0),
      .running = running,
      .durability = session.durability,
      .at_rest = session.tier != session::Tier::kShared,
      .quarantined = session.suspicion != nullptr && session.suspicion->quarantined,
      .language_model = session.model != 0 ? models_.at(session.model).model.model : std::string(),
      .warm_worker = warm ? names_[session.warm.worker] : std::string(),
      .started_at = session.created,
      .last_activity =
          wall - duration_cast<std::chrono::system_clock::duration>(now - session.used),
      .ttl_left = ttl_left};
}

}  // namespace dspool::dispatch
