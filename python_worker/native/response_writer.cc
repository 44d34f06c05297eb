#include "python_worker/native/response_writer.h"

#include <array>
#include <cstring>
#include <optional>
#include <string>

#include "ipc/layout.h"
#include "ipc/sealed_bytes.h"
#include "python_worker/native/gil.h"

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
  response.add_not_kept(ticket.is_not_kept);
  builder_.Finish(response.Finish());
  const std::span<const std::uint8_t> bytes(builder_.GetBufferPointer(), builder_.GetSize());
  if (bytes.size() > 2 * max_bytes_ + ipc::kInlineLimitBytes) {
    return refuse(ticket, too_large(bytes.size(), max_bytes_));
  }
  const bool is_long = bytes.size() > kKeptAnswerBytes;
  const Sent sent = bytes.size() <= channel_.longest_in_rings()
                        ? send_bytes(wire::MessageType::response, ticket.request_id, bytes)
                        : send_sealed(ticket, bytes);
  if (is_long) builder_.Reset();
  return sent;
}

ResponseWriter::Sent ResponseWriter::refuse(const Ticket& ticket, const ErrorReport& report) {
  const Sent sent = error(ticket, report, 0);
  return sent == Sent::kSent ? Sent::kRefused : sent;
}

ResponseWriter::Sent ResponseWriter::send_bytes(wire::MessageType type, std::uint64_t request_id,
                                                std::span<const std::uint8_t> bytes) {
  std::optional<std::span<std::byte>> place;
  while (!(place = channel_.try_reserve(static_cast<std::uint32_t>(bytes.size())))) {
    if (!wait_for_room()) return Sent::kEngineGone;
  }
  if (!bytes.empty()) std::memcpy(place->data(), bytes.data(), bytes.size());
  channel_.commit(static_cast<std::uint16_t>(type), request_id);
  channel_.publish();
  return Sent::kSent;
}

ResponseWriter::Sent ResponseWriter::send_sealed(const Ticket& ticket,
                                                 std::span<const std::uint8_t> bytes) {
  const auto memfd = ipc::seal_copy(std::array{std::as_bytes(bytes)});
  if (!memfd) {
    return refuse(ticket, {.category = "resource_error",
                           .code = "no_payload_memory",
                           .message = "there is no memory to send an answer of this size: " +
                                      memfd.error().what,
                           .exception_type = {},
                           .traceback = {}});
  }
  constexpr auto kType = static_cast<std::uint16_t>(wire::MessageType::response);
  while (true) {
    const auto sent = channel_.try_hand_over(kType, ticket.request_id, memfd->get(), bytes.size());
    if (sent) break;
    if (sent.error().kind != ipc::FaultKind::kFull || !wait_for_room()) return Sent::kEngineGone;
  }
  channel_.publish();
  return Sent::kSent;
}

// false: the engine is gone.
bool ResponseWriter::wait_for_room() {
  const auto full = channel_.publish_full();
  const GilRelease no_gil;
  return full && channel_.wait_for_room(*full);
}

}  // namespace dspool::python
