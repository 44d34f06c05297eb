// One request of a caller, from its admission to its one end.
//
// A call and its attempts have separate lives. The call ends by its deadline whatever happens; an
// attempt that was sent keeps its session and its slot until the worker has answered or died, and
// finds out then that its call is gone.
//
// Whoever makes a Call owns it and keeps it (and what it points to) alive until it has ended.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "dspool/call.h"
#include "engine/dispatch/timer_wheel.h"
#include "engine/session/session.h"
#include "engine/worker/request.h"

namespace dspool::dispatch {

enum class CallKind : std::uint8_t {
  kExecute,     // a command, executed by a worker
  kEndSession,  // takes its turn in the session's queue and is executed by the engine
};

// Kinds of Timer that dispatch arms.
inline constexpr std::uint8_t kCallTimer = 0;     // subject: Call
inline constexpr std::uint8_t kAttemptTimer = 1;  // subject: Attempt

struct Call : session::QueueEntry {
  // ---- set by the owner before it arrives ----
  CallKind kind = CallKind::kExecute;
  session::SessionRef session;
  std::string_view command;
  const Value* args = nullptr;
  TimePoint deadline;
  std::uint32_t max_retries = 0;
  bool creates_session = true;
  std::string_view idempotency_key;
  worker::PayloadRef long_args;  // set where the arguments are too long to travel inline

  // ---- the dispatcher's, from arrival to end ----
  std::uint64_t id = 0;
  TimePoint arrived;
  std::uint32_t attempts = 0;
  Timer timer{kCallTimer, this};  // the nearer of deadline and checkout timeout
  std::uint64_t request_id = 0;   // of the attempt that runs for it; 0: none
  std::uint32_t worker = 0;       // where that attempt runs

  // ---- the owner's again, once it has ended ----
  std::optional<Result<Answer>> result;
  Call* next_ended = nullptr;
};

}  // namespace dspool::dispatch
