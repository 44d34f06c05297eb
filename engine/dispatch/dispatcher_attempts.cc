// Attempts: where they are sent, and what comes of them.
#include <cassert>
#include <utility>

#include "engine/dispatch/dispatcher.h"
#include "engine/dispatch/errors.h"
#include "ipc/planted_bug.h"

namespace dspool::dispatch {
namespace {

using std::chrono::milliseconds;

// Above this service time a request that waits in a ring waits longer than a hand-off takes.
constexpr std::int64_t kShortServiceNs = 100'000;
constexpr std::int64_t kShortAgainNs = 80'000;  // so that it does not change with every answer
constexpr std::int64_t kEwmaShift = 4;
constexpr std::string_view kFields = "the session's fields must go with it";

// What the planted bug of this name remembers.
struct StaleHint {
  const session::Session* session = nullptr;
  std::uint64_t state_id = 0;
  session::WarmAt warm{};
};

// What an attempt answered, for the event history.
std::string_view answer_name(OutcomeStatus status) {
  switch (status) {
    case OutcomeStatus::kOk:
      return "ok";
    case OutcomeStatus::kError:
      return "error";
    case OutcomeStatus::kNeedState:
      return "need_state";
    case OutcomeStatus::kCancelled:
      return "cancelled";
    case OutcomeStatus::kRecalled:
      return "recalled";
  }
  return "unknown";
}

// Whether the attempt has come to a command that could use the session.
bool has_used_session(const Attempt& attempt, const Outcome& outcome) {
  if (attempt.moves) return false;
  if (outcome.status == OutcomeStatus::kOk) return true;
  if (outcome.status != OutcomeStatus::kError) return false;
  const Error& error = outcome.error;
  if (error.code == "unknown_command" || error.code == "out_of_memory") return false;
  // What a command raises has a type, whatever category it says that it is of.
  return error.category == ErrorCategory::kPython || !error.exception_type.empty();
}

}  // namespace

// ---- from a slot to an answer ----

Dispatcher::Granted Dispatcher::grant(session::Session& session, std::uint32_t worker,
                                      TimePoint now) {
  WorkerSlot& slot = *workers_[worker];
  Call& call = static_cast<Call&>(session.queue.front());
  if (std::optional<Error> refused = ask_again(call, now)) {
    session.phase = session::Phase::kIdle;
    end(take_head(session), tl::unexpected(*std::move(refused)), now);
    return Granted::kEnded;
  }
  Attempt& attempt = slot.open(++requests_);
  attempt.call = &call;
  attempt.session = call.session;
  attempt.call_id = call.id;
  attempt.number = call.attempts + 1;
  attempt.moves = call.kind == CallKind::kMove;
  attempt.alone = slot.kept_for != nullptr;
  attempt.streams = call.window != nullptr;
  if (attempt.streams) *call.window = {};
  const Sent sent = send(attempt, call, !is_warm(session, worker));
  if (sent == Sent::kFull) {
    slot.close(attempt);
    slot.full = true;
    note_room(slot);
    if (slot.in_flight() == 0) kill(slot, "its ring is full although it has nothing to do", now);
    return Granted::kFull;
  }
  if (sent == Sent::kNoMemory) {
    slot.close(attempt);
    session.phase = session::Phase::kIdle;
    end(take_head(session), tl::unexpected(errors::no_payload_memory(kFields)), now);
    return Granted::kEnded;
  }
  note_room(slot);
  session.phase = session::Phase::kRunning;
  --waiting_calls_;
  ++in_flight_;
  ++call.attempts;
  call.request_id = attempt.request_id;
  call.worker = worker;
  arm(call.timer, call.deadline);
  if (slot.in_flight() > limits_.max_in_flight) watch_ring(slot, now);
  note_grant(session, call, worker, now);
  journal_.note_sent(now, attempt);
  return Granted::kSent;
}

Sent Dispatcher::send(Attempt& attempt, Call& call, bool hydrate) {
  const session::Session& session = *attempt.session;
  attempt.hydrated = hydrate && session.record.version() != 0;
  attempt.pins.args = call.long_args;
  const std::uint32_t number = attempt.moves ? 0 : session.model != 0 ? session.model : pool_model_;
  worker::ModelNews news;
  attempt.model = number != 0 ? models_.at(number).id : 0;
  if (number != 0 && !workers_[attempt.worker]->holds_model(number, attempt.model)) {
    tell_model(attempt, number, news);
  }
  const Sent sent = ports_.transport.send(
      attempt.worker, Request{.request_id = attempt.request_id,
                              .command = call.command,
                              .args = call.args->bytes(),
                              .session = session.id(),
                              .attempt = attempt.number,
                              .state = &session.record,
                              .hydrate = attempt.hydrated,
                              .pins = &attempt.pins,
                              .deadline = call.deadline,
                              .lm_version = attempt.model,
                              .place = place_of(attempt.request_id),
                              .streams = attempt.streams,
                              .model_news = news.model != nullptr ? &news : nullptr});
  if (sent != Sent::kSent) return sent;
  attempt.order = ++workers_[attempt.worker]->sent;
  if (attempt.hydrated && !attempt.moves) ports_.metrics.hydrations.add(1);
  return sent;
}

// ---- events of workers ----

void Dispatcher::worker_ready(std::uint32_t worker, std::uint64_t epoch, TimePoint now) {
  WorkerSlot& slot = *workers_[worker];
  assert(slot.in_flight() == 0);
  slot.epoch = epoch;
  slot.full = false;
  slot.served = 0;
  slot.busy = {};
  slot.ready_since = now;
  slot.warm_sessions = 0;
  slot.sent = 0;
  slot.recalled_to = 0;
  slot.stuck_since = {};
  slot.models.clear();
  slot.stale_models.clear();
  set_state(slot, slot.is_retired ? WorkerState::kDraining : WorkerState::kReady);
  journal_.note(EventKind::kWorkerReady, now, slot);
  ports_.listener.fleet_due();
  if (!waiting_.empty() || waiting_.first_alone() != nullptr) ports_.listener.hand_off_due();
}

bool Dispatcher::answered(std::uint32_t worker, std::uint64_t request_id, Outcome& outcome,
                          TimePoint now) {
  WorkerSlot& slot = *workers_[worker];
  Attempt* attempt = slot.find(request_id);
  if (attempt == nullptr || !is_possible(*attempt, outcome, now)) return false;
  slot.full = false;
  if (attempt->recalled) {
    slot.close(*attempt);
    note_room(slot);
    if (slot.kept_for != nullptr) ports_.listener.hand_off_due();
    serve_expecting(slot, now);
    if (!waiting_.empty() && has_room(slot)) ports_.listener.hand_off_due();
    if (slot.state == WorkerState::kDraining && slot.in_flight() == 0) ports_.listener.fleet_due();
    return true;
  }
  const session::SessionRef session = attempt->session;
  if (!attempt->moves) session->used = now;  // also where its call has ended
  if (session->suspicion && has_used_session(*attempt, outcome)) acquit(*session);
  if (outcome.status == OutcomeStatus::kNeedState && attempt->call != nullptr) {
    if (send_state(*attempt, now)) return true;
  } else if (attempt->moves) {
    settle(*attempt, outcome, now);
  } else {
    if (++slot.served == limits_.max_requests) ports_.listener.fleet_due();
    note_usage(*attempt, outcome);
    slot.busy += std::chrono::nanoseconds(outcome.service_ns);
    if (outcome.status != OutcomeStatus::kCancelled && outcome.status != OutcomeStatus::kRecalled) {
      learn_service_time(outcome.service_ns);
      ports_.metrics.service_time.record(outcome.service_ns);
      if (attempt->hydrated) learn_miss_cost(outcome.hydration_ns);
    }
    settle(*attempt, outcome, now);
  }
  wheel_.disarm(attempt->grace);
  const bool was_alone = attempt->alone;
  if (ipc::has_bug_once("leak_slot", 100)) {
    attempt->call = nullptr;
  } else {
    slot.close(*attempt);
    --in_flight_;
  }
  if (was_alone) {
    stop_keeping(slot);
  } else if (slot.kept_for != nullptr) {
    ports_.listener.hand_off_due();
  }
  note_room(slot);
  if (session->phase == session::Phase::kRunning) offer(*session, now);
  serve_expecting(slot, now);
  if (slot.stuck_since != TimePoint{} && !slot.runs_for_a_call(limits_.max_in_flight)) {
    kill(slot, "it did not react to a cancel", now);
  }
  if (!waiting_.empty() && has_room(slot)) ports_.listener.hand_off_due();
  if (slot.state == WorkerState::kDraining && slot.in_flight() == 0) ports_.listener.fleet_due();
  return true;
}

// Whether an attempt can have come to this.
bool Dispatcher::is_possible(const Attempt& attempt, const Outcome& outcome,
                             TimePoint now) const noexcept {
  if (attempt.number != outcome.attempt) return false;
  if (attempt.moves && !outcome.delta.empty()) return false;
  if (attempt.recalled) return outcome.status == OutcomeStatus::kRecalled;
  const bool began =
      attempt.streams && attempt.call != nullptr && attempt.call->window->sent() != 0;
  if (began &&
      (outcome.status == OutcomeStatus::kRecalled || outcome.status == OutcomeStatus::kNeedState)) {
    return false;
  }
  if (outcome.status == OutcomeStatus::kRecalled) {
    return attempt.order <= workers_[attempt.worker]->recalled_to;
  }
  if (outcome.status == OutcomeStatus::kNeedState) {
    return !attempt.hydrated && attempt.session->record.version() != 0;
  }
  if (outcome.status == OutcomeStatus::kCancelled) {
    return attempt.call == nullptr || now >= attempt.call->deadline;
  }
  return attempt.session->anonymous() || attempt.session->record.can_append_all(outcome.delta);
}

// The worker's cache was smaller than we thought: the request goes to it again, with the fields.
// false: the attempt is over, and its call waits for another or has ended.
bool Dispatcher::send_state(Attempt& attempt, TimePoint now) {
  session::Session& session = *attempt.session;
  set_warm(session, {});
  journal_.note(EventKind::kAttemptEnded, now, attempt, "need_state");
  Call& call = *attempt.call;
  switch (send(attempt, call, true)) {
    case Sent::kSent:
      journal_.note_sent(now, attempt);
      return true;
    case Sent::kFull:
      workers_[attempt.worker]->full = true;
      note_room(*workers_[attempt.worker]);
      --call.attempts;  // it was none
      wait_again(attempt, now);
      return false;
    case Sent::kNoMemory:
      break;
  }
  session.queue.pop_front();
  end(call, tl::unexpected(errors::no_payload_memory(kFields)), now);
  return false;
}

void Dispatcher::settle(Attempt& attempt, Outcome& outcome, TimePoint now) {
  session::Session& session = *attempt.session;
  if (outcome.status == OutcomeStatus::kRecalled) return take_back(attempt, now);
  if (outcome.status == OutcomeStatus::kCancelled) {
    journal_.note(EventKind::kAttemptEnded, now, attempt, "cancelled");
    if (outcome.not_kept && is_warm(session, attempt.worker)) set_warm(session, {});
    if (Call* call = attempt.call) {  // its deadline has passed, and its timer comes too late
      const bool had_begun = outcome.service_ns != 0;
      if (had_begun) note_timeout(*call, now);
      session.queue.pop_front();
      const auto timeout = std::chrono::ceil<milliseconds>(call->deadline - call->arrived);
      end(*call, tl::unexpected(errors::deadline_exceeded(timeout, had_begun)), now);
    }
    return;
  }
  if (attempt.call == nullptr && !session.queue.empty() && ipc::has_bug("skip_fence")) {
    attempt.call = static_cast<Call*>(&session.queue.front());
    --waiting_calls_;
  }
  if (attempt.call == nullptr) {
    if (ipc::has_bug("trust_stale_hint")) {
      ipc::remembered<StaleHint>() = {.session = &session,
                                      .state_id = attempt.request_id,
                                      .warm = {.worker = attempt.worker, .epoch = attempt.epoch}};
    }
    if (!outcome.delta.empty() && ipc::has_bug("apply_late_answer")) {
      auto staged = ports_.store.prepare(session.record, outcome.delta);
      session.record.apply(outcome.delta, std::move(staged).value(), attempt.request_id);
      note_commit(session, attempt.call_id, attempt.request_id, now);
    }
    // Fenced: its call has ended, so whatever it changed has not happened.
    set_warm(session, {});
    if (!attempt.moves) {
      ports_.metrics.late_answers.add(1);
      journal_.note(EventKind::kFenced, now, attempt, answer_name(outcome.status));
    }
    journal_.note(EventKind::kAttemptEnded, now, attempt, "discarded");
    return;
  }
  note_answer(*attempt.call, outcome, now);
  if (outcome.status == OutcomeStatus::kOk) return commit(attempt, outcome, now);
  journal_.note(EventKind::kAttemptEnded, now, attempt, "error");
  if (outcome.not_kept && is_warm(session, attempt.worker)) set_warm(session, {});
  outcome.error.worker = names_[attempt.worker];
  if (retry(attempt, outcome.error, now)) return;
  Call& call = *attempt.call;
  session.queue.pop_front();
  end(call, tl::unexpected(std::move(outcome.error)), now);
}

void Dispatcher::commit(Attempt& attempt, Outcome& outcome, TimePoint now) {
  Call& call = *attempt.call;
  session::Session& session = *attempt.session;
  journal_.note_answer(now, attempt);
  session.queue.pop_front();
  call.request_id = 0;
  const bool keeps = !outcome.not_kept;
  const session::WarmAt here{.worker = attempt.worker, .epoch = attempt.epoch};
  if (attempt.moves) return moved(session, attempt, keeps ? here : session.warm, now);
  Change change{.result = std::move(outcome.result),
                .state_id = attempt.request_id,
                .warm = keeps ? here : session::WarmAt{}};
  if (session.anonymous()) return answer(session, call, std::move(change.result), {}, now);
  if (ipc::has_bug("trust_stale_hint")) {
    const auto& stale = ipc::remembered<StaleHint>();
    if (stale.session == &session) change.state_id = stale.state_id;
    if (stale.session == &session) change.warm = stale.warm;
  }
  change.delta = &outcome.delta;
  change.bytes = outcome.bytes;
  commit(session, call, std::move(change), now);
}

// The end of a call that has changed all that it was to change.
void Dispatcher::answer(session::Session& session, Call& call, std::vector<std::uint8_t> result,
                        const session::WarmAt& warm, TimePoint now) {
  if (ipc::has_bug_at_times("wrong_caller", 20)) {
    result.swap(ipc::remembered<std::vector<std::uint8_t>>());
  }
  set_warm(session, warm);
  if (call.kind != CallKind::kMove) ++session.operations;
  if (!call.idempotency_key.empty() && !session.anonymous()) {
    remember(session, {.key = std::string(call.idempotency_key),
                       .asked = call.asked,
                       .value = result,
                       .version = session.record.version(),
                       .stored = now});
  }
  end(call,
      Answer{
          .value = result.empty() ? Value() : Value::from_verified(std::move(result)),
          .version = session.record.version(),
          .attempts = call.attempts,
          .worker = call.attempts != 0 ? std::string_view(names_[call.worker]) : std::string_view(),
          .usage = call.usage},
      now);
}

// What a model has charged for, whatever came of it.
void Dispatcher::note_usage(const Attempt& attempt, const Outcome& outcome) {
  if (outcome.usage.input_tokens == 0 && outcome.usage.output_tokens == 0) return;
  ports_.metrics.input_tokens.add(outcome.usage.input_tokens);
  ports_.metrics.output_tokens.add(outcome.usage.output_tokens);
  if (attempt.call != nullptr) attempt.call->usage += outcome.usage;
}

void Dispatcher::remember(session::Session& session, session::StoredAnswer answer) {
  if (!session.answers) session.answers = std::make_unique<session::StoredAnswers>();
  session.answers->store(std::move(answer));
}

void Dispatcher::note_commit(session::Session& session, std::uint64_t call_id,
                             std::uint64_t request_id, TimePoint now) {
  if (!ipc::has_bug_at_times("count_wrong", 20)) ports_.metrics.commits.add(1);
  journal_.note_commit(now, call_id, session, request_id);
  if (ports_.archive == nullptr || session.record.bytes() == 0) return;
  residents_.add(session);
  if (ports_.store.is_nearly_full()) ports_.listener.room_due();
}

// Lets the call wait for another attempt, ahead of all others.
void Dispatcher::wait_again(Attempt& attempt, TimePoint now) {
  Call& call = *attempt.call;
  attempt.call = nullptr;
  call.request_id = 0;
  ++waiting_calls_;
  wait(*attempt.session, true, now);
}

void Dispatcher::doom(std::uint32_t worker, TimePoint now) {
  WorkerSlot& slot = *workers_[worker];
  if (!slot.is_up()) return;
  set_state(slot, WorkerState::kDoomed);
  release_expecting(worker, now);
}

void Dispatcher::hung_up(std::uint32_t worker, TimePoint now) {
  count_loss(*workers_[worker]);
  doom(worker, now);
  ports_.listener.fleet_due();
}

// Once: from then on it is not ready.
void Dispatcher::count_loss(const WorkerSlot& worker) {
  const bool asked = worker.is_retired || stopping_;
  if (worker.is_up() && !asked) ports_.metrics.workers_lost.add(1);
}

void Dispatcher::kill(WorkerSlot& worker, std::string_view why, TimePoint now) {
  doom(worker.index(), now);
  ports_.transport.kill(worker.index(), why);
}

void Dispatcher::worker_lost(std::uint32_t worker, Loss loss, std::string_view how, TimePoint now) {
  WorkerSlot& slot = *workers_[worker];
  count_loss(slot);
  bool is_to_count = counts_as_failure(slot);
  set_state(slot, WorkerState::kAbsent);
  release_expecting(worker, now);
  ports_.listener.fleet_due();
  journal_.note(EventKind::kWorkerLost, now, slot, how);
  wheel_.disarm(slot.ring_watch);
  slot.close_recalled();
  // It was asked to end, or given up for the sake of another call: nobody in it has killed it.
  const bool was_stuck = slot.stuck_since != TimePoint{};
  const bool was_killed = slot.is_retired || was_stuck || stopping_;
  const bool blames = !was_killed && slot.in_flight() != 0;
  const std::uint64_t begun = blames ? ports_.transport.begun(worker) : 0;
  slot.is_excused = was_stuck;
  slot.for_each_in_flight([&](Attempt& attempt) {
    wheel_.disarm(attempt.grace);
    const session::SessionRef session = attempt.session;
    if (!attempt.moves) session->used = now;
    journal_.note(EventKind::kAttemptEnded, now, attempt, "worker_lost");
    if (ipc::has_bug("lose_state_with_worker")) session->record.reset();
    Call* const call = attempt.call;
    const std::optional<Error> verdict =
        attempt.order <= begun ? blame(attempt, how) : std::nullopt;
    if (verdict) slot.is_excused = true;
    if (call != nullptr) {
      Error error = verdict                    ? *verdict
                    : loss == Loss::kViolation ? errors::channel_violation(names_[worker], how)
                    : was_stuck                ? errors::worker_stuck(names_[worker], how)
                                               : errors::worker_lost(names_[worker], how);
      if (is_to_count && note_pool_failure(*call, error.message, now)) {
        counted_death_ = now;
        is_to_count = false;
      }
      if (verdict || !retry(attempt, error, now)) {
        session->queue.pop_front();
        end(*call, tl::unexpected(std::move(error)), now);
      }
    }
    slot.close(attempt);
    --in_flight_;
    if (session->phase == session::Phase::kRunning) offer(*session, now);
  });
  slot.epoch = 0;
  slot.warm_sessions = 0;
  if (slot.kept_for != nullptr) stop_keeping(slot);
  if (no_starts_ && nobody_serves()) refuse_waiting(now);
}

void Dispatcher::learn_service_time(std::int64_t service_ns) noexcept {
  if (service_ns_ < 0) {
    service_ns_ = service_ns;
  } else {
    service_ns_ += (service_ns - service_ns_) >> kEwmaShift;
  }
  const std::int64_t bound = capacity_ == limits_.max_in_flight ? kShortAgainNs : kShortServiceNs;
  const std::uint32_t pipelined = service_ns_ <= bound ? limits_.pipeline - 1 : 0;
  if (std::exchange(capacity_, limits_.max_in_flight + pipelined) == capacity_) return;
  for (const auto& worker : workers_) note_room(*worker);
}

}  // namespace dspool::dispatch
