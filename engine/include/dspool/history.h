// The engine's own record of what happened, for checkers and post-mortems: bounded, optional.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dspool {

enum class EventKind : std::uint8_t {
  kCallArrived,   // call, session
  kCallEnded,     // call, session, version after it, detail: "ok" or the error's code
  kAttemptSent,   // call, session, request, attempt, worker, epoch, version that it must see
  kAttemptEnded,  // the same; detail: "ok", "error", "need_state", "worker_lost", "discarded",
                  // "cancelled", "recalled"
  kFenced,        // the same, before it ended as "discarded": what it answered came too late, since
                  // its call had ended, and was thrown away; detail: "ok", "error", "need_state"
  kCommit,        // call, session, request, version it made
  kMigrated,      // call, session, request, attempt, version; worker, epoch: where it is warm now;
                  // detail: the worker where it was, empty: none
  kWorkerReady,   // worker, epoch
  kWorkerLost,    // worker, epoch, detail: how it ended, where that is known so early
  kSessionLoaded,  // session, version with which it came from the durable store
  kSessionEnded,   // session, version it had, detail: what ended it, as to_string(SessionEnd)
};
[[nodiscard]] std::string_view to_string(EventKind kind) noexcept;

struct Event {
  EventKind kind{};
  std::int64_t time_ns = 0;  // monotonic
  std::uint64_t call = 0;
  std::uint64_t request = 0;  // unique for each attempt
  std::uint64_t version = 0;
  std::uint64_t epoch = 0;
  std::uint32_t worker = 0;
  std::uint32_t attempt = 0;  // counts from 1 within the call
  std::string session;
  std::string detail;

  // One line: an object with every member, in the order above, "kind" as to_string() gives it.
  // Session ids are any bytes, JSON is not: what is not UTF-8 in them is written as U+FFFD.
  [[nodiscard]] std::string to_json() const;
};

struct History {
  std::vector<Event> events;  // in the order in which they happened
  std::uint64_t dropped = 0;  // older events that the bound pushed out
};

}  // namespace dspool
