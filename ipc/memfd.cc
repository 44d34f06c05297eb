#include "ipc/memfd.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>
#include <string>
#include <utility>

namespace dspool::ipc {
namespace {

// Since Linux 6.3; systems with vm.memfd_noexec=2 insist on it.
constexpr unsigned kNoExecSeal = 0x0008U;

FileDescriptor open_memfd(const char* name) {
  constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  FileDescriptor descriptor(::memfd_create(name, kFlags | kNoExecSeal));
  if (!descriptor.is_open() && errno == EINVAL) {
    descriptor = FileDescriptor(::memfd_create(name, kFlags));
  }
  return descriptor;
}

}  // namespace

Result<Memfd> Memfd::create(const char* name, std::size_t bytes) {
  FileDescriptor descriptor = open_memfd(name);
  if (!descriptor.is_open()) return system_fault("cannot create shared memory", errno);
  while (::fallocate(descriptor.get(), 0, 0, static_cast<off_t>(bytes)) != 0) {
    const int error = errno;
    if (error == EINTR) continue;
    auto fault = system_fault("cannot allocate " + std::to_string(bytes) + " bytes", error);
    if (error == ENOSPC || error == ENOMEM) fault.value().kind = FaultKind::kNoMemory;
    return fault;
  }
  return Memfd(std::move(descriptor));
}

Result<void> Memfd::seal(Seal seal) {
  int seals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW;
  if (seal == Seal::kSizeAndContent) seals |= F_SEAL_FUTURE_WRITE;
  if (::fcntl(descriptor_.get(), F_ADD_SEALS, seals) != 0) {
    return system_fault("cannot seal shared memory", errno);
  }
  return {};
}

}  // namespace dspool::ipc
