#include "engine/dispatch/dispatcher.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "engine/dispatch/errors.h"

namespace dspool::dispatch {
namespace {

using std::chrono::duration_cast;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// Above this service time a request that waits in a ring waits longer than a hand-off takes.
constexpr std::int64_t kShortServiceNs = 100'000;
constexpr std::int64_t kEwmaShift = 4;
// Bounds on the work of one step.
constexpr std::size_t kTimersPerStep = 1024;
constexpr std::uint32_t kHandOffsPerStep = 64;

bool comes_before_deadline(const Call& call, TimePoint now) { return now < call.deadline; }

Call& head_of(session::Session& session) { return static_cast<Call&>(session.queue.front()); }

}  // namespace

Dispatcher::Dispatcher(const Limits& limits, const Ports& ports,
                       std::span<const std::string> worker_names, std::uint64_t seed,
                       TimePoint start)
    : limits_(limits),
      ports_(ports),
      names_(worker_names),
      random_(static_cast<std::minstd_rand::result_type>(seed)),
      wheel_(start),
      capacity_(limits.max_in_flight) {
  workers_.reserve(worker_names.size());
  for (std::uint32_t i = 0; i < worker_names.size(); ++i) {
    workers_.push_back(std::make_unique<WorkerSlot>(i, limits.max_in_flight + limits.pipeline - 1));
  }
}

// ---- events of callers ----

bool Dispatcher::arrive(Call& call, TimePoint now) {
  session::Session& session = *call.session;
  if (session.phase == session::Phase::kGone) return false;
  call.id = ++calls_;
  call.arrived = now;
  note(EventKind::kCallArrived, now, call);
  if (stopping_) {
    end(call, tl::unexpected(errors::stopping()), now);
  } else if (waiting_calls_ >= limits_.queue) {
    end(call, tl::unexpected(errors::queue_full(limits_.queue, expected_wait())), now);
  } else if (session.queue.size() > limits_.session_queue) {
    end(call,
        tl::unexpected(
            errors::session_queue_full(session.id(), limits_.session_queue, expected_wait())),
        now);
  } else {
    session.used = now;
    session.queue.push_back(call);
    ++waiting_calls_;
    if (session.phase == session::Phase::kIdle) {
      offer(session, now);  // arms the timer, whichever way it goes
    } else {
      wheel_.arm(call.timer, call.deadline);
    }
  }
  return true;
}

void Dispatcher::cancel(Call& call, TimePoint now) {
  give_up(call, errors::cancelled(call.request_id != 0), now);
}

void Dispatcher::call_timer_fired(Call& call, TimePoint now) {
  if (comes_before_deadline(call, now)) {  // armed by `wait`: the checkout timeout
    give_up(call, errors::checkout_timeout(limits_.checkout_timeout, ready_workers(), last_words_),
            now);
    return;
  }
  const auto timeout = duration_cast<milliseconds>(call.deadline - call.arrived);
  give_up(call, errors::deadline_exceeded(timeout, call.request_id != 0), now);
}

// Ends a call before its answer. Its attempt, if there is one, goes on without it.
void Dispatcher::give_up(Call& call, Error error, TimePoint now) {
  if (call.request_id != 0) {
    Attempt* attempt = workers_[call.worker]->find(call.request_id);
    assert(attempt != nullptr && attempt->call == &call);
    attempt->call = nullptr;
    call.session->queue.pop_front();
    wheel_.arm(attempt->grace, now + limits_.cancel_grace);
    ports_.transport.cancel(call.worker, call.request_id);
    error.worker = names_[call.worker];
    end(call, tl::unexpected(std::move(error)), now);
    return;
  }
  const session::SessionRef session = call.session;
  leave_queue(call, now);
  end(call, tl::unexpected(std::move(error)), now);
  if (session->phase == session::Phase::kIdle) offer(*session, now);
}

// Takes a call that waits out of its session's queue, and the session out of the waiting list when
// it waited there for this call.
void Dispatcher::leave_queue(Call& call, TimePoint) {
  session::Session& session = *call.session;
  const bool is_head = &session.queue.front() == &call;
  session.queue.erase(session.queue.iterator_to(call));
  --waiting_calls_;
  if (is_head && session.phase == session::Phase::kWaiting) {
    waiting_.remove(session);
    session.phase = session::Phase::kIdle;
  }
}

// ---- sessions ----

// Finds a slot for the session's next call, or lets it wait. REQUIRES: no attempt of it in flight,
// and it is not in the waiting list.
void Dispatcher::offer(session::Session& session, TimePoint now) {
  session.phase = session::Phase::kIdle;
  while (!session.queue.empty()) {
    Call& call = head_of(session);
    if (call.kind == CallKind::kEndSession) {
      end_session(session, call, now);
      continue;
    }
    // Whoever waits already has the older claim to a free slot.
    if (!waiting_.empty()) return wait(session, false, now);
    const std::optional<std::uint32_t> worker = pick_worker(session);
    if (!worker) return wait(session, false, now);
    if (grant(session, *worker, now) == Granted::kSent) return;
  }
}

void Dispatcher::wait(session::Session& session, bool first, TimePoint now) {
  Call& call = head_of(session);
  session.phase = session::Phase::kWaiting;
  if (first) {
    waiting_.push_front(session);
  } else {
    waiting_.push_back(session);
  }
  wheel_.arm(call.timer, std::min(call.deadline, now + limits_.checkout_timeout));
  if (least_loaded()) ports_.listener.hand_off_due();
}

// The session is as if it had never been; calls that arrived after this one find it new.
void Dispatcher::end_session(session::Session& session, Call& call, TimePoint now) {
  const session::SessionRef keep = call.session;
  session.queue.pop_front();
  --waiting_calls_;
  note(EventKind::kSessionEnded, now, call);
  session.record.reset();
  session.warm = {};
  session.operations = 0;
  if (session.queue.empty()) {
    session.phase = session::Phase::kGone;
    ports_.sessions.erase(session);
  }
  end(call, Answer{}, now);
}

// ---- slots ----

bool Dispatcher::has_room(const WorkerSlot& worker) const noexcept {
  return worker.state == WorkerState::kReady && !worker.full && worker.in_flight() < capacity_;
}

bool Dispatcher::is_warm(const session::Session& session, std::uint32_t worker) const noexcept {
  return session.warm.epoch != 0 && session.warm.worker == worker &&
         session.warm.epoch == workers_[worker]->epoch;
}

std::optional<std::uint32_t> Dispatcher::pick_worker(const session::Session& session) noexcept {
  if (limits_.affinity == Affinity::kHint && is_warm(session, session.warm.worker) &&
      has_room(*workers_[session.warm.worker])) {
    return session.warm.worker;
  }
  return least_loaded();
}

// Ties are broken by chance, or the first worker would get all the work of a quiet pool.
std::optional<std::uint32_t> Dispatcher::least_loaded() noexcept {
  const auto count = static_cast<std::uint32_t>(workers_.size());
  std::optional<std::uint32_t> best;
  std::uint32_t index = static_cast<std::uint32_t>(random_()) % count;
  for (std::uint32_t i = 0; i < count; ++i, index = index + 1 == count ? 0 : index + 1) {
    const WorkerSlot& worker = *workers_[index];
    if (!has_room(worker)) continue;
    if (!best || worker.in_flight() < workers_[*best]->in_flight()) best = index;
    if (worker.in_flight() == 0) break;
  }
  return best;
}

Dispatcher::Granted Dispatcher::grant(session::Session& session, std::uint32_t worker,
                                      TimePoint now) {
  WorkerSlot& slot = *workers_[worker];
  Call& call = head_of(session);
  Attempt& attempt = slot.open(++requests_);
  attempt.call = &call;
  attempt.session = call.session;
  attempt.call_id = call.id;
  attempt.number = call.attempts + 1;
  attempt.sent = now;
  const Sent sent = send(attempt, call, !is_warm(session, worker));
  if (sent != Sent::kSent) {
    slot.close(attempt);
    if (sent == Sent::kFull) {
      slot.full = true;
      return Granted::kFull;
    }
    const session::SessionRef keep = call.session;
    session.queue.pop_front();
    --waiting_calls_;
    session.phase = session::Phase::kIdle;
    end(call,
        tl::unexpected(errors::value_too_large(
            "the command with its arguments", call.args->bytes().size(), worker::kValueLimitBytes)),
        now);
    return Granted::kEnded;
  }
  session.phase = session::Phase::kRunning;
  --waiting_calls_;
  ++in_flight_;
  ++call.attempts;
  call.request_id = attempt.request_id;
  call.worker = worker;
  wheel_.arm(call.timer, call.deadline);
  ports_.metrics.attempts.add(1);
  ports_.metrics.queue_time.record((now - call.arrived).count());
  note(EventKind::kAttemptSent, now, attempt);
  return Granted::kSent;
}

Sent Dispatcher::send(Attempt& attempt, Call& call, bool hydrate) {
  const session::Session& session = *attempt.session;
  hydrate = hydrate && session.record.version() != 0;
  if (hydrate) ports_.metrics.hydrations.add(1);
  return ports_.transport.send(attempt.worker, Request{.request_id = attempt.request_id,
                                                       .command = call.command,
                                                       .args = call.args->bytes(),
                                                       .session = session.id(),
                                                       .attempt = attempt.number,
                                                       .state = &session.record,
                                                       .hydrate = hydrate,
                                                       .deadline = call.deadline,
                                                       .lm_version = lm_version_});
}

bool Dispatcher::hand_off(TimePoint now) {
  for (std::uint32_t i = 0; i < kHandOffsPerStep; ++i) {
    if (waiting_.empty()) return false;
    const std::optional<std::uint32_t> worker = least_loaded();
    if (!worker) return false;
    session::Session& session =
        waiting_.take_for(*worker, workers_[*worker]->epoch, limits_.affinity == Affinity::kHint);
    const session::SessionRef keep = head_of(session).session;
    session.phase = session::Phase::kIdle;
    switch (grant(session, *worker, now)) {
      case Granted::kSent:
        break;
      case Granted::kFull:
        wait(session, true, now);
        break;
      case Granted::kEnded:
        offer(session, now);
        break;
    }
  }
  return !waiting_.empty() && least_loaded().has_value();
}

// ---- events of workers ----

void Dispatcher::worker_ready(std::uint32_t worker, std::uint64_t epoch, TimePoint now) {
  WorkerSlot& slot = *workers_[worker];
  assert(slot.in_flight() == 0);
  slot.state = WorkerState::kReady;
  slot.epoch = epoch;
  slot.full = false;
  slot.served = 0;
  note(EventKind::kWorkerReady, now, worker);
  if (!waiting_.empty()) ports_.listener.hand_off_due();
}

bool Dispatcher::answered(std::uint32_t worker, std::uint64_t request_id, Outcome& outcome,
                          TimePoint now) {
  WorkerSlot& slot = *workers_[worker];
  Attempt* attempt = slot.find(request_id);
  if (attempt == nullptr || attempt->number != outcome.attempt) return false;
  if (outcome.status == OutcomeStatus::kCancelled && attempt->call != nullptr) return false;
  slot.full = false;
  const session::SessionRef session = attempt->session;
  if (outcome.status == OutcomeStatus::kNeedState && attempt->call != nullptr) {
    if (send_state(*attempt, now)) return true;
  } else {
    ++slot.served;
    learn_service_time(outcome.service_ns);
    ports_.metrics.service_time.record(outcome.service_ns);
    settle(*attempt, outcome, now);
  }
  wheel_.disarm(attempt->grace);
  slot.close(*attempt);
  --in_flight_;
  if (session->phase == session::Phase::kRunning) offer(*session, now);
  if (!waiting_.empty() && has_room(slot)) ports_.listener.hand_off_due();
  return true;
}

// The worker's cache was smaller than we thought: the request goes to it again, with the fields.
// false: the attempt is over, and its call waits for another or has ended.
bool Dispatcher::send_state(Attempt& attempt, TimePoint now) {
  session::Session& session = *attempt.session;
  session.warm = {};
  note(EventKind::kAttemptEnded, now, attempt, "need_state");
  Call& call = *attempt.call;
  switch (send(attempt, call, true)) {
    case Sent::kSent:
      note(EventKind::kAttemptSent, now, attempt);
      return true;
    case Sent::kFull:
      workers_[attempt.worker]->full = true;
      --call.attempts;  // it was none
      wait_again(attempt, now);
      return false;
    case Sent::kTooLarge:
      break;
  }
  session.queue.pop_front();
  end(call,
      tl::unexpected(errors::value_too_large("the session's fields with the arguments",
                                             session.record.bytes() + call.args->bytes().size(),
                                             worker::kValueLimitBytes)),
      now);
  return false;
}

void Dispatcher::settle(Attempt& attempt, Outcome& outcome, TimePoint now) {
  session::Session& session = *attempt.session;
  if (attempt.call == nullptr) {
    // Fenced: its call has ended, so whatever it changed has not happened.
    session.warm = {};
    ports_.metrics.late_answers.add(1);
    note(EventKind::kAttemptEnded, now, attempt, "discarded");
    return;
  }
  if (outcome.status == OutcomeStatus::kOk) return commit(attempt, outcome, now);
  note(EventKind::kAttemptEnded, now, attempt, "error");
  outcome.error.worker = names_[attempt.worker];
  if (outcome.error.retryable && may_repeat(*attempt.call, now)) {
    ports_.metrics.retries.add(1);
    return wait_again(attempt, now);
  }
  Call& call = *attempt.call;
  session.queue.pop_front();
  end(call, tl::unexpected(std::move(outcome.error)), now);
}

void Dispatcher::commit(Attempt& attempt, Outcome& outcome, TimePoint now) {
  Call& call = *attempt.call;
  session::Session& session = *attempt.session;
  Result<void> committed;
  const bool changed = !session.anonymous() && !outcome.delta.empty();
  if (changed) {
    committed = ports_.store.commit(session.record, outcome.delta, attempt.request_id);
  }
  note(EventKind::kAttemptEnded, now, attempt, committed ? "ok" : "error");
  session.queue.pop_front();
  if (!committed) {
    session.warm = {};
    committed.error().worker = names_[attempt.worker];
    return end(call, tl::unexpected(std::move(committed.error())), now);
  }
  if (changed) {
    ports_.metrics.commits.add(1);
    note(EventKind::kCommit, now, attempt);
  }
  session.warm = {.worker = attempt.worker, .epoch = workers_[attempt.worker]->epoch};
  ++session.operations;
  end(call,
      Answer{.value = Value::from_verified(std::move(outcome.result)),
             .version = session.record.version(),
             .attempts = call.attempts,
             .worker = names_[attempt.worker]},
      now);
}

bool Dispatcher::may_repeat(const Call& call, TimePoint now) const noexcept {
  return call.attempts <= call.max_retries && !stopping_ && comes_before_deadline(call, now);
}

// Lets the call wait for another attempt, ahead of all others.
void Dispatcher::wait_again(Attempt& attempt, TimePoint now) {
  Call& call = *attempt.call;
  attempt.call = nullptr;
  call.request_id = 0;
  ++waiting_calls_;
  wait(*attempt.session, true, now);
}

void Dispatcher::doom(std::uint32_t worker) {
  WorkerSlot& slot = *workers_[worker];
  if (slot.state == WorkerState::kReady) slot.state = WorkerState::kDoomed;
}

void Dispatcher::worker_lost(std::uint32_t worker, Loss loss, std::string_view how, TimePoint now) {
  WorkerSlot& slot = *workers_[worker];
  if (slot.state == WorkerState::kReady && !stopping_) ports_.metrics.workers_lost.add(1);
  slot.state = WorkerState::kAbsent;
  note(EventKind::kWorkerLost, now, worker, how);
  slot.for_each_in_flight([&](Attempt& attempt) {
    wheel_.disarm(attempt.grace);
    const session::SessionRef session = attempt.session;
    note(EventKind::kAttemptEnded, now, attempt, "worker_lost");
    Call* call = attempt.call;
    if (call != nullptr && may_repeat(*call, now)) {
      ports_.metrics.retries.add(1);
      wait_again(attempt, now);
    } else if (call != nullptr) {
      session->queue.pop_front();
      end(*call,
          tl::unexpected(loss == Loss::kViolation ? errors::channel_violation(names_[worker], how)
                                                  : errors::worker_lost(names_[worker], how)),
          now);
    }
    slot.close(attempt);
    --in_flight_;
    if (session->phase == session::Phase::kRunning) offer(*session, now);
  });
  slot.epoch = 0;
}

// ---- events of time ----

bool Dispatcher::advance(TimePoint now) {
  return wheel_.advance(
      now,
      [&](Timer& timer) {
        if (timer.kind() == kCallTimer) {
          call_timer_fired(timer.subject<Call>(), now);
        } else {
          const Attempt& attempt = timer.subject<Attempt>();
          doom(attempt.worker);
          ports_.transport.kill(attempt.worker, "it did not react to a cancel");
        }
      },
      kTimersPerStep);
}

std::optional<TimePoint> Dispatcher::next_timer(TimePoint now) const {
  return wheel_.next_due_hint(now);
}

void Dispatcher::stop(TimePoint now) {
  stopping_ = true;
  while (!waiting_.empty()) {
    session::Session& session = waiting_.take_for(0, 0, false);
    const session::SessionRef keep = head_of(session).session;
    session.phase = session::Phase::kIdle;
    while (!session.queue.empty()) {
      Call& call = head_of(session);
      session.queue.pop_front();
      --waiting_calls_;
      end(call, tl::unexpected(errors::stopping()), now);
    }
  }
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

// ---- endings ----

void Dispatcher::end(Call& call, Result<Answer> result, TimePoint now) {
  wheel_.disarm(call.timer);
  call.request_id = 0;
  const auto elapsed = duration_cast<nanoseconds>(now - call.arrived);
  ports_.metrics.calls_ended.add(1);
  ports_.metrics.response_time.record(elapsed.count());
  if (!result) {
    result.error().attempts = call.attempts;
    ports_.metrics.errors[static_cast<std::size_t>(result.error().category)].add(1);
  }
  note(EventKind::kCallEnded, now, call, result ? std::string_view("ok") : result.error().code);
  call.result.emplace(std::move(result));
  ports_.listener.ended(call);
}

void Dispatcher::learn_service_time(std::int64_t service_ns) noexcept {
  if (service_ns_ < 0) {
    service_ns_ = service_ns;
  } else {
    service_ns_ += (service_ns - service_ns_) >> kEwmaShift;
  }
  capacity_ = limits_.max_in_flight + (service_ns_ <= kShortServiceNs ? limits_.pipeline - 1 : 0);
}

// For retry_after: how long what waits now will take.
milliseconds Dispatcher::expected_wait() const noexcept {
  const std::int64_t slots =
      std::max<std::int64_t>(1, static_cast<std::int64_t>(ready_workers()) * limits_.max_in_flight);
  const nanoseconds wait(std::max<std::int64_t>(service_ns_, 0) * waiting_calls_ / slots);
  return std::max(milliseconds(10), duration_cast<milliseconds>(wait));
}

// ---- what it is like now ----

std::uint32_t Dispatcher::ready_workers() const noexcept {
  return static_cast<std::uint32_t>(std::ranges::count_if(
      workers_, [](const auto& worker) { return worker->state == WorkerState::kReady; }));
}

SessionInfo Dispatcher::describe(const session::Session& session, TimePoint now) const {
  const bool running = session.phase == session::Phase::kRunning;
  const bool warm = session.warm.epoch != 0 && is_warm(session, session.warm.worker);
  const bool head_runs = running && !session.queue.empty() &&
                         static_cast<const Call&>(session.queue.front()).request_id != 0;
  return {.id = std::string(session.id()),
          .version = session.record.version(),
          .fields = session.record.fields().size(),
          .bytes = session.record.bytes(),
          .operations = session.operations,
          .waiting = static_cast<std::uint32_t>(session.queue.size()) - (head_runs ? 1 : 0),
          .running = running,
          .warm_worker = warm ? names_[session.warm.worker] : std::string(),
          .age = duration_cast<milliseconds>(now - session.created),
          .idle = duration_cast<milliseconds>(now - session.used)};
}

// ---- history ----

void Dispatcher::note(EventKind kind, TimePoint now, const Call& call, std::string_view detail) {
  if (!ports_.history.enabled()) return;
  ports_.history.record({.kind = kind,
                         .time_ns = now.time_since_epoch().count(),
                         .call = call.id,
                         .version = call.session->record.version(),
                         .session = std::string(call.session->id()),
                         .detail = std::string(detail)});
}

void Dispatcher::note(EventKind kind, TimePoint now, const Attempt& attempt,
                      std::string_view detail) {
  if (!ports_.history.enabled()) return;
  ports_.history.record({.kind = kind,
                         .time_ns = now.time_since_epoch().count(),
                         .call = attempt.call_id,
                         .request = attempt.request_id,
                         .version = attempt.session->record.version(),
                         .epoch = workers_[attempt.worker]->epoch,
                         .worker = attempt.worker,
                         .session = std::string(attempt.session->id()),
                         .detail = std::string(detail)});
}

void Dispatcher::note(EventKind kind, TimePoint now, std::uint32_t worker,
                      std::string_view detail) {
  if (!ports_.history.enabled()) return;
  ports_.history.record({.kind = kind,
                         .time_ns = now.time_since_epoch().count(),
                         .epoch = workers_[worker]->epoch,
                         .worker = worker,
                         .session = {},
                         .detail = std::string(detail)});
}

}  // namespace dspool::dispatch
