#include "engine/store/holder.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <utility>

namespace dspool::store {
namespace {

constexpr const char* kFileName = "HOLDER";
constexpr std::size_t kMostBytes = 512;

std::string about_us() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format("the engine with pid {} on host {} since {:%Y-%m-%d %H:%M:%S} UTC", ::getpid(),
                     host.data(), fmt::gmtime(now));
}

bool lock(const ipc::FileDescriptor& file, int how) {
  while (::flock(file.get(), how | LOCK_NB) != 0) {
    if (errno != EINTR) return false;
  }
  return true;
}

Error in_use(const std::filesystem::path& directory, const ipc::FileDescriptor& file) {
  std::string holder = "a program that reads it";
  if (!lock(file, LOCK_SH)) {
    std::array<char, kMostBytes> text{};
    const ssize_t length = ::pread(file.get(), text.data(), text.size(), 0);
    holder = length > 0 ? std::string(text.data(), static_cast<std::size_t>(length))
                        : "an engine that has just begun";
  }
  return {.category = ErrorCategory::kInitialization,
          .code = "store_in_use",
          .message = fmt::format("the store {} is in use by {}: stop it, or use another directory",
                                 directory.string(), holder),
          .retryable = true};
}

Error unreadable(const std::filesystem::path& file, int error) {
  return {.category = ErrorCategory::kInitialization,
          .code = "store_unreadable",
          .message = fmt::format("{} cannot be opened ({}): see that the directory exists and may "
                                 "be read and written by this user",
                                 file.string(), std::strerror(error))};
}

}  // namespace

Result<Holder> Holder::take(const std::filesystem::path& directory, Use use) {
  const std::filesystem::path path = directory / kFileName;
  ipc::FileDescriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!file.is_open() && use == Use::kReading) {
    file = ipc::FileDescriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    // Where nobody can write, no engine can be at work.
    if (!file.is_open() && (errno == ENOENT || errno == EROFS)) return Holder(std::move(file));
  }
  if (!file.is_open()) return tl::unexpected(unreadable(path, errno));
  if (!lock(file, use == Use::kAlone ? LOCK_EX : LOCK_SH)) {
    return tl::unexpected(in_use(directory, file));
  }
  if (use == Use::kReading) return Holder(std::move(file));
  const std::string text = about_us();
  const bool told =
      ::ftruncate(file.get(), 0) == 0 &&
      ::pwrite(file.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size());
  // On a full disk the lock must do; whether the store can be written is found out by writing.
  static_cast<void>(told);
  return Holder(std::move(file));
}

}  // namespace dspool::store
