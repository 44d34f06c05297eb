// What an engine and a killable_peer say to each other while one of them is killed: a short
// request, which stands for the handshake, then ones so long that both rings wrap, each sent when
// the worker sleeps, and at last the word to end. The engine recalls what is not claimed by then:
// nothing. Some ask for answers that go beside the response
// ring, and one only names its body, which lies in the slab.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "ipc/payload.h"
#include "tests/ipc/child.h"

namespace dspool::ipc {

// How often the answer to a request repeats its body: twice is too long for the response ring, and
// three times for the bulk ring.
constexpr std::size_t repetitions(std::uint64_t request_id) {
  return request_id == 3 ? 2 : request_id == 4 ? 3 : 1;
}
constexpr bool lies_in_slab(std::uint64_t request_id) { return request_id == 5; }

class Conversation {
 public:
  static constexpr std::uint64_t kRequests = 9;

  [[nodiscard]] static ChannelSizes sizes(const PayloadStore& payloads) {
    return {.request_bytes = kMinRingBytes,
            .response_bytes = kMinRingBytes,
            .bulk_bytes = kMinRingBytes,
            .slab = payloads.slab_descriptor()};
  }

  Conversation(EngineChannel& engine, PayloadStore& payloads)
      : engine_(engine), payloads_(payloads) {}

  // The first request, which is there before the worker is.
  void begin() { send(body_for(1)); }

  // The rest, until `peer` has ended.
  void go_on(const ChildProcess& peer) {
    while (receive_waiting(engine_, header_, body_, peer.pidfd()) ==
           EngineChannel::Received::kRecord) {
      ++answered_;
      all_whole_ = all_whole_ && header_.request_id == answered_ && body_ == answer_to(answered_);
      while (!engine_.publish()) {  // it does not sleep yet
        if (readable(peer.pidfd(), 0)) return;
        std::this_thread::yield();
      }
      all_whole_ = all_whole_ && engine_.recall_requests() == answered_;
      send(answered_ < kRequests ? body_for(answered_ + 1) : std::vector<std::byte>{});
    }
  }

  [[nodiscard]] std::uint64_t sent() const { return std::min(sent_, kRequests); }
  [[nodiscard]] std::uint64_t answered() const { return answered_; }
  // Whether each answer was that to the next request, byte by byte.
  [[nodiscard]] bool all_whole() const { return all_whole_; }

 private:
  static std::vector<std::byte> body_for(std::uint64_t id) {
    return std::vector(id == 1 ? 20 : 120'000 + id, static_cast<std::byte>(id));
  }

  static std::vector<std::byte> answer_to(std::uint64_t id) {
    const auto body = body_for(id);
    std::vector<std::byte> answer;
    for (std::size_t i = 0; i < repetitions(id); ++i) {
      answer.insert(answer.end(), body.begin(), body.end());
    }
    return answer;
  }

  void send(std::vector<std::byte> body) {
    ++sent_;
    if (lies_in_slab(sent_)) {
      payload_ = payloads_.place(body).value();
      const auto place = std::as_bytes(std::span(&payload_->place(), 1));
      body.assign(place.begin(), place.end());
    }
    EXPECT_TRUE(push(engine_, sent_, body));
    if (!body.empty()) engine_.count_request();
    publish_and_ring(engine_);
  }

  EngineChannel& engine_;
  PayloadStore& payloads_;
  std::shared_ptr<const Payload> payload_;
  std::uint64_t sent_ = 0;
  std::uint64_t answered_ = 0;
  bool all_whole_ = true;
  RecordHeader header_{};
  std::vector<std::byte> body_;
};

}  // namespace dspool::ipc
