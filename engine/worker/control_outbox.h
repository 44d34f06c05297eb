// What the engine sends over one worker's control socket: in its order, and at once, or where the
// worker has left too much unread there, as soon as it has read some of that. A worker reads when
// something that it was sent over the ring names what must have come here, so the rest of what a
// request needs may follow it.
//
// Threads: any. Its lock is a leaf.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <span>
#include <vector>

#include "ipc/engine_channel.h"
#include "ipc/fault.h"
#include "schemas/control_generated.h"

namespace dspool::worker {

class ControlOutbox {
 public:
  // `channel` outlives *this.
  explicit ControlOutbox(const ipc::EngineChannel& channel) noexcept : channel_(channel) {}

  // Hands `descriptor` over to the attempt `request_id`; it stays open until that was forgotten, or
  // with 0, until `close`. Errors: those of EngineChannel::send_control, but kFull.
  ipc::Result<void> hand_over(const wire::Handover& handover, int descriptor,
                              std::uint64_t request_id);
  // An encoded wire::LanguageModel, which is wiped once it is sent. Errors: the same, and
  // kTooLarge where the worker has left so many unread that no more can wait.
  ipc::Result<void> tell_language_model(std::vector<std::byte> model);

  // Whether something waits; then `send_on` is due, again and again.
  [[nodiscard]] bool has_more() const noexcept { return has_more_.load(std::memory_order_acquire); }
  // Sends of what waits as much as the socket takes.
  void send_on();
  // What waits for this attempt is not sent any more.
  void forget(std::uint64_t request_id);
  // Nothing that waits is, nor anything that comes.
  void close();

 private:
  struct Message {
    std::array<std::byte, sizeof(wire::Handover)> handover{};
    int descriptor = -1;  // below 0: it is `model`
    std::uint64_t request_id = 0;
    std::vector<std::byte> model{};
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept;
  };
  ipc::Result<void> flush();
  void drop_first();

  const ipc::EngineChannel& channel_;
  std::atomic<bool> has_more_ = false;  // (M) release: what was sent can be forgotten

  std::mutex mutex_;  // guards what follows
  std::deque<Message> waiting_;
  std::size_t waiting_model_bytes_ = 0;
  bool is_closed_ = false;
};

}  // namespace dspool::worker
