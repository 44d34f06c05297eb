// One extent of the state segment: a memfd that only this process can write to, its mapping, and
// which of its pages are taken.
//
// Not thread-safe: its shard's lock guards it.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "ipc/fault.h"
#include "ipc/memfd.h"
#include "ipc/segment.h"
#include "ipc/state_segment.h"
#include "ipc/state_sizes.h"

namespace dspool::ipc {

// Memory that this process alone can write to, and nobody resize: allocated, mapped, then sealed.
struct StateMemory {
  // Errors: kNoMemory, kSystem.
  static Result<StateMemory> create(const char* name, std::size_t bytes);
  Memfd memfd;
  Segment segment;
};

class StateExtent {
 public:
  static constexpr std::size_t kPages = StateSegment::kExtentBytes / kStatePageBytes;

  StateExtent(StateMemory memory, std::uint32_t number) noexcept
      : memory_(std::move(memory)), number_(number) {}

  [[nodiscard]] std::uint32_t number() const noexcept { return number_; }
  [[nodiscard]] std::byte* begin() const noexcept { return memory_.segment.bytes().data(); }

  // The first of so many adjacent pages that were free.
  std::optional<std::size_t> take_pages(std::size_t count) noexcept;
  void give_back(std::size_t first, std::size_t count) noexcept;

 private:
  const StateMemory memory_;
  const std::uint32_t number_;
  std::bitset<kPages> is_taken_;
  std::size_t free_ = kPages;
  std::size_t refused_ = kPages + 1;  // nowhere are so many free pages adjacent
};

}  // namespace dspool::ipc
