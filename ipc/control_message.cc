#include "ipc/control_message.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <utility>

namespace dspool::ipc {
namespace {

// Room for more than the one that is expected, so that what else was sent is seen and closed.
constexpr std::size_t kMostDescriptors = 4;
constexpr std::size_t kMostSent = 16;

template <typename Call>
ssize_t uninterrupted(const Call& call) {
  ssize_t result = 0;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

FileDescriptor take_descriptors(msghdr& header) {
  FileDescriptor first;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int number = -1;
      std::memcpy(&number, CMSG_DATA(part) + i * sizeof number, sizeof number);
      FileDescriptor descriptor(number);
      if (!first.is_open()) first = std::move(descriptor);
    }
  }
  return first;
}

// An empty message and the end look the same.
bool has_hung_up(int socket) {
  pollfd end{.fd = socket, .events = POLLRDHUP, .revents = 0};
  return ::poll(&end, 1, 0) > 0;
}

}  // namespace

Result<void> send_message(int socket, std::span<const std::byte> message, int descriptor) {
  const std::size_t count = descriptor >= 0 ? 1 : 0;
  return send_message(socket, message, std::span(&descriptor, count));
}

Result<void> send_message(int socket, std::span<const std::byte> message,
                          std::span<const int> descriptors) {
  assert(!message.empty() && descriptors.size() <= kMostSent);
  iovec part{.iov_base = const_cast<std::byte*>(message.data()), .iov_len = message.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(kMostSent * sizeof(int))> rights{};
  if (!descriptors.empty()) {
    header.msg_control = rights.data();
    header.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* const control = CMSG_FIRSTHDR(&header);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(control), descriptors.data(), descriptors.size_bytes());
  }
  if (uninterrupted([&] { return ::sendmsg(socket, &header, MSG_DONTWAIT | MSG_NOSIGNAL); }) >= 0) {
    return {};
  }
  const int error = errno;
  auto fault = system_fault("cannot send a control message", error);
  if (error == EPIPE || error == ECONNRESET) fault.value().kind = FaultKind::kPeerGone;
  if (error == EMSGSIZE) fault.value().kind = FaultKind::kTooLarge;
  // ETOOMANYREFS: descriptors on their way that nobody has taken yet.
  if (error == EAGAIN || error == ETOOMANYREFS) fault.value().kind = FaultKind::kFull;
  return fault;
}

std::optional<ControlMessage> receive_message(int socket, bool wait) {
  const int flags = wait ? 0 : MSG_DONTWAIT;
  const ssize_t length =
      uninterrupted([&] { return ::recv(socket, nullptr, 0, flags | MSG_PEEK | MSG_TRUNC); });
  if (length < 0 || (length == 0 && has_hung_up(socket))) return std::nullopt;
  ControlMessage message{.bytes = std::vector<std::byte>(static_cast<std::size_t>(length)),
                         .descriptor = {}};
  iovec part{.iov_base = message.bytes.data(), .iov_len = message.bytes.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(kMostDescriptors * sizeof(int))> rights{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = rights.data();
  header.msg_controllen = rights.size();
  const ssize_t received =
      uninterrupted([&] { return ::recvmsg(socket, &header, flags | MSG_CMSG_CLOEXEC); });
  if (received < 0) return std::nullopt;
  message.descriptor = take_descriptors(header);
  if (received != length) return std::nullopt;
  return message;
}

}  // namespace dspool::ipc
