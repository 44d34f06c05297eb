#include "ipc/payload_view.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "ipc/kill_point.h"

namespace dspool::ipc {

Result<std::unique_ptr<PayloadView>> PayloadView::map(int descriptor, const PayloadPlace& place) {
  const std::size_t mapped_bytes = sizeof(PayloadHeader) + place.bytes;
  void* const address = ::mmap(nullptr, mapped_bytes, PROT_READ, MAP_SHARED | MAP_POPULATE,
                               descriptor, static_cast<off_t>(place.offset));
  if (address == MAP_FAILED) return system_fault("cannot map a payload", errno);
  std::unique_ptr<PayloadView> view(new PayloadView(address, mapped_bytes, place.bytes));
  if (::madvise(address, mapped_bytes, MADV_DONTFORK) != 0) {
    return system_fault("cannot keep a payload from forks", errno);
  }
  kill_point("slab.mapped");
  const auto& header = *static_cast<const PayloadHeader*>(address);
  if (header.generation != place.generation || header.bytes != place.bytes) {
    return tl::unexpected(Fault{FaultKind::kViolation, "another payload is where this one was"});
  }
  return view;
}

PayloadView::~PayloadView() { ::munmap(address_, mapped_bytes_); }

std::span<const std::byte> PayloadView::bytes() const noexcept {
  return {static_cast<const std::byte*>(address_) + sizeof(PayloadHeader), bytes_};
}

Result<void> PayloadView::keep() {
  void* const copy =
      ::mmap(nullptr, mapped_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (copy == MAP_FAILED) return system_fault("cannot keep a payload", errno);
  std::memcpy(copy, address_, mapped_bytes_);
  if (::mprotect(copy, mapped_bytes_, PROT_READ) != 0 ||
      ::mremap(copy, mapped_bytes_, mapped_bytes_, MREMAP_MAYMOVE | MREMAP_FIXED, address_) ==
          MAP_FAILED) {
    const int error = errno;
    ::munmap(copy, mapped_bytes_);
    return system_fault("cannot keep a payload", error);
  }
  return {};
}

}  // namespace dspool::ipc
