#include "ipc/pidfd.h"

#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <string_view>

namespace dspool::ipc {

bool has_ended(int pidfd) noexcept {
  pollfd end{.fd = pidfd, .events = POLLIN, .revents = 0};
  return ::poll(&end, 1, 0) > 0;
}

std::optional<pid_t> pid_of(int pidfd) {
  const std::string path = "/proc/self/fdinfo/" + std::to_string(pidfd);
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return std::nullopt;
  std::array<char, 1024> text;  // of a pidfd it is shorter
  const ssize_t length = ::read(file.get(), text.data(), text.size());
  if (length <= 0) return std::nullopt;
  const std::string_view info(text.data(), static_cast<std::size_t>(length));
  constexpr std::string_view kKey = "\nPid:\t";
  const std::size_t at = info.find(kKey);
  if (at == std::string_view::npos) return std::nullopt;
  pid_t pid = 0;
  const char* const begin = info.data() + at + kKey.size();
  if (std::from_chars(begin, info.data() + info.size(), pid).ec != std::errc()) return std::nullopt;
  return std::max(pid, 0);  // -1 of one that was reaped
}

}  // namespace dspool::ipc
