// A record on its way into the response ring, or beside it where it is too long for that.
//
// Threads: the GIL is held while one is sent, which serialises the writers of one channel. It is
// given up only by `wait_for_room`.
#pragma once

#include <cstdint>
#include <span>

#include "ipc/fault.h"
#include "ipc/file_descriptor.h"
#include "ipc/worker_channel.h"
#include "schemas/envelope_generated.h"

namespace dspool::python {

class OutgoingRecord {
 public:
  // `channel` and `body` outlive *this.
  OutgoingRecord(ipc::WorkerChannel& channel, wire::MessageType type, std::uint64_t request_id,
                 std::span<const std::uint8_t> body) noexcept
      : channel_(channel),
        type_(static_cast<std::uint16_t>(type)),
        request_id_(request_id),
        body_(body) {}

  [[nodiscard]] bool fits_rings() const noexcept {
    return body_.size() <= channel_.longest_in_rings();
  }
  // Copies the body to where it does not need them. To be called, before it is sent, where it does
  // not fit. Errors: there is no memory for it.
  ipc::Result<void> seal();

  enum class Sent {
    kSent,
    kFull,  // wait_for_room, and try again
    kEngineGone,
  };
  // Sends and publishes it.
  [[nodiscard]] Sent try_send();
  // After kFull, without the GIL; false: the engine is gone.
  [[nodiscard]] bool wait_for_room();

 private:
  Sent try_hand_over();

  ipc::WorkerChannel& channel_;
  std::uint16_t type_;
  std::uint64_t request_id_;
  std::span<const std::uint8_t> body_;
  ipc::FileDescriptor sealed_;
};

}  // namespace dspool::python
