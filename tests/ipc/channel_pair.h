// Both ends of one channel in one process, and what a thread does that waits for an answer.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "ipc/engine_channel.h"
#include "ipc/worker_channel.h"

namespace dspool::ipc {

// A hang becomes a failure after this. Nothing waits for it otherwise.
inline constexpr int kWatchdogMs = 60'000;

inline constexpr ChannelSizes kSmallestRings{.request_bytes = kMinRingBytes,
                                             .response_bytes = kMinRingBytes};

inline bool readable(int descriptor, int timeout_ms = kWatchdogMs) {
  pollfd watched{.fd = descriptor, .events = POLLIN, .revents = 0};
  return ::poll(&watched, 1, timeout_ms) > 0;
}

// Copies of the child's ends, for an attach() in this process.
inline WorkerChannel::Descriptors copy_child_descriptors(const EngineChannel& engine) {
  const auto ends = engine.child_descriptors();
  const auto copy = [&](std::size_t index) {
    return ::fcntl(ends.at(index).first, F_DUPFD_CLOEXEC, 0);
  };
  return {.segment_a = copy(0),
          .segment_b = copy(1),
          .control = copy(2),
          .caller_bell = copy(3),
          .reactor_bell = copy(4),
          .lifeline = copy(5),
          .slab = ends.size() > 6 ? copy(6) : -1};
}

struct ChannelPair {
  std::unique_ptr<EngineChannel> engine;
  std::unique_ptr<WorkerChannel> worker;
};

inline ChannelPair make_channel_pair(std::uint64_t epoch = 7,
                                     const ChannelSizes& sizes = kSmallestRings) {
  auto engine = EngineChannel::create(epoch, sizes);
  if (!engine) throw std::runtime_error(engine.error().what);
  auto worker = WorkerChannel::attach(copy_child_descriptors(**engine));
  if (!worker) throw std::runtime_error(worker.error().what);
  (*engine)->close_child_ends();
  return {std::move(*engine), std::move(*worker)};
}

// Reserves, fills and commits one record; false: the ring is full.
template <typename Sender>
[[nodiscard]] bool push(Sender& sender, std::uint64_t request_id, std::span<const std::byte> body,
                        std::uint16_t type = 1) {
  const auto place = sender.try_reserve(static_cast<std::uint32_t>(body.size()));
  if (!place) return false;
  if (!body.empty()) std::memcpy(place->data(), body.data(), body.size());
  sender.commit(type, request_id);
  return true;
}

// Publishes, and wakes the worker if that is due.
inline void publish_and_ring(EngineChannel& engine) {
  if (engine.publish()) engine.ring_worker();
}

// The next record, sleeping on the caller's bell until there is one, or until `pidfd` tells that
// there will be none. kNothing: the worker has died, or the watchdog bit.
inline EngineChannel::Received receive_waiting(EngineChannel& engine, RecordHeader& header,
                                               std::vector<std::byte>& body, int pidfd = -1) {
  while (true) {
    auto received = engine.receive(header, body);
    if (received != EngineChannel::Received::kNothing) return received;
    engine.announce(Receiver::kCaller);
    if (!engine.has_records()) {
      pollfd watched[2] = {{.fd = engine.caller_bell(), .events = POLLIN, .revents = 0},
                           {.fd = pidfd, .events = POLLIN, .revents = 0}};
      const int ready = ::poll(watched, 2, kWatchdogMs);
      EXPECT_GT(ready, 0) << "the worker did not ring";
      if (ready <= 0 || watched[0].revents == 0) return engine.receive(header, body);
    }
    engine.announce(Receiver::kNobody);
    engine.clear_bell(Receiver::kCaller);
  }
}

// Sends a request, whose body is its id, and waits for the answer.
inline void exchange(EngineChannel& engine, std::uint64_t id, int pidfd) {
  RecordHeader header{};
  std::vector<std::byte> body;
  EXPECT_TRUE(push(engine, id, std::as_bytes(std::span(&id, 1))));
  publish_and_ring(engine);
  EXPECT_EQ(receive_waiting(engine, header, body, pidfd), EngineChannel::Received::kRecord);
}

}  // namespace dspool::ipc
