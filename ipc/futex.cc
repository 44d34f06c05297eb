#include "ipc/futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>

#include "ipc/kill_point.h"

namespace dspool::ipc {

// Not FUTEX_PRIVATE: that would take the address for the word, and the sides have different ones.
FutexWait futex_wait(const std::atomic<std::uint32_t>& word, std::uint32_t expected,
                     std::chrono::nanoseconds limit) noexcept {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(limit);
  const timespec timeout{.tv_sec = seconds.count(), .tv_nsec = (limit - seconds).count()};
  kill_point("sleep.waiting");
  const long result =
      ::syscall(SYS_futex, &word, FUTEX_WAIT, expected, &timeout, nullptr, std::uint32_t{0});
  return result != 0 && errno == ETIMEDOUT ? FutexWait::kTimedOut : FutexWait::kWoken;
}

void futex_wake_one(std::atomic<std::uint32_t>& word) noexcept {
  ::syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, std::uint32_t{0});
}

}  // namespace dspool::ipc
