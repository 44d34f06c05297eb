#include "ipc/sealed_bytes.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "ipc/memfd.h"
#include "ipc/memory_room.h"

namespace dspool::ipc {
namespace {

constexpr int kAllSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE;
constexpr std::uint64_t kBlockBytes = 512;  // the unit of st_blocks

tl::unexpected<Fault> violation(std::string what) {
  return tl::unexpected(Fault{FaultKind::kViolation, std::move(what)});
}

Result<void> write_all(int descriptor, std::span<const std::byte> bytes, std::size_t at) {
  while (!bytes.empty()) {
    const ssize_t written =
        ::pwrite(descriptor, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return system_fault("cannot write to shared memory", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    at += static_cast<std::size_t>(written);
  }
  return {};
}

Result<void> check_sealed(int descriptor, std::uint64_t claimed_bytes) {
  // Only memfds have seals.
  const int seals = ::fcntl(descriptor, F_GET_SEALS);
  if (seals < 0) return violation("a body's descriptor is no memfd");
  if ((seals & kAllSeals) != kAllSeals) return violation("a body's memfd is not sealed");
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) return system_fault("cannot look at a memfd", errno);
  if (static_cast<std::uint64_t>(status.st_size) != claimed_bytes) {
    return violation("a body's memfd has " + std::to_string(status.st_size) + " bytes, not " +
                     std::to_string(claimed_bytes));
  }
  // Else reading it would make this process pay for memory that the worker never had.
  if (static_cast<std::uint64_t>(status.st_blocks) * kBlockBytes < claimed_bytes) {
    return violation("a body's memfd has holes");
  }
  return {};
}

}  // namespace

Result<FileDescriptor> seal_copy(std::span<const std::span<const std::byte>> parts) {
  std::size_t size = 0;
  for (const auto& part : parts) size += part.size();
  if (auto room = check_memory_room(size, measure_memory_room()); !room) {
    return tl::unexpected(std::move(room.error()));
  }
  auto memfd = Memfd::create("dspool-payload", size);
  if (!memfd) return tl::unexpected(std::move(memfd.error()));
  std::size_t at = 0;
  for (const auto& part : parts) {
    if (auto written = write_all(memfd->descriptor(), part, at); !written) {
      return tl::unexpected(std::move(written.error()));
    }
    at += part.size();
  }
  if (auto sealed = memfd->seal(Seal::kSizeAndContent); !sealed) {
    return tl::unexpected(std::move(sealed.error()));
  }
  return memfd->release();
}

Result<void> read_sealed(int descriptor, std::uint64_t claimed_bytes,
                         std::vector<std::byte>& bytes) {
  if (auto sealed = check_sealed(descriptor, claimed_bytes); !sealed) return sealed;
  bytes.resize(claimed_bytes);
  std::size_t at = 0;
  while (at < bytes.size()) {
    const ssize_t got = ::pread(descriptor, &bytes[at], bytes.size() - at, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return system_fault("cannot read a memfd", errno);
    at += static_cast<std::size_t>(got);
  }
  return {};
}

}  // namespace dspool::ipc
