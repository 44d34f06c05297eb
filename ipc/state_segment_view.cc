#include "ipc/state_segment_view.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>

namespace dspool::ipc {

StateSegmentView::~StateSegmentView() {
  for (const std::byte* extent : extents_) {
    if (extent != nullptr) ::munmap(const_cast<std::byte*>(extent), StateSegment::kExtentBytes);
  }
}

Result<void> StateSegmentView::add(std::uint32_t extent, int descriptor) {
  if (has(extent)) return {};
  struct stat file {};
  if (::fstat(descriptor, &file) != 0) return system_fault("cannot look at an extent", errno);
  if (static_cast<std::size_t>(file.st_size) != StateSegment::kExtentBytes) {
    return tl::unexpected(
        Fault{FaultKind::kViolation, "an extent has " + std::to_string(file.st_size) + " bytes"});
  }
  void* const address =
      ::mmap(nullptr, StateSegment::kExtentBytes, PROT_READ, MAP_SHARED, descriptor, 0);
  if (address == MAP_FAILED) return system_fault("cannot map an extent", errno);
  if (::madvise(address, StateSegment::kExtentBytes, MADV_DONTFORK) != 0) {
    const int error = errno;
    ::munmap(address, StateSegment::kExtentBytes);
    return system_fault("cannot keep an extent from forks", error);
  }
  if (extents_.size() <= extent) extents_.resize(std::size_t{extent} + 1);
  extents_[extent] = static_cast<const std::byte*>(address);
  return {};
}

bool StateSegmentView::has(std::uint32_t extent) const noexcept {
  return extent < extents_.size() && extents_[extent] != nullptr;
}

std::optional<std::span<const std::byte>> StateSegmentView::bytes(
    const StatePlace& place, std::size_t bytes) const noexcept {
  if (!has(place.extent) || bytes > StateSegment::kExtentBytes ||
      place.at > StateSegment::kExtentBytes - bytes) {
    return std::nullopt;
  }
  return std::span(extents_[place.extent] + place.at, bytes);
}

}  // namespace dspool::ipc
