#include "ipc/state_extent.h"

#include <utility>

#include "ipc/memory_room.h"

namespace dspool::ipc {

Result<StateMemory> StateMemory::create(const char* name, std::size_t bytes) {
  if (auto room = check_memory_room(bytes, measure_memory_room()); !room) {
    return tl::unexpected(std::move(room.error()));
  }
  auto memfd = Memfd::create(name, bytes);
  if (!memfd) return tl::unexpected(std::move(memfd.error()));
  // Mapped before it is sealed: this stays the only mapping of it that can be written to.
  auto segment = Segment::map(memfd->descriptor(), bytes, Access::kReadWrite);
  if (!segment) return tl::unexpected(std::move(segment.error()));
  if (auto sealed = memfd->seal(Seal::kSizeAndContent); !sealed) {
    return tl::unexpected(std::move(sealed.error()));
  }
  return StateMemory{.memfd = std::move(*memfd), .segment = std::move(*segment)};
}

std::optional<std::size_t> StateExtent::take_pages(std::size_t count) noexcept {
  if (free_ < count || count >= refused_) return std::nullopt;
  std::size_t run = 0;
  for (std::size_t page = 0; page < kPages; ++page) {
    run = is_taken_[page] ? 0 : run + 1;
    if (run < count) continue;
    const std::size_t first = page + 1 - count;
    for (std::size_t i = first; i <= page; ++i) is_taken_.set(i);
    free_ -= count;
    return first;
  }
  refused_ = count;
  return std::nullopt;
}

void StateExtent::give_back(std::size_t first, std::size_t count) noexcept {
  for (std::size_t i = first; i < first + count; ++i) is_taken_.reset(i);
  free_ += count;
  refused_ = kPages + 1;
}

}  // namespace dspool::ipc
