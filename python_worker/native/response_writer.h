// Answers to requests, written into the response ring.
//
// Threads: one writer per thread. The GIL is given up only to wait for room.
#pragma once

#include <flatbuffers/flatbuffers.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "ipc/worker_channel.h"
#include "python_worker/native/error_report.h"
#include "python_worker/native/live_call.h"
#include "python_worker/native/outgoing_record.h"
#include "python_worker/native/session_delta.h"
#include "schemas/envelope_generated.h"

namespace dspool::python {

// What every answer to a request says: what it answers, and whether its session is still warm.
struct Ticket {
  std::uint64_t request_id = 0;
  std::uint32_t attempt = 0;
  bool is_not_kept = false;
  std::uint64_t hydration_ns = 0;  // for the fields that came with the request
  TokenUsage usage{};
};

class ResponseWriter {
 public:
  // `max_bytes`: of a result.
  ResponseWriter(ipc::WorkerChannel& channel, std::uint64_t max_bytes) noexcept
      : channel_(channel), max_bytes_(max_bytes) {}

  enum class Sent {
    kSent,
    kRefused,  // too large: an error was sent instead
    kEngineGone,
  };
  // `delta` is null where nothing changed.
  Sent answer(const Ticket& ticket, std::span<const std::uint8_t> result, const SessionDelta* delta,
              std::uint64_t service_ns);
  Sent error(const Ticket& ticket, const ErrorReport& report, std::uint64_t service_ns);
  Sent need_state(const Ticket& ticket) { return bare(ticket, wire::Status::need_state); }
  Sent recalled(const Ticket& ticket) { return bare(ticket, wire::Status::recalled); }
  // `service_ns` is 0 where the command did not begin.
  Sent cancelled(const Ticket& ticket, std::uint64_t service_ns = 0) {
    return bare(ticket, wire::Status::cancelled, service_ns);
  }
  Sent pong(std::uint64_t request_id);

 private:
  Sent bare(const Ticket& ticket, wire::Status status, std::uint64_t service_ns = 0);
  Sent send(const Ticket& ticket, wire::ResponseBuilder& response);
  Sent refuse(const Ticket& ticket, const ErrorReport& report);
  static Sent send(OutgoingRecord& record);

  ipc::WorkerChannel& channel_;
  const std::uint64_t max_bytes_;
  flatbuffers::FlatBufferBuilder builder_{4096};
};

}  // namespace dspool::python
