// Moves: a session's fields are brought to a worker before a call needs them there. A move takes
// its turn in the session's queue as an attempt that executes nothing, so that nobody runs in the
// session meanwhile; whatever goes wrong, the session is merely cold.
#include <cassert>
#include <utility>

#include "engine/dispatch/dispatcher.h"
#include "engine/dispatch/errors.h"

namespace dspool::dispatch {

// The turn of a move has come. false: it is under way. It never waits for its worker: those behind
// it in the queue would wait with it.
bool Dispatcher::move(session::Session& session, Call& call, TimePoint now) {
  const Move& asked = call.move;
  const bool has_fields = session.tier == session::Tier::kShared && session.record.version() != 0;
  const bool is_as_asked = asked.from.epoch == 0 || is_warm_at(session, asked.from);
  // To give a worker a session that may have killed one is not worth a move.
  if (!has_fields || !is_as_asked || session.suspicion || is_warm(session, asked.to)) {
    end(take_head(session), Answer{.version = session.record.version(), .attempts = 0}, now);
    return true;
  }
  const WorkerSlot& slot = *workers_[asked.to];
  const bool is_free = has_room(slot) && slot.in_flight() < limits_.max_in_flight;
  const bool was_warm = session.warm.epoch != 0 && is_warm(session, session.warm.worker);
  if (was_warm) call.move.was_at = session.warm.worker;
  if (is_free) {
    switch (grant(session, asked.to, now)) {
      case Granted::kSent:
        return false;
      case Granted::kEnded:
        return true;
      case Granted::kFull:
        break;
    }
  }
  end(take_head(session), tl::unexpected(errors::worker_busy(names_[asked.to])), now);
  return true;
}

// The worker has the fields, or could not keep them: then they are warm where they were.
void Dispatcher::moved(session::Session& session, const Attempt& attempt,
                       const session::WarmAt& warm, TimePoint now) {
  Call& call = *attempt.call;
  call.move.has_moved = warm != session.warm;
  if (call.move.has_moved) {
    journal_.note(
        EventKind::kMigrated, now, attempt,
        call.move.was_at ? std::string_view(names_[*call.move.was_at]) : std::string_view());
  }
  answer(session, call, {}, warm, now);
}

}  // namespace dspool::dispatch
