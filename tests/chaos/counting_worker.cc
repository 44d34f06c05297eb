#include "tests/chaos/counting_worker.h"

#include <flatbuffers/flexbuffers.h>

#include <cstring>

#include "ipc/layout.h"
#include "schemas/control_generated.h"

namespace dspool::chaos {
namespace {

template <typename Add>
flatbuffers::Offset<flatbuffers::Vector<std::uint8_t>> add_value(
    flatbuffers::FlatBufferBuilder& builder, Add add) {
  flexbuffers::Builder value;
  add(value);
  value.Finish();
  builder.ForceVectorAlignment(value.GetSize(), sizeof(std::uint8_t), ipc::kValueAlignment);
  return builder.CreateVector(value.GetBuffer());
}

}  // namespace

std::optional<std::string> CountingWorker::start() {
  if (!channel_.wait()) return std::nullopt;
  const auto record = channel_.try_receive();
  std::string name = flatbuffers::GetRoot<wire::Hello>(record->body.data())->worker()->str();
  channel_.release();
  send_ready();
  return name;
}

void CountingWorker::send_ready() {
  builder_.Clear();
  builder_.Finish(wire::CreateReady(builder_, channel_.epoch(), builder_.CreateString("none")));
  send(wire::MessageType::ready, 0, builder_);
}

std::optional<Pending> CountingWorker::next_request() {
  while (channel_.wait()) {
    const auto record = channel_.try_receive();
    const auto type = static_cast<wire::MessageType>(record->header.type);
    const auto* body = reinterpret_cast<const std::uint8_t*>(record->body.data());
    Pending pending{.id = record->header.request_id, .body = {body, body + record->body.size()}};
    channel_.release();
    if (type == wire::MessageType::request) return pending;
    if (type == wire::MessageType::drain) break;
    if (type == wire::MessageType::ping) send(wire::MessageType::pong, pending.id, nullptr, 0);
  }
  return std::nullopt;
}

// How often the session was called before, or nothing: the request's state is not known here.
std::optional<std::int64_t> CountingWorker::count_before(const wire::Request& request) {
  if (request.version() == 0) return 0;
  if (request.state() != nullptr) {
    const auto* piece = request.state()->pieces()->Get(0);  // there is one field, the count
    take_extents(piece->extent());
    const auto value =
        states_.bytes({.at = piece->at(), .extent = piece->extent()}, piece->bytes()).value();
    return flexbuffers::GetRoot(reinterpret_cast<const std::uint8_t*>(value.data()), value.size())
        .AsInt64();
  }
  const auto known = known_.find(request.session()->str());
  if (known == known_.end() || known->second.version != request.version() ||
      known->second.state_id != request.state_id()) {
    return std::nullopt;
  }
  return known->second.count;
}

// Until this one is among them: it came before the request that refers to it.
void CountingWorker::take_extents(std::uint32_t needed) {
  while (!states_.has(needed)) {
    const auto message = channel_.receive_control(true);
    if (!message) return;
    wire::Handover handover;
    if (message->bytes.size() != sizeof handover) continue;
    std::memcpy(&handover, message->bytes.data(), sizeof handover);
    if (handover.kind() != wire::HandoverKind::extent) continue;
    static_cast<void>(
        states_.add(static_cast<std::uint32_t>(handover.number()), message->descriptor.get()));
  }
}

flatbuffers::FlatBufferBuilder& CountingWorker::build_answer(const Pending& pending) {
  const wire::Request& request = pending.request();
  builder_.Clear();
  const auto before = count_before(request);
  if (!before) {
    builder_.Finish(wire::CreateResponse(builder_, channel_.epoch(), request.attempt(),
                                         wire::Status::need_state));
    return builder_;
  }
  const std::string session = request.session()->str();
  const std::int64_t count = *before + 1;
  known_[session] = {.version = request.version() + 1, .state_id = pending.id, .count = count};
  const auto result = add_value(builder_, [&](flexbuffers::Builder& value) {
    value.String(session + "=" + std::to_string(count));
  });
  const auto field = add_value(builder_, [&](flexbuffers::Builder& value) { value.Int(count); });
  const auto put = wire::CreateField(builder_, builder_.CreateString("count"), field);
  const auto delta = wire::CreateDelta(builder_, builder_.CreateVector(&put, 1));
  builder_.Finish(wire::CreateResponse(builder_, channel_.epoch(), request.attempt(),
                                       wire::Status::ok, result, delta, 0, 1'000));
  return builder_;
}

void CountingWorker::emit(const Pending& pending, std::uint32_t attempt, std::uint64_t index,
                          std::size_t bytes) {
  builder_.Clear();
  const auto value = add_value(
      builder_, [&](flexbuffers::Builder& chunk) { chunk.String(std::string(bytes, 'c')); });
  builder_.Finish(wire::CreateChunk(builder_, channel_.epoch(), attempt, index, value));
  send(wire::MessageType::chunk, pending.id, builder_);
}

void CountingWorker::answer(const Pending& pending) {
  send(wire::MessageType::response, pending.id, build_answer(pending));
}

void CountingWorker::send(wire::MessageType type, std::uint64_t id, const void* body,
                          std::size_t bytes) {
  auto place = channel_.try_reserve(static_cast<std::uint32_t>(bytes));
  while (!place) {
    const auto read_to = channel_.publish_full();
    if (!read_to || !channel_.wait_for_room(*read_to)) return;
    place = channel_.try_reserve(static_cast<std::uint32_t>(bytes));
  }
  if (bytes != 0) std::memcpy(place->data(), body, bytes);
  channel_.commit(static_cast<std::uint16_t>(type), id);
  channel_.publish();
}

void CountingWorker::hand_over(std::uint64_t id, int descriptor, std::uint64_t bytes) {
  constexpr auto kResponse = static_cast<std::uint16_t>(wire::MessageType::response);
  if (channel_.try_hand_over(kResponse, id, descriptor, bytes)) channel_.publish();
}

}  // namespace dspool::chaos
