#include "engine/dispatch/journal.h"

namespace dspool::dispatch {

void Journal::record(EventKind kind, TimePoint now, const Call& call, std::string_view detail) {
  history_.record({.kind = kind,
                   .time_ns = now.time_since_epoch().count(),
                   .call = call.id,
                   .version = call.session->record.version(),
                   .session = call.session->id(),
                   .detail = detail});
}

void Journal::record(EventKind kind, TimePoint now, const Attempt& attempt,
                     std::string_view detail) {
  history_.record({.kind = kind,
                   .time_ns = now.time_since_epoch().count(),
                   .call = attempt.call_id,
                   .request = attempt.request_id,
                   .version = attempt.session->record.version(),
                   .epoch = attempt.epoch,
                   .worker = attempt.worker,
                   .attempt = attempt.number,
                   .session = attempt.session->id(),
                   .detail = detail});
}

void Journal::record(EventKind kind, TimePoint now, const WorkerSlot& worker,
                     std::string_view detail) {
  history_.record({.kind = kind,
                   .time_ns = now.time_since_epoch().count(),
                   .epoch = worker.epoch,
                   .worker = worker.index(),
                   .detail = detail});
}

void Journal::record(EventKind kind, TimePoint now, const session::Session& session,
                     std::string_view detail) {
  history_.record({.kind = kind,
                   .time_ns = now.time_since_epoch().count(),
                   .version = session.record.version(),
                   .session = session.id(),
                   .detail = detail});
}

void Journal::record_commit(TimePoint now, std::uint64_t call, const session::Session& session,
                            std::uint64_t request) {
  history_.record({.kind = EventKind::kCommit,
                   .time_ns = now.time_since_epoch().count(),
                   .call = call,
                   .request = request,
                   .version = session.record.version(),
                   .session = session.id()});
}

}  // namespace dspool::dispatch
