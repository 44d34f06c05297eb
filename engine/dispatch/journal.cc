#include "engine/dispatch/journal.h"

namespace dspool::dispatch {

using telemetry::EventFacts;

void Journal::record(EventKind kind, TimePoint now, const Call& call, std::string_view detail) {
  history_.record(call.session->id(), detail, [&](EventFacts& facts) {
    facts = {.kind = kind,
             .time_ns = now.time_since_epoch().count(),
             .call = call.id,
             .version = call.session->record.version()};
  });
}

void Journal::record(EventKind kind, TimePoint now, const Attempt& attempt,
                     std::string_view detail) {
  history_.record(attempt.session->id(), detail, [&](EventFacts& facts) {
    facts = {.kind = kind,
             .worker = attempt.worker,
             .attempt = attempt.number,
             .time_ns = now.time_since_epoch().count(),
             .call = attempt.call_id,
             .request = attempt.request_id,
             .version = attempt.session->record.version(),
             .epoch = attempt.epoch};
  });
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

void Journal::record_commit(TimePoint now, std::uint64_t call, const session::Session& session,
                            std::uint64_t request) {
  history_.record(session.id(), {}, [&](EventFacts& facts) {
    facts = {.kind = EventKind::kCommit,
             .time_ns = now.time_since_epoch().count(),
             .call = call,
             .request = request,
             .version = session.record.version()};
  });
}

}  // namespace dspool::dispatch
