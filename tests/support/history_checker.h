// Holds an engine's History against what dspool promises, event by event. For simulations, chaos
// and end-to-end tests: whatever went on, this must find nothing.
//
// Rules
//   calls     arrive once and end once, after they arrived.
//   attempts  are sent for calls that have arrived and not ended, and end once for each time they
//             were sent; one request is sent again only after "need_state".
//   order     an attempt is sent only for the oldest call of its session that has not ended, and
//             while no other attempt of the session runs; so calls end in the order of their
//             attempts. A session ends while none of its attempts runs.
//   versions  a session's commits are 1, 2, 3, …, anew after the session ended; an attempt is sent
//             for the version that the session has. From the durable store a session comes back
//             with the version that it had.
//   fences    an answer is thrown away of an attempt that runs, after its call has ended.
//   commits   at most one for each call, and before the call is answered; each belongs to an
//   attempt
//             sent for that call, session and the version before, and which did not end otherwise
//             than "ok" (request 0: the engine's own, without an attempt). A call that ended with
//             an error may commit later: its change was being written.
//
// An anonymous call (no session named) is a session of its own.
#pragma once

#include <string>
#include <vector>

#include "dspool/history.h"

namespace dspool::test {

enum class HistoryEnd {
  kQuiescent,  // taken when nothing was under way: each call and attempt must have ended
  kRunning,
};

// What broke the rules, in the order of events; one sentence each. A history that lost events
// cannot be judged, and says so.
[[nodiscard]] std::vector<std::string> check_history(const History& history,
                                                     HistoryEnd end = HistoryEnd::kQuiescent);

}  // namespace dspool::test
