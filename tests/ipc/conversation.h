// What an engine and a killable_peer say to each other while one of them is killed: a short
// request, which stands for the handshake, then ones so long that both rings wrap, each sent when
// the worker sleeps, and at last the word to end.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <thread>
#include <vector>

#include "tests/ipc/child.h"

namespace dspool::ipc {

class Conversation {
 public:
  static constexpr std::uint64_t kRequests = 6;

  explicit Conversation(EngineChannel& engine) : engine_(engine) {}

  // The first request, which is there before the worker is.
  void begin() { send(body_for(1)); }

  // The rest, until `peer` has ended.
  void go_on(const ChildProcess& peer) {
    while (receive_waiting(engine_, header_, body_, peer.pidfd()) ==
           EngineChannel::Received::kRecord) {
      ++answered_;
      const auto expected = body_for(answered_);
      all_whole_ =
          all_whole_ && header_.request_id == answered_ && std::ranges::equal(body_, expected);
      while (!engine_.publish()) {  // it does not sleep yet
        if (readable(peer.pidfd(), 0)) return;
        std::this_thread::yield();
      }
      send(answered_ < kRequests ? body_for(answered_ + 1) : std::span<const std::byte>{});
    }
  }

  [[nodiscard]] std::uint64_t sent() const { return std::min(sent_, kRequests); }
  [[nodiscard]] std::uint64_t answered() const { return answered_; }
  // Whether each answer was that to the next request, byte by byte.
  [[nodiscard]] bool all_whole() const { return all_whole_; }

 private:
  std::span<const std::byte> body_for(std::uint64_t id) {
    sent_body_.assign(id == 1 ? 20 : 120'000 + id, static_cast<std::byte>(id));
    return sent_body_;
  }

  void send(std::span<const std::byte> body) {
    ++sent_;
    EXPECT_TRUE(push(engine_, sent_, body));
    publish_and_ring(engine_);
  }

  EngineChannel& engine_;
  std::uint64_t sent_ = 0;
  std::uint64_t answered_ = 0;
  bool all_whole_ = true;
  RecordHeader header_{};
  std::vector<std::byte> sent_body_;
  std::vector<std::byte> body_;
};

}  // namespace dspool::ipc
