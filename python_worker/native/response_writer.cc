#include "python_worker/native/response_writer.h"

#include <cstring>
#include <optional>
#include <string>

#include "ipc/layout.h"
#include "python_worker/native/gil.h"

namespace dspool::python {

ResponseWriter::Sent ResponseWriter::answer(const Ticket& ticket,
                                            std::span<const std::uint8_t> result,
                                            const SessionDelta* delta, std::uint64_t service_ns) {
  if (result.size() > ipc::kValueLimitBytes) {
    return refuse(ticket, "the result takes", result.size(), ipc::kValueLimitBytes);
  }
  builder_.Clear();
  const auto changes = delta == nullptr ? 0 : delta->write(builder_);
  builder_.ForceVectorAlignment(result.size(), sizeof(std::uint8_t), ipc::kValueAlignment);
  const auto value = builder_.CreateVector(result.data(), result.size());
  wire::ResponseBuilder response(builder_);
  response.add_service_ns(service_ns);
  response.add_delta(changes);
  response.add_result(value);
  response.add_status(wire::Status::ok);
  return send(ticket, response);
}

ResponseWriter::Sent ResponseWriter::error(const Ticket& ticket, const ErrorReport& report,
                                           std::uint64_t service_ns) {
  builder_.Clear();
  const auto error = report.write(builder_);
  wire::ResponseBuilder response(builder_);
  response.add_service_ns(service_ns);
  response.add_error(error);
  response.add_status(wire::Status::error);
  return send(ticket, response);
}

ResponseWriter::Sent ResponseWriter::bare(const Ticket& ticket, wire::Status status) {
  builder_.Clear();
  wire::ResponseBuilder response(builder_);
  response.add_status(status);
  return send(ticket, response);
}

ResponseWriter::Sent ResponseWriter::pong(std::uint64_t request_id) {
  return send_bytes(wire::MessageType::pong, request_id, {});
}

ResponseWriter::Sent ResponseWriter::send(const Ticket& ticket, wire::ResponseBuilder& response) {
  response.add_epoch(channel_.epoch());
  response.add_attempt(ticket.attempt);
  builder_.Finish(response.Finish());
  const std::size_t size = builder_.GetSize();
  if (size <= ipc::kInlineLimitBytes) {
    return send_bytes(wire::MessageType::response, ticket.request_id,
                      {builder_.GetBufferPointer(), size});
  }
  return refuse(ticket, "the answer with the session's changes takes", size,
                ipc::kInlineLimitBytes);
}

ResponseWriter::Sent ResponseWriter::refuse(const Ticket& ticket, const std::string& what,
                                            std::size_t size, std::size_t limit) {
  const Sent sent =
      error(ticket,
            {.category = "communication",
             .code = "result_too_large",
             .message = what + ' ' + std::to_string(size) + " bytes, the limit is " +
                        std::to_string(limit) +
                        ": return less, or keep large data elsewhere and tell where it is",
             .exception_type = {},
             .traceback = {}},
            0);
  return sent == Sent::kSent ? Sent::kRefused : sent;
}

ResponseWriter::Sent ResponseWriter::send_bytes(wire::MessageType type, std::uint64_t request_id,
                                                std::span<const std::uint8_t> bytes) {
  std::optional<std::span<std::byte>> place;
  while (!(place = channel_.try_reserve(static_cast<std::uint32_t>(bytes.size())))) {
    const std::optional<std::uint64_t> read_to = channel_.publish_full();
    const GilRelease no_gil;
    if (!read_to || !channel_.wait_for_room(*read_to)) return Sent::kEngineGone;
  }
  if (!bytes.empty()) std::memcpy(place->data(), bytes.data(), bytes.size());
  channel_.commit(static_cast<std::uint16_t>(type), request_id);
  channel_.publish();
  return Sent::kSent;
}

}  // namespace dspool::python
