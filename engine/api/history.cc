#include "dspool/history.h"

#include "engine/api/json_writer.h"

namespace dspool {

std::string_view to_string(EventKind kind) noexcept {
  switch (kind) {
    case EventKind::kCallArrived:
      return "call_arrived";
    case EventKind::kCallEnded:
      return "call_ended";
    case EventKind::kAttemptSent:
      return "attempt_sent";
    case EventKind::kAttemptEnded:
      return "attempt_ended";
    case EventKind::kFenced:
      return "fenced";
    case EventKind::kCommit:
      return "commit";
    case EventKind::kMigrated:
      return "migrated";
    case EventKind::kWorkerReady:
      return "worker_ready";
    case EventKind::kWorkerLost:
      return "worker_lost";
    case EventKind::kSessionLoaded:
      return "session_loaded";
    case EventKind::kSessionEnded:
      return "session_ended";
  }
  return "unknown";
}

std::string Event::to_json() const {
  std::string out;
  const auto number = [&out](std::string_view name, auto value) {
    out.append(",\"").append(name).append("\":").append(std::to_string(value));
  };
  const auto text = [&out](std::string_view name, std::string_view value) {
    out.append(",\"").append(name).append("\":");
    append_json_string(out, value);
  };
  out.append("{\"kind\":");
  append_json_string(out, to_string(kind));
  number("time_ns", time_ns);
  number("call", call);
  number("request", request);
  number("version", version);
  number("epoch", epoch);
  number("worker", worker);
  number("attempt", attempt);
  text("session", session);
  text("detail", detail);
  out.push_back('}');
  return out;
}

}  // namespace dspool
