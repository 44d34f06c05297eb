// What goes over a channel's control socket: whole messages, each with at most one descriptor.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "ipc/fault.h"
#include "ipc/file_descriptor.h"

namespace dspool::ipc {

struct ControlMessage {
  std::vector<std::byte> bytes;
  FileDescriptor descriptor;  // open when one came along
};

// Without waiting. `descriptor` -1: none. Errors: kPeerGone, kTooLarge, kFull, kSystem.
// REQUIRES: the message is not empty.
Result<void> send_message(int socket, std::span<const std::byte> message, int descriptor);

// The same with up to 16 descriptors.
Result<void> send_message(int socket, std::span<const std::byte> message,
                          std::span<const int> descriptors);

// The next message, waiting for it when `wait`; nothing: none there, or hang-up. Descriptors beyond
// the first are closed.
[[nodiscard]] std::optional<ControlMessage> receive_message(int socket, bool wait);

}  // namespace dspool::ipc
