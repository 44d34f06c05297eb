#include "python_worker/native/response_writer.h"

#include <string>

#include "ipc/layout.h"

namespace dspool::python {
namespace {

constexpr std::size_t kKeptAnswerBytes = std::size_t{1} << 20;  // from one answer to the next

ErrorReport too_large(std::size_t size, std::size_t limit) {
  return {.category = "communication",
          .code = "result_too_large",
          .message = "the answer with the session's changes takes " + std::to_string(size) +
                     " bytes, the limit is " + std::to_string(limit) +
                     ": return less, keep large data elsewhere and tell where it is, or raise "
                     "worker.max_payload_bytes",
          .exception_type = {},
          .traceback = {}};
}

ErrorReport no_memory(const std::string& why) {
  return {.category = "resource_error",
          .code = "no_payload_memory",
          .message = "there is no memory to send an answer of this size: " + why,
          .exception_type = {},
          .traceback = {}};
}

}  // namespace

ResponseWriter::Sent ResponseWriter::answer(const Ticket& ticket,
                                            std::span<const std::uint8_t> result,
                                            const SessionDelta* delta, std::uint64_t service_ns) {
  if (result.size() > max_bytes_) return refuse(ticket, too_large(result.size(), max_bytes_));
  builder_.Clear();
  const auto changes = delta == nullptr ? 0 : delta->write(builder_);
  builder_.ForceVectorAlignment(result.size(), sizeof(std::uint8_t), ipc::kValueAlignment);
  const auto value = builder_.CreateVector(result.data(), result.size());
  wire::ResponseBuilder response(builder_);
  response.add_service_ns(service_ns);
  response.add_hydration_ns(ticket.hydration_ns);
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
  response.add_hydration_ns(ticket.hydration_ns);
  response.add_error(error);
  response.add_status(wire::Status::error);
  return send(ticket, response);
}

ResponseWriter::Sent ResponseWriter::bare(const Ticket& ticket, wire::Status status,
                                          std::uint64_t service_ns) {
  builder_.Clear();
  wire::ResponseBuilder response(builder_);
  response.add_service_ns(service_ns);
  response.add_status(status);
  return send(ticket, response);
}

ResponseWriter::Sent ResponseWriter::pong(std::uint64_t request_id) {
  OutgoingRecord record(channel_, wire::MessageType::pong, request_id, {});
  return send(record);
}

ResponseWriter::Sent ResponseWriter::send(const Ticket& ticket, wire::ResponseBuilder& response) {
  response.add_epoch(channel_.epoch());
  response.add_attempt(ticket.attempt);
  response.add_not_kept(ticket.is_not_kept);
  response.add_input_tokens(ticket.usage.input_tokens);
  response.add_output_tokens(ticket.usage.output_tokens);
  builder_.Finish(response.Finish());
  const std::span<const std::uint8_t> bytes(builder_.GetBufferPointer(), builder_.GetSize());
  if (bytes.size() > 2 * max_bytes_ + ipc::kInlineLimitBytes) {
    return refuse(ticket, too_large(bytes.size(), max_bytes_));
  }
  OutgoingRecord record(channel_, wire::MessageType::response, ticket.request_id, bytes);
  if (!record.fits_rings()) {
    if (const auto sealed = record.seal(); !sealed) {
      return refuse(ticket, no_memory(sealed.error().what));
    }
  }
  const bool is_long = bytes.size() > kKeptAnswerBytes;
  const Sent sent = send(record);
  if (is_long) builder_.Reset();
  return sent;
}

ResponseWriter::Sent ResponseWriter::refuse(const Ticket& ticket, const ErrorReport& report) {
  const Sent sent = error(ticket, report, 0);
  return sent == Sent::kSent ? Sent::kRefused : sent;
}

ResponseWriter::Sent ResponseWriter::send(OutgoingRecord& record) {
  OutgoingRecord::Sent sent;
  while ((sent = record.try_send()) == OutgoingRecord::Sent::kFull) {
    if (!record.wait_for_room()) return Sent::kEngineGone;
  }
  return sent == OutgoingRecord::Sent::kSent ? Sent::kSent : Sent::kEngineGone;
}

}  // namespace dspool::python
