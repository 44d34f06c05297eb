// System calls on processes by descriptor. The C library of Debian 12 has them too, but declares
// them without extern "C".
#pragma once

#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#include <optional>

#include "ipc/file_descriptor.h"

namespace dspool::ipc {

// Readable when the process has ended. Not open, with errno set, when there is no such process.
[[nodiscard]] inline FileDescriptor open_pidfd(pid_t pid) noexcept {
  return FileDescriptor(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U)));
}

inline bool send_signal(int pidfd, int signal) noexcept {
  return ::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0U) == 0;
}

// Of a zombie too.
[[nodiscard]] bool has_ended(int pidfd) noexcept;

// The process's number in our namespace; 0: it was reaped, or cannot be seen from here. Nothing:
// this is no pidfd.
[[nodiscard]] std::optional<pid_t> pid_of(int pidfd);

}  // namespace dspool::ipc
