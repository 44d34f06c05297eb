#include "engine/dispatch/journal.h"

namespace dspool::dispatch {
namespace {

using telemetry::EventFacts;

// Inlined, so that facts go from where they are to where they belong.
[[gnu::always_inline]] inline EventFacts facts_of(EventKind kind, TimePoint now, const Call& call) {
  return {.kind = kind,
          .time_ns = now.time_since_epoch().count(),
          .call = call.id,
          .version = call.session->record.version()};
}

[[gnu::always_inline]] inline EventFacts facts_of(EventKind kind, TimePoint now,
                                                  const Attempt& attempt) {
  return {.kind = kind,
          .worker = attempt.worker,
          .attempt = attempt.number,
          .time_ns = now.time_since_epoch().count(),
          .call = attempt.call_id,
          .request = attempt.request_id,
          .version = attempt.session->record.version(),
          .epoch = attempt.epoch};
}

}  // namespace

void Journal::record(EventKind kind, TimePoint now, const Call& call, std::string_view detail) {
  history_.record(call.session->id(), detail,
                  [&](EventFacts& facts) { facts = facts_of(kind, now, call); });
}

void Journal::record(EventKind kind, TimePoint now, const Attempt& attempt,
                     std::string_view detail) {
  history_.record(attempt.session->id(), detail,
                  [&](EventFacts& facts) { facts = facts_of(kind, now, attempt); });
}

void Journal::record(EventKind kind, TimePoint now, const WorkerSlot& worker,
                     std::string_view detail) {
  history_.record({}, detail, [&](EventFacts& facts) {
    facts = {.kind = kind,
             .worker = worker.index(),
             .time_ns = now.time_since_epoch().count(),
             .epoch = worker.epoch};
  });
}

void Journal::record(EventKind kind, TimePoint now, const session::Session& session,
                     std::string_view detail) {
  history_.record(session.id(), detail, [&](EventFacts& facts) {
    facts = {.kind = kind,
             .time_ns = now.time_since_epoch().count(),
             .version = session.record.version()};
  });
}

void Journal::record_arrival(TimePoint now, const Call& call) {
  history_.record_fixed(call.session->id(), "", [&](EventFacts& facts) {
    facts = facts_of(EventKind::kCallArrived, now, call);
  });
}

void Journal::record_sent(TimePoint now, const Attempt& attempt) {
  if (history_.follow_by_sent(facts_of(EventKind::kAttemptSent, now, attempt))) [[likely]]
    return;
  record(EventKind::kAttemptSent, now, attempt, {});
}

void Journal::record_answer(TimePoint now, const Attempt& attempt) {
  history_.record_fixed(attempt.session->id(), "ok", [&](EventFacts& facts) {
    facts = facts_of(EventKind::kAttemptEnded, now, attempt);
  });
}

void Journal::record_end(TimePoint now, const Call& call, const Error* error) {
  constexpr EventKind kKind = EventKind::kCallEnded;
  if (error == nullptr && history_.follow_by_end(facts_of(kKind, now, call))) [[likely]]
    return;
  record(kKind, now, call, error == nullptr ? std::string_view("ok") : error->code);
}

void Journal::record_commit(TimePoint now, std::uint64_t call, const session::Session& session,
                            std::uint64_t request) {
  const EventFacts commit{.kind = EventKind::kCommit,
                          .time_ns = now.time_since_epoch().count(),
                          .call = call,
                          .request = request,
                          .version = session.record.version()};
  if (history_.follow_by_commit(commit)) return;
  history_.record(session.id(), {}, [&](EventFacts& facts) { facts = commit; });
}

}  // namespace dspool::dispatch
