#include "python_worker/native/startup.h"

#include <flatbuffers/flatbuffers.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <cstring>
#include <utility>

#include "schemas/envelope_generated.h"

namespace dspool::python {
namespace {

constexpr std::uint64_t kDefaultSessionCacheBytes = std::uint64_t{64} << 20;

void send(ipc::WorkerChannel& channel, wire::MessageType type,
          const flatbuffers::FlatBufferBuilder& message) {
  const auto place = channel.try_reserve(message.GetSize());
  assert(place && "the first record of an empty ring fits");
  std::memcpy(place->data(), message.GetBufferPointer(), message.GetSize());
  channel.commit(static_cast<std::uint16_t>(type), 0);
  channel.publish();
}

}  // namespace

ipc::Result<void> keep_private() {
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) {
    return ipc::system_fault("cannot keep this process out of core dumps", errno);
  }
  return {};
}

ipc::Result<std::unique_ptr<ipc::WorkerChannel>> attach(
    std::optional<std::chrono::nanoseconds> spin_limit) {
  auto channel = ipc::WorkerChannel::attach();
  if (!channel) return channel;
  if (const auto kept = keep_private(); !kept) return tl::unexpected(kept.error());
  if (const auto started = (*channel)->start_lifeline(); !started) {
    return tl::unexpected(started.error());
  }
  if (spin_limit) (*channel)->set_spin_limit(*spin_limit);
  return channel;
}

std::uint32_t protocol_version() noexcept {
  return static_cast<std::uint32_t>(wire::Protocol::current);
}

ipc::Result<Hello> receive_hello(ipc::WorkerChannel& channel) {
  std::optional<ipc::Record> record;
  while (!(record = channel.try_receive())) {
    if (!channel.wait()) {
      return tl::unexpected(ipc::Fault{ipc::FaultKind::kPeerGone, "the engine is gone"});
    }
  }
  if (record->header.type != static_cast<std::uint16_t>(wire::MessageType::hello)) {
    return tl::unexpected(ipc::Fault{
        ipc::FaultKind::kViolation,
        "the engine began with a record of type " + std::to_string(record->header.type)});
  }
  const auto* hello = flatbuffers::GetRoot<wire::Hello>(record->body.data());
  Hello copy{.max_in_flight = hello->max_in_flight(),
             .session_cache = hello->session_cache(),
             .session_cache_bytes = hello->session_cache_bytes() != 0 ? hello->session_cache_bytes()
                                                                      : kDefaultSessionCacheBytes,
             .max_payload_bytes = hello->max_payload_bytes(),
             .protocol = static_cast<std::uint32_t>(hello->protocol())};
  channel.release();
  return copy;
}

void send_ready(ipc::WorkerChannel& channel, const std::string& python,
                const std::vector<std::string>& commands) {
  flatbuffers::FlatBufferBuilder builder;
  const auto ready =
      wire::CreateReady(builder, channel.epoch(), builder.CreateString(python),
                        builder.CreateVectorOfStrings(commands), wire::Protocol::current);
  builder.Finish(ready);
  send(channel, wire::MessageType::ready, builder);
}

void send_failure(ipc::WorkerChannel& channel, const ErrorReport& report) {
  flatbuffers::FlatBufferBuilder builder;
  builder.Finish(wire::CreateFailure(builder, channel.epoch(), report.write(builder)));
  send(channel, wire::MessageType::failure, builder);
}

}  // namespace dspool::python
