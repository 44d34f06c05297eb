// Tells the event history what the dispatcher does. Costs one comparison where there is none.
// What each call has is noted by a function of its own, which costs less.
#pragma once

#include <cstdint>
#include <string_view>

#include "dspool/error.h"
#include "dspool/history.h"
#include "engine/dispatch/call.h"
#include "engine/dispatch/worker_slots.h"
#include "engine/telemetry/event_history.h"

namespace dspool::dispatch {

class Journal {
 public:
  // `history` outlives *this.
  explicit Journal(telemetry::EventHistory& history) noexcept : history_(history) {}

  void note(EventKind kind, TimePoint now, const Call& call, std::string_view detail = {}) {
    if (history_.enabled()) record(kind, now, call, detail);
  }
  void note(EventKind kind, TimePoint now, const Attempt& attempt, std::string_view detail = {}) {
    if (history_.enabled()) record(kind, now, attempt, detail);
  }
  void note(EventKind kind, TimePoint now, const WorkerSlot& worker, std::string_view detail = {}) {
    if (history_.enabled()) record(kind, now, worker, detail);
  }
  void note(EventKind kind, TimePoint now, const session::Session& session,
            std::string_view detail = {}) {
    if (history_.enabled()) record(kind, now, session, detail);
  }
  void note_sent(TimePoint now, const Attempt& attempt) {
    if (history_.enabled()) record_sent(now, attempt);
  }
  void note_arrival(TimePoint now, const Call& call) {
    if (history_.enabled()) record_arrival(now, call);
  }
  // An attempt has ended as "ok".
  void note_answer(TimePoint now, const Attempt& attempt) {
    if (history_.enabled()) record_answer(now, attempt);
  }
  // `error`: with which the call ended; null: with an answer.
  void note_end(TimePoint now, const Call& call, const Error* error) {
    if (history_.enabled()) record_end(now, call, error);
  }
  void note_commit(TimePoint now, std::uint64_t call, const session::Session& session,
                   std::uint64_t request) {
    if (history_.enabled()) record_commit(now, call, session, request);
  }

 private:
  void record_sent(TimePoint now, const Attempt& attempt);
  void record_arrival(TimePoint now, const Call& call);
  void record_answer(TimePoint now, const Attempt& attempt);
  void record_end(TimePoint now, const Call& call, const Error* error);
  void record_commit(TimePoint now, std::uint64_t call, const session::Session& session,
                     std::uint64_t request);
  void record(EventKind kind, TimePoint now, const session::Session& session,
              std::string_view detail);
  void record(EventKind kind, TimePoint now, const Call& call, std::string_view detail);
  void record(EventKind kind, TimePoint now, const Attempt& attempt, std::string_view detail);
  void record(EventKind kind, TimePoint now, const WorkerSlot& worker, std::string_view detail);

  telemetry::EventHistory& history_;
};

}  // namespace dspool::dispatch
